/* load.h - the demo's clients: GETs at a steady pace through one node, on a thread of their own, so
 * that they neither wait for the tour nor make it wait. Every answer is counted by the version of
 * the service in question that had a part in it.
 *
 * Counts are taken by marks: requests that begin after load_mark() belong to the mark it gave, and
 * to it alone, whenever they end. */
#pragma once

#include <stdbool.h>

#include <gossamer/addr.h>
#include <gossamer/hist.h>

struct load;

struct load_options {
    struct gs_addr to;       /* the outbound port */
    const char *host, *path; /* what is asked for */
    const char *service;     /* whose version counts, anywhere in the answer */
    unsigned per_second;
};

struct load_count {
    uint64_t begun, ended;
    uint64_t v1, v2, failed; /* failed: no 200 that names a version */
    uint64_t at_once;        /* under way when one of them began, at the most; itself, too */
    char failure[256];       /* the first, in words; "" when there was none */
    struct gs_hist_sum latency;
};

struct load *load_new(const struct load_options *o); /* begins at once; strings are borrowed */
void load_free(struct load *l);                      /* NULL is fine */
void load_pace(struct load *l, unsigned per_second);

typedef unsigned load_mark_t;
load_mark_t load_mark(struct load *l);
/* The mark must be one of the last LOAD_MARKS. */
#define LOAD_MARKS 64
void load_read(struct load *l, load_mark_t mark, struct load_count *out);
/* All that began before this mark has ended. */
bool load_settled(struct load *l, load_mark_t mark);
/* From the start, whatever the mark. */
void load_total(struct load *l, struct load_count *out);

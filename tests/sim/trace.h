/* trace.h - what happened: always a hash of it, lines for people if they ask. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include <gossamer/slice.h>

enum trace_level { TRACE_NONE, TRACE_EVENTS, TRACE_PACKETS };

#define TRACE_NOBODY UINT32_MAX

struct trace {
    uint64_t hash;
    uint64_t lines;
    enum trace_level level; /* of what is printed; everything is hashed */
    FILE *out;
};

struct trace_line {
    uint64_t at_ns;
    uint32_t host, subject; /* indices, or TRACE_NOBODY */
    const char *what;       /* "believes", "crash" */
    const char *state;      /* what it believes now, or NULL */
    uint64_t a, b;          /* boot and incarnation, generation and clock, lengths */
};

void trace_init(struct trace *t, enum trace_level level, FILE *out);
/* Columns: time, host, event, subject, belief, two numbers. */
void trace_event(struct trace *t, const struct trace_line *l);
/* A packet at the moment it is fed: its bytes count, too. */
void trace_packet(struct trace *t, const struct trace_line *l, struct gs_slice bytes);

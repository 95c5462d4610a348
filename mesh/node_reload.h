/* node_reload.h - SIGHUP: the configuration is read again, and what may change while the node runs
 * is taken over: all of it, or nothing. Control thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_opts;
struct gs_problem;
struct json_out;
struct node_reload;
struct running;

enum reload_result { RELOAD_APPLIED, RELOAD_UNCHANGED, RELOAD_REJECTED };
#define RELOAD_RESULTS 3

const char *node_reload_result_name(enum reload_result r); /* "applied" */

/* source: how the running configuration was read; borrowed. */
struct node_reload *node_reload_new(struct running *r, const struct config_opts *source);
void node_reload_free(struct node_reload *l); /* the loop has ended; NULL is fine */
/* The signal. While one reload is under way the next waits for it; several are one. */
void node_reload_ask(void *arg, int signum);
/* The node stops: nothing more is taken over. */
void node_reload_stop(struct node_reload *l);

struct reload_last {
    enum reload_result result;
    uint64_t wall_ms;
    const struct gs_problem *error; /* the first one of a rejected file; borrowed until the next */
    size_t errors;
};
bool node_reload_last(const struct node_reload *l, struct reload_last *out); /* false: none yet */
uint64_t node_reload_count(const struct node_reload *l, enum reload_result r);
/* {"result": "rejected", "time": ..., "errors": [...]} of the last one; null before. */
void node_reload_json(const struct node_reload *l, struct json_out *j);

/* node_reload.h - SIGHUP: the configuration is read again, and what may change while the node runs
 * is taken over: all of it, or nothing. Control thread. */
#pragma once

#include <stdint.h>

struct config_opts;
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

uint64_t node_reload_count(const struct node_reload *l, enum reload_result r);
/* {"result": "rejected", "time": ..., "errors": [...]} of the last one; null before. */
void node_reload_json(const struct node_reload *l, struct json_out *j);

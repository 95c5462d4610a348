/* log_level.h - what the log tells, changed while the node runs: `gossamer debug log`. The
 * configuration's level comes back by itself when a time was given, and with a restart. Control
 * thread. */
#pragma once

#include <gossamer/log.h>
#include <gossamer/loop.h>

#define LOG_LEVELS "error|warn|info|debug" /* in the order of enum gs_log_level */

struct log_level;

struct log_level *log_level_new(struct gs_loop *loop, enum gs_log_level configured);
void log_level_stop(struct log_level *l); /* the loop ends soon: no timer is armed any more */
void log_level_free(struct log_level *l); /* NULL is fine */
/* for_ms: until the configuration's level holds again; 0: until it is set again. */
void log_level_set(struct log_level *l, enum gs_log_level level, uint64_t for_ms);
void log_level_reset(struct log_level *l);
/* The configuration was read again: what it says holds from now on. */
void log_level_configure(struct log_level *l, enum gs_log_level configured);

struct log_level_now {
    enum gs_log_level level, configured;
    uint64_t left_ms; /* until it is the configuration's again; 0: no end is set */
};
struct log_level_now log_level_now(const struct log_level *l);
const char *log_level_name(enum gs_log_level level); /* "info" */

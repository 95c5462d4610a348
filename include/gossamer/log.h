/* log.h - the program log: a dotted event, then key=value. One line each, to standard error, as
 * text or JSON. Rate-limited per call site (the number suppressed is told with the next line). */
#pragma once

#include <stdbool.h>

#include <gossamer/check.h>

enum gs_log_level { GS_LOG_ERROR, GS_LOG_WARN, GS_LOG_INFO, GS_LOG_DEBUG };
enum gs_log_format { GS_LOG_TEXT, GS_LOG_JSON };

void gs_log_setup(enum gs_log_level level, enum gs_log_format format);
void gs_log_set_level(enum gs_log_level level); /* any thread */
bool gs_log_on(enum gs_log_level level);

#define GS_LOG_MANY 1000 /* lines a second, where each is about another thing, such as a node */

struct gs_log_site {
    unsigned long long window_s; /* second of the current window */
    unsigned int count;          /* lines in it */
    unsigned int suppressed;
    unsigned int most; /* lines a second; 0: the usual, as many as a person can read */
};

void gs_log_write(struct gs_log_site *site, enum gs_log_level level, const char *event,
                  const char *fmt, ...) GS_PRINTF(4, 5);

/* fmt renders "key=value key=value"; values with blanks are quoted by the caller as key="...".
 * JSON output parses that shape back, so keep it. */
#define GS_LOG_AT_MOST(lines, level, event, ...)                                                   \
    do {                                                                                           \
        static struct gs_log_site gs_site_ = { .most = (lines) };                                  \
        if (gs_log_on(level))                                                                      \
            gs_log_write(&gs_site_, level, event, __VA_ARGS__);                                    \
    } while (0)
#define GS_LOG(level, event, ...) GS_LOG_AT_MOST(0, level, event, __VA_ARGS__)
#define LOG_ERROR(event, ...) GS_LOG(GS_LOG_ERROR, event, __VA_ARGS__)
#define LOG_WARN(event, ...) GS_LOG(GS_LOG_WARN, event, __VA_ARGS__)
#define LOG_INFO(event, ...) GS_LOG(GS_LOG_INFO, event, __VA_ARGS__)
#define LOG_DEBUG(event, ...) GS_LOG(GS_LOG_DEBUG, event, __VA_ARGS__)

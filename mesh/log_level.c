/* log_level.c - one level, and a timer that takes it back. */
#include "mesh/log_level.h"

#include <inttypes.h>

#include <gossamer/alloc.h>

struct log_level {
    struct gs_loop *loop;
    struct gs_timer timer;
    enum gs_log_level configured, level;
    uint64_t until_ms; /* of the loop's clock; 0: no end */
};

const char *
log_level_name(enum gs_log_level level)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };

    GS_ASSERT((size_t)level < GS_COUNT(names));
    return names[level];
}

/* Told whatever the levels are: who reads the log must know why it changed. */
static void
change(struct log_level *l, enum gs_log_level level, uint64_t for_ms)
{
    gs_log_set_level(level > GS_LOG_WARN ? level : GS_LOG_WARN);
    LOG_WARN("log.level", "level=%s was=%s for_s=%" PRIu64, log_level_name(level),
             log_level_name(l->level), for_ms / 1000);
    gs_log_set_level(level);
    l->level = level;
    gs_loop_disarm(l->loop, &l->timer);
    l->until_ms = for_ms > 0 ? l->loop->now_ms + for_ms : 0;
    if (for_ms > 0)
        gs_loop_arm(l->loop, &l->timer, for_ms);
}

static void
on_timer(struct gs_timer *t)
{
    log_level_reset(GS_CONTAINER(t, struct log_level, timer));
}

struct log_level *
log_level_new(struct gs_loop *loop, enum gs_log_level configured)
{
    struct log_level *l = gs_zalloc(sizeof(*l));

    l->loop = loop;
    l->configured = l->level = configured;
    gs_timer_init(&l->timer, on_timer);
    return l;
}

void
log_level_stop(struct log_level *l)
{
    gs_loop_disarm(l->loop, &l->timer);
}

void
log_level_free(struct log_level *l)
{
    GS_ASSERT(!l || !gs_timer_armed(&l->timer));
    gs_free(l);
}

void
log_level_set(struct log_level *l, enum gs_log_level level, uint64_t for_ms)
{
    change(l, level, for_ms);
}

void
log_level_reset(struct log_level *l)
{
    change(l, l->configured, 0);
}

void
log_level_configure(struct log_level *l, enum gs_log_level configured)
{
    if (l->configured == configured && l->level == configured)
        return;
    l->configured = configured;
    log_level_reset(l);
}

struct log_level_now
log_level_now(const struct log_level *l)
{
    struct log_level_now now = { l->level, l->configured, 0 };

    if (l->until_ms > l->loop->now_ms)
        now.left_ms = l->until_ms - l->loop->now_ms;
    return now;
}

/* journal.h - what happened in the mesh, one line each: to the log at once, and kept for
 * `gossamer events` in a bounded ring. Control thread.
 *
 *     roster, journal_on_event ─▶ journal_tell ─┬─▶ a log line
 *                                               └─▶ [the last JOURNAL_MAX] ─▶ those who follow
 *
 * A reader has a position in the ring and takes lines at its own pace; one that falls behind the
 * oldest is told so, and nobody waits for it. */
#pragma once

#include <gossamer/gossip.h>
#include <gossamer/list.h>
#include <gossamer/log.h>

struct journal;
struct roster;

struct journal *journal_new(void);
void journal_free(struct journal *j); /* nobody follows it any more */

/* One event of the gossip: any type but GOSSIP_EVENT_NODE and _FORGOTTEN, which are
 * roster_on_event()'s. Not for what was restored from this node's own disk: that is no news. */
void journal_on_event(struct journal *j, const struct gossip_event *e, const struct roster *roster,
                      uint64_t wall_ms);

/* ---- telling ---- */

struct journal_field {
    const char *key;
    struct gs_slice text; /* ptr NULL: it is a number */
    uint64_t number;
};

static inline struct journal_field
journal_text(const char *key, struct gs_slice text)
{
    return (struct journal_field){ key, text.ptr ? text : GS_SLICE(""), 0 };
}

static inline struct journal_field
journal_number(const char *key, uint64_t number)
{
    return (struct journal_field){ key, GS_SLICE_NONE, number };
}

/* j: NULL only logs. Texts may be a peer's: of any bytes; in the log they are cut and cannot forge
 * a field. */
void journal_tell(struct journal *j, uint64_t wall_ms, enum gs_log_level level, const char *event,
                  const struct journal_field *fields, size_t count);

/* ---- reading ---- */

uint64_t journal_oldest(const struct journal *j);      /* number of the oldest line that is kept */
uint64_t journal_next_number(const struct journal *j); /* of the next one told */
/* The line of that number, a JSON object without its newline: {"time": seconds since 1970,
 * "event": "member.up", ...}. Borrowed until the next line is told. */
struct gs_slice journal_line(const struct journal *j, uint64_t number);

struct journal_follower { /* embedded by who follows */
    struct gs_list link;
    /* A line was told. Must not tell one. */
    void (*told)(struct journal_follower *f);
};

void journal_follow(struct journal *j, struct journal_follower *f);
void journal_unfollow(struct journal_follower *f);

/* exchange.h - what the two halves of the exchange share: exchange.c (the request and its answer)
 * and attempt.c (getting it answered by some endpoint, more than once if need be). */
#pragma once

#include <gossamer/fsm.h>

#include "proxy/mesh.h"
#include "proxy/pool.h"

enum exchange_state { X_WAITING, X_SENT, X_ANSWERED, X_REFUSED, X_DONE, X_STATES };

struct attempt {
    struct pool_waiter waiter;
    struct side *upstream;           /* takes the request; NULL: none, or it is gone */
    const struct endpoint *endpoint; /* while the root is pinned */
    struct slot *slot;               /* counted as active there; NULL: not under way */
    struct gs_list link;             /* endpoint_state.unanswered, until a head has come */
    struct outlier_trial trial;      /* the endpoint is out, and this attempt tries it */
    uint64_t begun_ns;
    struct inbound_call inbound;
    bool reused; /* the connection had carried another exchange */
    bool mesh;   /* a node of ours answers, and says what became of the request */
};

struct exchange {
    struct side request;
    struct side reply;
    struct side *answer; /* the server connection's */
    struct worker *worker;
    struct exchange *next_free;
    struct snapshot *root;       /* pinned; NULL once no retry is possible */
    struct exchange_route route; /* its pointers are good while pinned */
    struct attempt attempt;
    struct stat_cell *cell;     /* of (service, subset, outbound); NULL: none */
    struct gs_slice head_bytes; /* the request's head as it is sent */
    struct head *trailers;      /* of the request, kept for sending (again) */
    struct gs_buf body;         /* what came of the body while it may (again) be sent */
    struct gs_timer timer;      /* response timeout */
    struct gs_grave grave;
    uint64_t begun_ns;
    uint64_t answered_ns;
    uint32_t service_id;
    struct tried tried;    /* one per attempt */
    uint8_t stale_retries; /* beside those */
    unsigned status;       /* of the answer */
    enum reason ended;     /* why, if not well */
    struct gs_fsm fsm;
    bool is_head, idempotent, chunked, bodyless;
    bool body_whole;    /* `body` holds all of the body that came so far */
    bool body_outgrown; /* not because it grew too large to be kept, and nobody has counted that */
    bool request_over, answer_over;
    bool interim_sent;  /* a 1xx went downstream: no retry any more */
    bool whole_timeout; /* the timer is of all attempts, to the answer's end; else of each head */
    bool retries_used;  /* the last failure would have been retried, were there any left */
    struct gs_arena arena;
    _Alignas(16) char arena_bytes[EXCHANGE_ARENA_BYTES];
};

/* exchange.c, for attempt.c */
void exchange_answer(struct exchange *x, enum reason r, const char *details);
void exchange_release_root(struct exchange *x); /* no further attempt is possible */

/* attempt.c, for exchange.c */
void attempt_init(struct exchange *x);
void attempt_start(struct exchange *x);
/* No answer came of it: another attempt, or an answer of our own. */
void attempt_failed(struct exchange *x, enum reason r);
void attempt_timed_out(struct exchange *x);
/* It ends, and the instance is told by a closed connection. */
void attempt_cancel(struct exchange *x, enum reason r);
/* A head came. True: it is not to be passed on, another attempt has begun. */
bool attempt_head(struct exchange *x, const struct head *h);
/* Might the request be sent again although it was sent? Any might, if a node of ours says that it
 * was not processed, or if the connection was closed before it arrived. */
bool attempt_may_repeat(const struct exchange *x);

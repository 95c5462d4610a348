/* stats.h - counters of one (service, subset, direction) in one worker, summed when read. A cell
 * number is stable over snapshots and belongs to base's registry; label values come from
 * configuration alone, never from traffic. */
#pragma once

#include <gossamer/hist.h>
#include <gossamer/limits.h>
#include <gossamer/reason.h>
#include <gossamer/slice.h>

enum stat_direction { STAT_OUTBOUND, STAT_INBOUND };

/* Why a request was sent again, to another endpoint. */
enum retry_cause {
    RETRY_CONNECT,   /* no connection could be had */
    RETRY_REFUSED,   /* its node has not passed it on, and says so */
    RETRY_RESET,     /* the connection ended before the answer began */
    RETRY_TIMEOUT,   /* no answer began in time */
    RETRY_UNHEALTHY, /* its owner has called it unhealthy meanwhile, or is gone */
    RETRY_CAUSES
};
const char *retry_cause_text(enum retry_cause c);

#define STAT_CODES 24 /* different status codes kept apart; further ones count as class x00 */

struct stat_cell { /* written by one worker with relaxed stores */
    _Atomic uint64_t requests;
    _Atomic uint64_t failed; /* 5xx, or no whole answer */
    _Atomic uint64_t retries[RETRY_CAUSES];
    _Atomic uint64_t retries_denied; /* by the budget */
    _Atomic uint32_t active;
    struct {
        _Atomic uint32_t status;
        _Atomic uint64_t count;
    } codes[STAT_CODES];
    _Atomic uint64_t reasons[REASON_COUNT];
    struct gs_hist latency; /* to the end of the answer's head */
};

struct stat_label {
    struct gs_slice ns, service, subset;
    uint16_t port;
    enum stat_direction direction;
};

/* Which number a label has; control thread. */
struct stat_names;
struct stat_names *stat_names_new(void);
void stat_names_free(struct stat_names *n);
uint32_t stat_names_get(struct stat_names *n,
                        const struct stat_label *label); /* UINT32_MAX: full */
/* NULL: nobody's, or nobody's any more. for (id = 0; id < stat_names_end(n); id++) */
const struct stat_label *stat_names_at(const struct stat_names *n, uint32_t id);
uint32_t stat_names_end(const struct stat_names *n);
/* A blob lists it (UINT32_MAX: it does not); that blob is gone. */
void stat_names_ref(struct stat_names *n, uint32_t id);
void stat_names_unref(struct stat_names *n, uint32_t id);
/* Services come and go with the nodes that have them: give back the numbers of labels that no blob
 * has listed for STAT_KEPT_MS. gone: see to it that nothing of it is left; false: somebody still
 * counts in it, another time. */
typedef bool (*stat_gone_cb)(void *arg, uint32_t id);
void stat_names_reap(struct stat_names *n, uint64_t now_ms, stat_gone_cb gone, void *arg);
size_t stat_names_used(const struct stat_names *n);

/* One worker's cells, made on first use; readable by control meanwhile. */
struct stat_table;
struct stat_table *stat_table_new(void);
void stat_table_free(struct stat_table *t);
struct stat_cell *stat_table_get(struct stat_table *t, uint32_t id); /* the worker; NULL: no id */
const struct stat_cell *stat_table_peek(const struct stat_table *t, uint32_t id); /* may be NULL */
/* All of it is zero again; control, of a cell in which nobody counts and that no root lists. */
void stat_table_clear(struct stat_table *t, uint32_t id);

void stat_cell_answer(struct stat_cell *c, unsigned status, enum reason r, uint64_t latency_us);

static inline void
stat_add(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* One more, or one less, that holds the cell: it is nobody else's until then. */
static inline void
stat_active(struct stat_cell *c, int by)
{
    atomic_store_explicit(&c->active,
                          atomic_load_explicit(&c->active, memory_order_relaxed) + (uint32_t)by,
                          memory_order_relaxed);
}

struct stat_sum {
    uint64_t requests, failed, active;
    uint64_t retries[RETRY_CAUSES], retries_denied;
    struct {
        uint32_t status;
        uint64_t count;
    } codes[STAT_CODES];
    uint64_t reasons[REASON_COUNT];
    struct gs_hist_sum latency;
};

void stat_sum_add(struct stat_sum *s, const struct stat_cell *c);
uint64_t stat_sum_retries(const struct stat_sum *s); /* of all causes */

/* load.c - a loop on a thread: a timer begins what is due, an asker does it, answers are counted
 * under a lock.
 *
 *     timer ─▶ begin_due ─▶ asker_get ─▶ (node) ─▶ on_answer ─▶ count of its mark, total
 *                                                                  ▲ read by the tour's thread */
#include "mesh/demo/load.h"

#include <pthread.h>
#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/h1.h>
#include <gossamer/tree.h>

#include "mesh/config/json.h"
#include "mesh/demo/asker.h"

#define ANSWER_MS 5000 /* for one answer; the services take milliseconds */
#define PATH_BYTES_MAX 128
#define UNANSWERED_MAX 512 /* 5 s of what is not answered at 100 a second */
#define BEHIND_MS 50       /* a machine that was busy is not asked for more afterwards */
#define DEPTH_MAX 8        /* services behind services, in an answer */

struct count {
    struct load_count sum; /* but for the latency */
    struct gs_hist latency;
};

struct load {
    struct load_options o;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    unsigned per_second;
    load_mark_t mark; /* the present one */
    struct count marks[LOAD_MARKS];
    struct count total;
    /* the thread's own */
    struct gs_loop *loop;
    struct gs_wake *stop;
    struct gs_timer timer;
    struct asker *asker;
    struct h1_pool *pool;
    bool stopping;
    unsigned paced; /* the pace that `since_ns` and `begun` are of */
    uint64_t since_ns, begun, number;
};

struct request {
    struct load *load;
    load_mark_t mark;
};

/* ---- counting ---- */

static void
find_version(const struct tree *answer, const char *service, unsigned depth, unsigned *version)
{
    const struct tree *name = tree_find(answer, "service");
    const struct tree *v = tree_find(answer, "version");
    const struct tree *calls = tree_find(answer, "calls");

    if (name && v && gs_slice_eq(name->text, gs_slice_str(service)))
        *version = gs_slice_eq(v->text, GS_SLICE("v1"))   ? 1
                   : gs_slice_eq(v->text, GS_SLICE("v2")) ? 2
                                                          : 0;
    for (size_t i = 0; calls && depth < DEPTH_MAX && i < calls->count; i++)
        find_version(calls->items[i], service, depth + 1, version);
}

/* What the service farthest behind has to say: it was the first that failed. */
static const char *
find_error(const struct tree *answer, unsigned depth)
{
    const struct tree *error = tree_find(answer, "error");
    const struct tree *calls = tree_find(answer, "calls");
    const char *deeper = NULL;

    for (size_t i = 0; calls && depth < DEPTH_MAX && i < calls->count && !deeper; i++)
        deeper = find_error(calls->items[i], depth + 1);
    return deeper ? deeper : error ? error->text.ptr : NULL;
}

/* 1 or 2; 0 if the answer is none that names one, and why it is not. */
static unsigned
read_answer(const struct load *l, const struct asker_answer *a, char *why, size_t size)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree *root;
    const char *error = NULL;
    unsigned v = 0;

    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 4096);
    if (tree_parse_json(a->body, NULL, &arena, &root, &problems) == GS_E_OK) {
        find_version(root, l->o.service, 0, &v);
        error = find_error(root, 0);
    }
    if (error)
        (void)snprintf(why, size, "answered %u: %s", a->status, error);
    else
        (void)snprintf(why, size, "answered %u: %.*s", a->status,
                       (int)(a->body.len < 200 ? a->body.len : 200),
                       a->body.len > 0 ? a->body.ptr : "");
    why[strcspn(why, "\r\n")] = '\0';
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
    return a->status == 200 ? v : 0;
}

static void
add(struct count *c, unsigned version, const char *failure, uint64_t took_us)
{
    GS_ASSERT(version <= 2);
    GS_ASSERT(version > 0 || failure[0]);
    c->sum.ended++;
    c->sum.v1 += version == 1;
    c->sum.v2 += version == 2;
    c->sum.failed += version == 0;
    if (version == 0 && !c->sum.failure[0])
        (void)snprintf(c->sum.failure, sizeof(c->sum.failure), "%s", failure);
    if (version > 0)
        gs_hist_add(&c->latency, took_us);
    GS_ASSERT(c->sum.ended <= c->sum.begun);
    GS_ASSERT(c->sum.ended == c->sum.v1 + c->sum.v2 + c->sum.failed);
}

static void
count(struct load *l, load_mark_t mark, unsigned version, const char *failure, uint64_t took_us)
{
    (void)pthread_mutex_lock(&l->lock);
    add(&l->marks[mark % LOAD_MARKS], version, failure, took_us);
    add(&l->total, version, failure, took_us);
    (void)pthread_mutex_unlock(&l->lock);
}

static void
on_answer(void *arg, const struct asker_answer *a)
{
    struct request *r = arg;
    struct load *l = r->load;
    unsigned version = 0;
    char why[256];

    if (a->status == 0)
        (void)snprintf(why, sizeof(why), "%s", a->why);
    else
        version = read_answer(l, a, why, sizeof(why));
    if (!l->stopping)
        count(l, r->mark, version, why, a->took_us);
    gs_free(r);
}

/* ---- the pace ---- */

static void
begin(struct load *l)
{
    struct request *r = gs_zalloc(sizeof(*r));
    char path[PATH_BYTES_MAX];
    struct load_count *c;
    uint64_t under_way;
    bool full;

    r->load = l;
    (void)pthread_mutex_lock(&l->lock);
    r->mark = l->mark;
    c = &l->marks[l->mark % LOAD_MARKS].sum;
    c->begun++;
    l->total.sum.begun++;
    under_way = l->total.sum.begun - l->total.sum.ended;
    c->at_once = under_way > c->at_once ? under_way : c->at_once;
    full = under_way > UNANSWERED_MAX;
    (void)pthread_mutex_unlock(&l->lock);
    l->begun++;
    (void)snprintf(path, sizeof(path), "%s%llu", l->o.path, (unsigned long long)++l->number);
    if (full)
        on_answer(r, &(struct asker_answer){ .why = "too many requests were not answered yet" });
    else
        asker_get(l->asker, l->o.host, path, ANSWER_MS, on_answer, r);
}

static void
begin_due(struct load *l)
{
    uint64_t behind_ns = (uint64_t)BEHIND_MS * 1000000;
    uint64_t due, elapsed_ns;
    unsigned pace;

    (void)pthread_mutex_lock(&l->lock);
    pace = l->per_second;
    GS_ASSERT(pace > 0);
    (void)pthread_mutex_unlock(&l->lock);
    gs_loop_clock(l->loop);
    elapsed_ns = l->loop->now_ns - l->since_ns;
    if (pace != l->paced ||
        elapsed_ns * pace / 1000000000 > l->begun + behind_ns * pace / 1000000000) {
        l->paced = pace;
        l->since_ns = l->loop->now_ns;
        l->begun = elapsed_ns = 0;
    }
    due = elapsed_ns * pace / 1000000000;
    while (l->begun < due)
        begin(l);
}

static void
on_timer(struct gs_timer *t)
{
    struct load *l = GS_CONTAINER(t, struct load, timer);

    begin_due(l);
    gs_loop_arm(l->loop, &l->timer, LOOP_TICK_MS);
}

/* ---- the thread ---- */

static void
on_stop(void *arg)
{
    struct load *l = arg;

    GS_ASSERT(!l->stopping);
    l->stopping = true;
    gs_loop_disarm(l->loop, &l->timer);
    asker_close(l->asker);
    gs_wake_close(l->stop);
    gs_loop_stop(l->loop);
}

static void *
run(void *arg)
{
    struct load *l = arg;

    gs_loop_run(l->loop);
    return NULL;
}

struct load *
load_new(const struct load_options *o)
{
    struct load *l = gs_zalloc(sizeof(*l));

    GS_ASSERT(o->per_second > 0);
    GS_ASSERT(o->host && o->path && o->service);
    l->o = *o;
    l->per_second = l->paced = o->per_second;
    GS_ASSERT(pthread_mutex_init(&l->lock, NULL) == 0);
    l->loop = gs_loop_new("load", gs_rng_seed_from_system());
    l->pool = h1_pool_new();
    l->asker = asker_new(l->loop, l->pool, &o->to);
    l->stop = gs_wake_new(l->loop, on_stop, l);
    gs_timer_init(&l->timer, on_timer);
    gs_loop_clock(l->loop);
    l->since_ns = l->loop->now_ns;
    gs_loop_arm(l->loop, &l->timer, LOOP_TICK_MS);
    GS_ASSERT(pthread_create(&l->thread, NULL, run, l) == 0);
    return l;
}

void
load_free(struct load *l)
{
    if (!l)
        return;
    gs_wake_send(l->stop);
    GS_ASSERT(pthread_join(l->thread, NULL) == 0);
    gs_loop_free(l->loop);
    h1_pool_free(l->pool);
    (void)pthread_mutex_destroy(&l->lock);
    gs_free(l);
}

/* ---- for the tour's thread ---- */

void
load_pace(struct load *l, unsigned per_second)
{
    GS_ASSERT(per_second > 0);
    (void)pthread_mutex_lock(&l->lock);
    l->per_second = per_second;
    (void)pthread_mutex_unlock(&l->lock);
}

load_mark_t
load_mark(struct load *l)
{
    struct count *c;
    load_mark_t mark;

    (void)pthread_mutex_lock(&l->lock);
    mark = ++l->mark;
    c = &l->marks[mark % LOAD_MARKS];
    GS_ASSERT(c->sum.begun == c->sum.ended); /* nobody makes so many marks in ANSWER_MS */
    *c = (struct count){ 0 };
    (void)pthread_mutex_unlock(&l->lock);
    return mark;
}

static void
read_count(const struct count *c, struct load_count *out)
{
    *out = c->sum;
    gs_hist_sum_add(&out->latency, &c->latency);
}

void
load_read(struct load *l, load_mark_t mark, struct load_count *out)
{
    (void)pthread_mutex_lock(&l->lock);
    GS_ASSERT(l->mark - mark < LOAD_MARKS);
    read_count(&l->marks[mark % LOAD_MARKS], out);
    (void)pthread_mutex_unlock(&l->lock);
}

bool
load_settled(struct load *l, load_mark_t mark)
{
    bool settled = true;

    (void)pthread_mutex_lock(&l->lock);
    GS_ASSERT(l->mark - mark < LOAD_MARKS);
    for (unsigned i = 0; i < LOAD_MARKS; i++) {
        const struct load_count *c = &l->marks[(mark - 1 - i) % LOAD_MARKS].sum;

        if (l->mark - (mark - 1 - i) < LOAD_MARKS)
            settled = settled && c->begun == c->ended;
    }
    (void)pthread_mutex_unlock(&l->lock);
    return settled;
}

void
load_total(struct load *l, struct load_count *out)
{
    (void)pthread_mutex_lock(&l->lock);
    read_count(&l->total, out);
    (void)pthread_mutex_unlock(&l->lock);
}

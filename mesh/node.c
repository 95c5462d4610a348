/* node.c - wires the record store, the model and the proxy; the only file that sees all three.
 *
 *   start   config ─▶ lock ─▶ key, node.state ─▶ store ◀─ mesh.state ─▶ model ─▶ snapshot
 *           ─▶ workers, admin, health checks
 *   change  store ──events──▶ model ──flush──▶ publish ─▶ workers adopt   (node_commit)
 *                                 └─▶ persist                └─▶ the operator's answer
 *   stop    SIGTERM ─▶ proxy drains ─▶ state saved ─▶ admin, health closed ─▶ loop ends */
#include "mesh/node.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/gossip.h>
#include <gossamer/log.h>
#include <gossamer/proxy.h>
#include <gossamer/seal.h>
#include <gossamer/trim.h>
#include <gossamer/work.h>

#include "mesh/admin.h"
#include "mesh/config/config.h"
#include "mesh/health.h"
#include "mesh/node_run.h"
#include "mesh/port_owner.h"
#include "mesh/state.h"

#define REAP_MS 100
#define TICK_MS 10000 /* tombstones are kept for hours */

struct running { /* a node and what only its start and stop need */
    struct node node;
    struct h1_pool *h1;
    struct admin *admin;
    struct health *health;
    struct seal_key *key;
    struct gs_signal *term, *interrupt, *hangup;
    struct gs_timer reap; /* armed while old roots live */
    struct gs_timer tick;
    struct gs_timer adopt; /* armed while commits wait for workers */
    struct gs_timer sample;
    struct gs_list commits;  /* saved, not yet adopted */
    struct state_file state; /* of mesh.state, kept while unknown frames must be kept */
    uint64_t boot;
    struct proxy_caller *callers; /* in caller_arena */
    struct gs_arena caller_arena;
    int lock_fd;
    bool announced;
};

uint64_t
node_wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

static struct running *
running_of(struct node *n)
{
    return GS_CONTAINER(n, struct running, node);
}

/* ---- the state directory ---- */

static gs_err
make_dirs(const char *path, struct gs_why *why)
{
    char part[4096];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return gs_refuse(why, GS_E_INVALID, "state_dir is too long: %s", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return gs_refuse(why, GS_E_IO,
                             "cannot make %s: %s; set state_dir to a directory you may write", part,
                             strerror(errno));
    }
    return GS_E_OK;
}

/* One process per state_dir: the lock holds its pid for the message of the next one. */
static gs_err
lock_dir(struct running *r, const char *dir, struct gs_why *why)
{
    char path[4096];
    char pid[32] = "";
    ssize_t n;

    snprintf(path, sizeof(path), "%s/lock", dir);
    r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (r->lock_fd < 0)
        return gs_refuse(why, GS_E_IO, "cannot open %s: %s", path, strerror(errno));
    if (flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        n = read(r->lock_fd, pid, sizeof(pid) - 1);
        if (n > 0 && pid[n - 1] == '\n')
            pid[n - 1] = '\0';
        return gs_refuse(
            why, GS_E_IN_USE,
            "state_dir %s is held by another gossamer (pid %s); stop it or set another "
            "state_dir",
            dir, pid[0] ? pid : "unknown");
    }
    n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(r->lock_fd, 0) != 0 || pwrite(r->lock_fd, pid, (size_t)n, 0) != n)
        return gs_refuse(why, GS_E_IO, "cannot write %s: %s", path, strerror(errno));
    return GS_E_OK;
}

/* node.state: a boot number above every former one, even when the disk was lost. */
static void
start_boot(struct running *r, const char *dir, struct state_node *last, struct gs_why *why)
{
    struct state_file file = { 0 };
    struct state_writer w;
    struct gs_slice bytes;
    uint64_t wall = node_wall_ms();
    gs_err e = state_load(dir, "node.state", STATE_NODE, wall, &file, why);

    *last = (struct state_node){ 0 };
    if (e == GS_E_OK)
        e = state_read_node(&file, last, why);
    if (e != GS_E_OK && e != GS_E_NOT_FOUND)
        LOG_WARN("state.set_aside", "file=node.state why=\"%s\"", why->text);
    state_file_fini(&file);
    r->boot = last->boot + 1 > wall ? last->boot + 1 : wall;
    last->boot = r->boot;
    state_writer_init(&w, STATE_NODE);
    state_put_node(&w, last);
    e = state_end(&w, &bytes);
    if (e == GS_E_OK)
        e = state_save(dir, "node.state", bytes, why);
    state_writer_fini(&w);
    /* A full disk must not keep the last known mesh from being served: the clock alone makes the
     * next boot number higher. */
    if (e != GS_E_OK)
        LOG_ERROR("state.not_saved", "file=node.state why=\"%s\"", why->text);
}

static void
save_boot(struct running *r)
{
    struct state_node s = { .boot = r->boot, .hlc = gossip_hlc(r->node.gossip) };
    struct state_writer w;
    struct gs_slice bytes;
    struct gs_why why = { "" };

    state_writer_init(&w, STATE_NODE);
    state_put_node(&w, &s);
    if (state_end(&w, &bytes) != GS_E_OK ||
        state_save(r->node.config->state_dir, "node.state", bytes, &why) != GS_E_OK)
        LOG_ERROR("state.not_saved", "file=node.state why=\"%s\"", why.text);
    state_writer_fini(&w);
}

/* ---- records ---- */

static void
on_record(struct node *n, const struct gossip_record *r)
{
    struct gs_why why = { "" };
    struct model_record m = { .kind = r->kind,
                              .key = r->key,
                              .value = r->value,
                              .deleted = r->tombstone,
                              .version = r->version,
                              .born_hlc = r->born_hlc,
                              .transaction = r->transaction,
                              .transaction_count = r->transaction_count,
                              .hash = r->hash };

    if (model_on_record(n->model, &m, &why) != GS_E_OK)
        LOG_WARN("policy.rejected", "key=%.*s why=\"%s\"", GS_SLICE_FMT(r->key), why.text);
}

static void
on_transaction(struct node *n, const struct gossip_transaction *t)
{
    struct model_member members[APPLY_OBJECTS_MAX];
    size_t count = t->count < APPLY_OBJECTS_MAX ? t->count : APPLY_OBJECTS_MAX;

    for (size_t i = 0; i < count; i++)
        members[i] = (struct model_member){ t->members[i].key, t->members[i].version };
    model_on_transaction(n->model, t->id, members, count);
}

static void
drain_events(struct node *n)
{
    struct gossip_event e;

    while (gossip_next_event(n->gossip, &e)) {
        switch (e.type) {
        case GOSSIP_EVENT_RECORD:
            on_record(n, &e.record);
            break;
        case GOSSIP_EVENT_TRANSACTION:
            on_transaction(n, &e.transaction);
            break;
        case GOSSIP_EVENT_CONFLICT:
            LOG_WARN("policy.conflict", "key=%.*s", GS_SLICE_FMT(e.key));
            break;
        case GOSSIP_EVENT_REFUSED:
        case GOSSIP_EVENT_CLOCK_AHEAD:
        case GOSSIP_EVENT_BELOW_FLOOR:
            LOG_WARN("record.refused", "key=%.*s ahead_ms=%" PRIu64, GS_SLICE_FMT(e.key),
                     e.ahead_ms);
            break;
        }
    }
}

static void
reap_later(struct running *r)
{
    if (!gs_timer_armed(&r->reap))
        gs_loop_arm(r->node.loop, &r->reap, REAP_MS);
}

static uint64_t
flush_model(struct node *n)
{
    struct model_flushed f = model_flush(n->model);

    if (f.seq > 0)
        reap_later(running_of(n));
    return f.seq > 0 ? f.seq : snapshot_current(n->hub)->seq;
}

static void
build_state(void *arg, struct state_writer *w)
{
    struct running *r = arg;
    struct gossip_cursor cursor = { 0 };
    struct gossip_frame frame;
    struct gs_buf buf;
    size_t at = 0;

    while (gossip_next_frame(r->node.gossip, &cursor, &frame))
        state_put(w, frame.kind, frame.bytes);
    gs_buf_init(&buf, OBJECT_BYTES_MAX * 2);
    while (model_next_frame(r->node.model, &at, &buf))
        state_put(w, MODEL_FRAME_ACTIVE, gs_buf_slice(&buf));
    gs_buf_fini(&buf);
    for (size_t i = 0; i < r->state.count; i++) /* of a newer version: kept as they are */
        state_put(w, r->state.frames[i].kind, r->state.frames[i].bytes);
}

static void
restore_frame(struct running *r, const struct state_frame *f, size_t *unknown)
{
    struct gs_why why = { "" };
    gs_err e;

    if (f->kind == MODEL_FRAME_ACTIVE)
        e = model_restore(r->node.model, f->bytes, &why);
    else
        e = gossip_restore(r->node.gossip, r->node.loop->now_ms, node_wall_ms(), f->kind, f->bytes,
                           &why);
    if (e == GS_E_UNSUPPORTED)
        r->state.frames[(*unknown)++] = *f;
    else if (e != GS_E_OK)
        LOG_WARN("state.frame_left_out", "kind=%u why=\"%s\"", f->kind, why.text);
}

static void
restore(struct running *r)
{
    struct gs_why why = { "" };
    size_t unknown = 0;
    gs_err e = state_load(r->node.config->state_dir, "mesh.state", STATE_MESH, node_wall_ms(),
                          &r->state, &why);

    if (e != GS_E_OK) {
        if (e != GS_E_NOT_FOUND)
            LOG_WARN("state.set_aside", "file=mesh.state why=\"%s\"", why.text);
        return;
    }
    for (size_t i = 0; i < r->state.count; i++)
        restore_frame(r, &r->state.frames[i], &unknown);
    r->state.count = unknown;
    drain_events(&r->node);
}

/* ---- commits ---- */

static void
commits_check(struct running *r)
{
    uint64_t adopted = snapshot_adopted_by_all(r->node.hub);

    GS_LIST_EACH_SAFE(n, &r->commits) {
        struct node_commit *c = GS_LIST_ENTRY(n, struct node_commit, link);

        if (adopted < c->seq)
            continue;
        gs_list_remove(&c->link);
        c->done(c);
    }
    if (!gs_list_empty(&r->commits))
        gs_loop_arm(r->node.loop, &r->adopt, LOOP_TICK_MS);
}

static void
on_adopt(struct gs_timer *t)
{
    commits_check(GS_CONTAINER(t, struct running, adopt));
}

static void
on_saved(struct persist_waiter *w, gs_err e, const char *why)
{
    struct node_commit *c = GS_CONTAINER(w, struct node_commit, waiter);
    struct running *r = running_of(c->node);

    c->saved = e;
    snprintf(c->why, sizeof(c->why), "%s", why);
    gs_list_push_back(&r->commits, &c->link);
    commits_check(r);
}

void
node_commit(struct node *n, struct node_commit *c)
{
    drain_events(n);
    c->node = n;
    c->seq = flush_model(n);
    c->waiter.done = on_saved;
    persist_save(n->persist, &c->waiter);
}

/* ---- timers ---- */

static void
on_reap(struct gs_timer *t)
{
    struct running *r = GS_CONTAINER(t, struct running, reap);

    snapshot_reap(r->node.hub);
    slots_reap(r->node.slots);
    if (snapshot_live_roots(r->node.hub) > 1)
        reap_later(r);
}

static void
on_tick(struct gs_timer *t)
{
    struct running *r = GS_CONTAINER(t, struct running, tick);

    gossip_tick(r->node.gossip, r->node.loop->now_ms);
    slots_reap(r->node.slots); /* those whose last pooled connection has ended since */
    gs_loop_arm(r->node.loop, &r->tick, TICK_MS);
}

static void
on_sample(struct gs_timer *t)
{
    struct running *r = GS_CONTAINER(t, struct running, sample);

    stat_window_sample(r->node.window, &r->node);
    gs_loop_arm(r->node.loop, &r->sample, STAT_SAMPLE_MS);
}

/* ---- services ---- */

static void
on_health(void *arg, const struct health_check *check, enum health_verdict verdict, const char *why)
{
    struct running *r = arg;
    char addr[GS_ADDR_TEXT];

    LOG_INFO(verdict == HEALTH_UP ? "instance.up" : "instance.down",
             "service=%s.%s:%u endpoint=%s check=\"%s\"", check->service, check->ns, check->port,
             gs_addr_text(&check->address, addr), why);
    if (verdict == HEALTH_NEVER)
        return;
    if (model_set_health(r->node.model, gs_slice_str(check->ns), gs_slice_str(check->service),
                         check->port, &check->address,
                         verdict == HEALTH_UP ? TIER_HEALTHY : TIER_UNHEALTHY) == GS_E_OK)
        flush_model(&r->node);
}

static gs_err
add_service(struct running *r, const struct config_service *s, struct gs_why *why)
{
    struct gs_arena arena;
    struct model_instance *instances;
    struct model_service m = { .ns = gs_slice_str(s->ns),
                               .name = gs_slice_str(s->name),
                               .port = (uint16_t)s->port,
                               .protocol = GS_SLICE("http"),
                               .instance_count = s->instances.count };
    gs_err e;

    gs_arena_init(&arena, NULL, 0, 4096);
    instances = gs_arena_zalloc(&arena, (s->instances.count + 1) * sizeof(*instances));
    m.instances = instances;
    for (size_t i = 0; i < s->instances.count; i++) {
        const struct config_labels *labels = &s->instances.items[i].labels;
        struct policy_pair *pairs = gs_arena_zalloc(&arena, (labels->count + 1) * sizeof(*pairs));

        for (size_t l = 0; l < labels->count; l++)
            pairs[l] = (struct policy_pair){ gs_slice_str(labels->items[l].name),
                                             gs_slice_str(labels->items[l].value) };
        instances[i] =
            (struct model_instance){ s->instances.items[i].address, pairs, labels->count };
    }
    e = model_set_service(r->node.model, &m, why);
    gs_arena_fini(&arena);
    return e;
}

static void
watch_service(struct running *r, const struct config_service *s)
{
    for (size_t i = 0; i < s->instances.count; i++) {
        const struct config_instance *in = &s->instances.items[i];
        struct health_check check = { .ns = s->ns,
                                      .service = s->name,
                                      .port = (uint16_t)s->port,
                                      .address = in->address,
                                      .http = in->health.http,
                                      .interval_ms = in->health.interval_ms,
                                      .timeout_ms = in->health.timeout_ms,
                                      .rise = in->health.rise,
                                      .fall = in->health.fall };

        health_add(r->health, &check);
    }
}

/* ---- stop ---- */

static void
on_health_closed(void *arg)
{
    struct running *r = arg;

    r->health = NULL;
    gs_signal_close(r->term);
    gs_signal_close(r->interrupt);
    gs_signal_close(r->hangup);
    gs_loop_stop(r->node.loop);
}

static void
on_admin_closed(void *arg)
{
    struct running *r = arg;

    r->admin = NULL;
    health_close(r->health, on_health_closed);
}

static void
on_state_saved(void *arg)
{
    struct running *r = arg;
    struct gs_list *l;

    while ((l = gs_list_pop_front(&r->commits))) { /* the workers are gone: they adopt no more */
        struct node_commit *c = GS_LIST_ENTRY(l, struct node_commit, link);

        c->done(c);
    }
    gs_loop_disarm(r->node.loop, &r->reap);
    gs_loop_disarm(r->node.loop, &r->tick);
    gs_loop_disarm(r->node.loop, &r->adopt);
    gs_loop_disarm(r->node.loop, &r->sample);
    save_boot(r);
    admin_close(r->admin, on_admin_closed, r);
}

static void
on_drained(void *arg)
{
    struct running *r = arg;

    persist_drain(r->node.persist, on_state_saved, r);
}

static void
on_term(void *arg, int signum)
{
    struct running *r = arg;

    if (r->node.draining) {
        if (signum == SIGINT) { /* a second Ctrl-C means now */
            LOG_WARN("node.stopped", "why=\"second interrupt\"");
            _exit(1);
        }
        return;
    }
    LOG_INFO("node.draining", "signal=%d", signum);
    r->node.draining = true;
    proxy_drain(r->node.proxy, r->node.loop, on_drained, r);
}

/* A terminal that closes, or an operator who expects a reload: neither may cut requests. */
static void
on_hangup(void *arg, int signum)
{
    (void)arg;
    (void)signum;
    LOG_WARN("config.not_reloaded", "why=\"not in this version; restart to read %s again\"",
             "the configuration");
}

/* ---- start ---- */

static void
explain_port(const struct gs_addr *addr, const char *key, struct gs_why *why)
{
    struct gs_buf out;

    gs_buf_init(&out, sizeof(why->text));
    gs_buf_put_str(&out, why->text);
    if (port_owner(addr, &out))
        gs_buf_printf(&out, " holds it; stop it or set %s", key);
    else
        gs_buf_printf(&out, "; set %s to another port", key);
    snprintf(why->text, sizeof(why->text), "%s", gs_buf_cstr(&out));
    gs_buf_fini(&out);
}

static void
explain_proxy_port(struct running *r, uint32_t callers, struct gs_why *why)
{
    const struct gs_addr *addr = &r->node.config->proxy.inbound;
    const char *key = "proxy.inbound";
    char text[GS_ADDR_TEXT];
    size_t len = strlen(why->text);

    for (uint32_t i = 0; i < callers; i++) {
        if (!strstr(why->text, gs_addr_text(&r->callers[i].outbound, text)))
            continue;
        addr = &r->callers[i].outbound;
        key = i == 0 ? "proxy.outbound" : "services[].outbound";
    }
    if (len + 2 < sizeof(why->text))
        memcpy(why->text + len, ": ", 3);
    explain_port(addr, key, why);
}

static const char *
service_caller(struct running *r, const struct config_service *s)
{
    return gs_arena_printf(&r->caller_arena, "%s/%s", s->ns, s->name);
}

/* Until there are certificates: who comes in by a service's own outbound listener is that service;
 * else the only service of a node that hosts one; else the node. Returns how many there are. */
static uint32_t
make_callers(struct running *r)
{
    const struct config *c = r->node.config;
    uint32_t n = 1;

    gs_arena_init(&r->caller_arena, NULL, 0, 1024);
    r->callers = gs_arena_zalloc(&r->caller_arena, (c->services.count + 1) * sizeof(*r->callers));
    r->callers[0].outbound = c->proxy.outbound;
    r->callers[0].name = c->services.count == 1
                             ? service_caller(r, &c->services.items[0])
                             : gs_arena_printf(&r->caller_arena, "node/%s", c->node);
    for (size_t i = 0; i < c->services.count; i++) {
        const struct config_service *s = &c->services.items[i];

        if (s->outbound.family != 0)
            r->callers[n++] = (struct proxy_caller){ service_caller(r, s), s->outbound };
    }
    return n;
}

static gs_err
start_proxy(struct running *r, uint32_t workers, bool one_thread, struct gs_why *why)
{
    const struct config *c = r->node.config;
    struct proxy_options o = { .callers = r->callers,
                               .caller_count = make_callers(r),
                               .inbound = c->proxy.inbound,
                               .workers = workers,
                               .shared = one_thread ? r->node.loop : NULL,
                               .hub = r->node.hub,
                               .connect_ms = c->timeouts.connect_ms,
                               .head_ms = c->timeouts.head_ms,
                               .body_idle_ms = c->timeouts.body_idle_ms,
                               .response_ms = c->timeouts.response_ms,
                               .drain_ms = c->timeouts.drain_ms,
                               .idle_ms = c->timeouts.idle_ms,
                               .node = c->node,
                               .seed = gs_rng_seed_from_system() };
    gs_err e;

    o.callers = r->callers;
    e = proxy_start(&o, &r->node.proxy, why);
    if (e == GS_E_IN_USE)
        explain_proxy_port(r, o.caller_count, why);
    return e;
}

static gs_err
start_admin(struct running *r, struct gs_why *why)
{
    const struct config *c = r->node.config;
    struct admin_options o = { &r->node, r->node.loop, r->h1, c->admin.listen, c->admin.socket };
    gs_err e = admin_start(&o, &r->admin, why);

    if (e == GS_E_IN_USE && strstr(why->text, "cannot listen on") &&
        !strstr(why->text, c->admin.socket)) {
        size_t len = strlen(why->text);

        if (len + 2 < sizeof(why->text))
            memcpy(why->text + len, ": ", 3);
        explain_port(&c->admin.listen, "admin.listen", why);
    }
    return e;
}

static gs_err
start_model(struct running *r, uint32_t workers, struct gs_why *why)
{
    const struct config *c = r->node.config;
    struct node *n = &r->node;
    struct model_options o = { .node = gs_slice_str(c->node),
                               .zone = gs_slice_str(c->zone ? c->zone : ""),
                               .ns = gs_slice_str(c->ns),
                               .root_ns = gs_slice_str(c->root_namespace) };
    gs_err e = GS_E_OK;

    n->slots = slots_new();
    n->hub = snapshot_hub_new(n->slots, workers);
    n->stat_names = stat_names_new();
    o.slots = n->slots;
    o.hub = n->hub;
    o.stat_names = n->stat_names;
    n->model = model_new(&o);
    for (size_t i = 0; i < c->services.count && e == GS_E_OK; i++)
        e = add_service(r, &c->services.items[i], why);
    return e;
}

static gs_err
start_store(struct running *r, struct gs_why *why)
{
    const char *dir = r->node.config->state_dir;
    struct state_node last;
    struct gossip_options o = { 0 };
    bool made = false;
    gs_err e;

    if ((e = make_dirs(dir, why)) != GS_E_OK || (e = lock_dir(r, dir, why)) != GS_E_OK ||
        (e = seal_key_load(dir, &r->key, &made, why)) != GS_E_OK)
        return e;
    start_boot(r, dir, &last, why);
    r->node.id = seal_key_id(r->key);
    o.self = r->node.id;
    o.hlc = last.hlc;
    o.boot = r->boot;
    r->node.gossip = gossip_new(&o);
    r->node.persist = persist_new(r->node.loop, dir, build_state, r);
    return GS_E_OK;
}

static void
free_all(struct running *r)
{
    struct node *n = &r->node;

    proxy_free(n->proxy);
    gs_loop_free(n->loop);
    persist_free(n->persist);
    model_free(n->model);
    gossip_free(n->gossip);
    state_file_fini(&r->state);
    snapshot_hub_free(n->hub);
    slots_free(n->slots);
    stat_names_free(n->stat_names);
    stat_window_free(n->window);
    seal_key_free(r->key);
    if (r->callers)
        gs_arena_fini(&r->caller_arena);
    h1_pool_free(r->h1);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    gs_free(r);
}

static void
announce(struct running *r, uint32_t workers)
{
    const struct config *c = r->node.config;
    char outbound[GS_ADDR_TEXT], inbound[GS_ADDR_TEXT], admin[GS_ADDR_TEXT], id[GS_ID_TEXT];
    struct gs_addr o = proxy_outbound_addr(r->node.proxy, 0);
    struct gs_addr i = proxy_inbound_addr(r->node.proxy);
    struct gs_addr a = admin_addr(r->admin);

    LOG_INFO("node.started",
             "node=%s id=%s outbound=%s inbound=%s admin=%s socket=%s workers=%u services=%zu",
             c->node, gs_id_text(&r->node.id, id), gs_addr_text(&o, outbound),
             gs_addr_text(&i, inbound), gs_addr_text(&a, admin), c->admin.socket, workers,
             c->services.count);
}

static void
tell_identity(const struct config *c)
{
    char inbound[GS_ADDR_TEXT];

    if (c->identity.mode == CONFIG_IDENTITY_OFF)
        LOG_WARN("identity.off",
                 "inbound=%s why=\"nobody is authenticated, nothing between nodes is encrypted\"",
                 gs_addr_text(&c->proxy.inbound, inbound));
}

static void
start_watching(struct running *r)
{
    struct node *n = &r->node;

    r->term = gs_signal_watch(n->loop, SIGTERM, on_term, r);
    r->interrupt = gs_signal_watch(n->loop, SIGINT, on_term, r);
    r->hangup = gs_signal_watch(n->loop, SIGHUP, on_hangup, r);
    r->health = health_new(n->loop, r->h1, on_health, r);
    for (size_t i = 0; i < n->config->services.count; i++)
        watch_service(r, &n->config->services.items[i]);
    gs_loop_arm(n->loop, &r->tick, TICK_MS);
    gs_loop_arm(n->loop, &r->sample, STAT_SAMPLE_MS);
    stat_window_sample(n->window, n);
}

static struct running *
running_new(const struct config *c)
{
    struct running *r = gs_zalloc(sizeof(*r));

    r->lock_fd = -1;
    r->node.config = c;
    r->node.loop = gs_loop_new("control", gs_rng_seed_from_system());
    r->node.started_ms = r->node.loop->now_ms;
    r->node.window = stat_window_new();
    r->h1 = h1_pool_new();
    gs_list_init(&r->commits);
    gs_timer_init(&r->reap, on_reap);
    gs_timer_init(&r->tick, on_tick);
    gs_timer_init(&r->adopt, on_adopt);
    gs_timer_init(&r->sample, on_sample);
    return r;
}

#define DESCRIPTORS_MIN 48 /* loops, listeners, state files, and a few to serve anybody with */

static gs_err
check_descriptors(struct gs_why *why)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= DESCRIPTORS_MIN)
        return GS_E_OK;
    return gs_refuse(why, GS_E_IO,
                     "only %llu open files are allowed, at least %d are needed; raise the limit "
                     "(ulimit -n, or LimitNOFILE= of the unit)",
                     (unsigned long long)l.rlim_cur, DESCRIPTORS_MIN);
}

gs_err
node_run(const struct config *c, const struct node_run_options *o, struct gs_why *why)
{
    struct running *r;
    gs_err e = check_descriptors(why);

    if (e != GS_E_OK)
        return e;
    r = running_new(c);

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of that write */
    if ((e = start_store(r, why)) != GS_E_OK || (e = start_model(r, o->workers, why)) != GS_E_OK)
        goto failed;
    restore(r);
    flush_model(&r->node);
    if ((e = start_admin(r, why)) != GS_E_OK)
        goto failed;
    if ((e = start_proxy(r, o->workers, o->one_thread, why)) != GS_E_OK) {
        /* Its listeners have handles on the loop: let them close before the loop is freed. */
        admin_close(r->admin, (void (*)(void *))gs_loop_stop, r->node.loop);
        gs_loop_run(r->node.loop);
        gs_loop_free(r->node.loop);
        r->node.loop = NULL;
        goto failed_closed;
    }
    start_watching(r);
    r->node.ready = true;
    announce(r, o->workers);
    tell_identity(c);
    gs_trim();
    gs_loop_run(r->node.loop);
    LOG_INFO("node.stopped", "node=%s", c->node);
    free_all(r);
    return GS_E_OK;
failed:
    gs_loop_stop(r->node.loop);
    gs_loop_run(r->node.loop);
failed_closed:
    free_all(r);
    return e;
}

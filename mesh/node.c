/* node.c - wires the core, the model and the proxy; the only file that sees gossip and proxy both.
 *
 *   start   config ─▶ lock ─▶ keys, node.state ─▶ sockets ─▶ core ◀─ mesh.state ─▶ model
 *           ─▶ snapshot ─▶ workers, admin ─▶ gossip thread ─▶ health checks
 *   change  core ──events──▶ node_records.c ─▶ model ─▶ snapshot ─▶ workers, mesh.state
 *   reload  node_reload.c
 *   stop    node_stop.c
 *
 * Until the gossip thread is started the core is this thread's; afterwards it is reached by
 * gossip_loop_call() and heard through on_event() alone. */
#include "mesh/node.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/log.h>
#include <gossamer/proxy.h>
#include <gossamer/trim.h>
#include <gossamer/work.h>

#include "mesh/admin.h"
#include "mesh/advertise.h"
#include "mesh/config/config.h"
#include "mesh/confirm.h"
#include "mesh/doubts.h"
#include "mesh/ejections.h"
#include "mesh/faults.h"
#include "mesh/health.h"
#include "mesh/journal.h"
#include "mesh/keys.h"
#include "mesh/log_level.h"
#include "mesh/meshcall.h"
#include "mesh/node_dir.h"
#include "mesh/node_proxy.h"
#include "mesh/node_reload.h"
#include "mesh/node_run.h"
#include "mesh/node_running.h"
#include "mesh/node_services.h"
#include "mesh/notify.h"
#include "mesh/port_owner.h"
#include "mesh/roster.h"

static const char *const phase_names[] = { "CLOSED", "READY", "DRAINING" };
static const uint32_t phase_moves[] = {
    [NODE_CLOSED] = GS_FSM_BIT(NODE_READY) | GS_FSM_BIT(NODE_DRAINING),
    [NODE_READY] = GS_FSM_BIT(NODE_DRAINING),
    [NODE_DRAINING] = 0,
};
static const struct gs_fsm_def phase_def = { "node", phase_names, phase_moves,
                                             GS_COUNT(phase_names) };

uint64_t
node_wall_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

const char *
node_refuses(const struct node *n, const char **hint)
{
    switch ((enum node_phase)n->phase.state) {
    case NODE_READY:
        return NULL;
    case NODE_CLOSED:
        *hint = "apply it at a node that is ready, or when `gossamer check` says that this one is";
        return "does not know the policy of the mesh yet and takes no changes: no node that knows "
               "it has answered";
    case NODE_DRAINING:
        *hint = "apply it at another node, or here after its restart";
        return "is shutting down and takes no changes";
    }
    GS_UNREACHABLE("node phase");
}

/* ---- what the core tells ---- */

static void
tell_ready(const struct node *n)
{
    LOG_INFO("node.ready", "node=%s ms=%" PRIu64, n->config->node, n->loop->now_ms - n->started_ms);
    notify_send("READY=1\nSTATUS=ready");
}

/* The policy of the mesh is known and every worker routes by it: now requests may come. */
static void
on_open(struct node_commit *c)
{
    struct node *n = c->node;

    if (!gs_fsm_is(&n->phase, NODE_CLOSED)) /* it was stopped meanwhile */
        return;
    gs_fsm_move(&n->phase, NODE_READY);
    model_set_published(n->model, true);
    (void)node_records_flush(n->records);
    if (n->proxy)
        proxy_set_standing(n->proxy, PROXY_OPEN);
    tell_ready(n);
}

static void
on_event(void *arg, const struct gossip_event *e)
{
    struct running *r = arg;

    node_records_on_event(r->node.records, e);
    if (e->type == GOSSIP_EVENT_OPENED && gs_fsm_is(&r->node.phase, NODE_CLOSED) &&
        !r->opening.done) {
        r->opening.done = on_open;
        (void)node_records_flush(r->node.records);
        node_when_adopted(&r->node, &r->opening);
    }
}

/* Before there are workers: they begin with what is known then. */
static void
drain_restored(struct running *r)
{
    struct gossip_event e;

    while (gossip_next_event(r->core, &e)) {
        if (e.type == GOSSIP_EVENT_OPENED && gs_fsm_is(&r->node.phase, NODE_CLOSED)) {
            gs_fsm_move(&r->node.phase, NODE_READY);
            model_set_published(r->node.model, true);
        }
        node_records_on_restored(r->node.records, &e);
    }
}

/* False: nobody here can use it. */
static bool
restore_frame(struct running *r, const struct state_frame *f, size_t *unknown)
{
    struct gs_why why = { "" };
    gs_err e;

    if (f->kind == MODEL_FRAME_ACTIVE)
        e = model_restore(r->node.model, f->bytes, &why);
    else
        e = gossip_restore(r->core, r->node.loop->now_ms, node_wall_ms(), f->kind, f->bytes, &why);
    if (e == GS_E_UNSUPPORTED)
        r->state.frames[(*unknown)++] = *f;
    else if (e != GS_E_OK)
        LOG_WARN("state.frame_left_out", "kind=%u why=\"%s\"", f->kind, why.text);
    return e == GS_E_OK || e == GS_E_UNSUPPORTED;
}

static void
restore(struct running *r)
{
    const char *dir = r->node.config->state_dir;
    struct gs_why why = { "" };
    size_t unknown = 0, left_out = 0;
    gs_err e = state_load(dir, "mesh.state", STATE_MESH, node_wall_ms(), &r->state, &why);

    if (e != GS_E_OK && e != GS_E_NOT_FOUND)
        LOG_WARN("state.set_aside", "file=mesh.state why=\"%s\"", why.text);
    for (size_t i = 0; e == GS_E_OK && i < r->state.count; i++)
        left_out += !restore_frame(r, &r->state.frames[i], &unknown);
    r->state.count = unknown;
    if (left_out > 0) { /* the next save writes none of it */
        state_keep(dir, "mesh.state", node_wall_ms(), &why);
        LOG_WARN("state.kept", "file=mesh.state left_out=%zu why=\"%s\"", left_out, why.text);
    }
    drain_restored(r);
}

/* ---- timers ---- */

static void
on_sample(struct gs_timer *t)
{
    struct running *r = GS_CONTAINER(t, struct running, sample);

    stat_window_sample(r->node.window, &r->node);
    slots_reap(r->node.slots); /* those whose last pooled connection has ended since */
    gs_loop_arm(r->node.loop, &r->sample, STAT_SAMPLE_MS);
}

/* ---- start ---- */

static gs_err
start_proxy(struct running *r, uint32_t workers, bool one_thread, struct gs_why *why)
{
    struct node_proxy_options o = {
        .node = &r->node, .admin = r->admin, .workers = workers, .one_thread = one_thread
    };

    r->ejections = ejections_new(&r->node);
    o.ejections = ejections_wake(r->ejections);
    r->doubts = doubts_new(&r->node);
    o.doubts = doubts_wake(r->doubts);
    return node_proxy_start(&o, &r->proxy, why);
}

static gs_err
start_admin(struct running *r, struct gs_why *why)
{
    const struct config *c = r->node.config;
    struct admin_options o = { &r->node, r->node.loop, r->h1, c->admin.listen, c->admin.socket };
    gs_err e = node_dir_for_socket(c->admin.socket, why);

    if (e == GS_E_OK)
        e = admin_start(&o, &r->admin, why);
    if (e == GS_E_IN_USE && strstr(why->text, "cannot listen on") &&
        !strstr(why->text, c->admin.socket))
        port_owner_explain(&c->admin.listen, "admin.listen", why);
    return e;
}

/* Without workers, what is published counts as adopted at once. */
static void
adopt_here(void *arg, uint32_t worker)
{
    (void)snapshot_adopt(arg, worker);
}

static gs_err
start_model(struct running *r, uint32_t workers, struct gs_why *why)
{
    const struct config *c = r->node.config;
    struct node *n = &r->node;
    struct model_options o = { .id = r->node.id,
                               .node = gs_slice_str(c->node),
                               .zone = gs_slice_str(c->zone ? c->zone : ""),
                               .ns = gs_slice_str(c->ns),
                               .root_ns = gs_slice_str(c->root_namespace) };

    n->slots = slots_new();
    n->hub = snapshot_hub_new(n->slots, workers);
    node_proxy_set_timeouts(n);
    n->stat_names = stat_names_new();
    o.slots = n->slots;
    o.hub = n->hub;
    o.stat_names = n->stat_names;
    n->model = model_new(&o);
    if (c->proxy.mode == CONFIG_PROXY_OFF) {
        adopt_here(n->hub, 0);
        snapshot_hub_on_publish(n->hub, adopt_here, n->hub);
    }
    return node_services_set(n, why);
}

/* What this process knows of itself before it speaks to anybody. */
static gs_err
start_identity(struct running *r, struct state_node *former, struct gs_why *why)
{
    const struct config *c = r->node.config;
    bool made = false, founded = false;
    gs_err e;

    if ((e = node_dir_open(c->state_dir, &r->lock_fd, why)) != GS_E_OK ||
        (e = seal_key_load(c->state_dir, &r->key, &made, why)) != GS_E_OK ||
        (e = keys_load(c, &r->keys, &founded, why)) != GS_E_OK)
        return e;
    if (founded)
        LOG_INFO("mesh.founded", "node=%s key=%s/%s", c->node, c->state_dir, KEYS_FILE);
    node_dir_boot(c->state_dir, node_wall_ms(), former);
    r->node.id = seal_key_id(r->key);
    return GS_E_OK;
}

static gs_err
start_sockets(struct running *r, struct gs_why *why)
{
    const struct config *c = r->node.config;
    char address[GS_ADDR_TEXT];
    const char *how;
    gs_err e = gossip_sockets_open(&c->gossip.bind, &r->sockets, why);

    if (e == GS_E_IN_USE)
        port_owner_explain(&c->gossip.bind, "gossip.bind", why);
    if (e != GS_E_OK)
        return e;
    r->node.gossip_addr = advertise_find(c, &how);
    if (r->node.gossip_addr.port == 0)
        r->node.gossip_addr.port = r->sockets.bound.port;
    LOG_INFO("gossip.address", "address=%s how=%s keys=%zu",
             gs_addr_text(&r->node.gossip_addr, address), how, r->keys.count);
    return GS_E_OK;
}

static void
make_core(struct running *r, const struct state_node *former)
{
    const struct config *c = r->node.config;
    struct gs_buf about;

    gs_buf_init(&about, GOSSIP_ABOUT_MAX);
    roster_about(c, &r->node.gossip_addr, &about);
    r->core = gossip_new(&(struct gossip_options){ .self = r->node.id,
                                                   .hlc = former->hlc,
                                                   .boot = former->boot,
                                                   .name = gs_slice_str(c->node),
                                                   .address = r->node.gossip_addr,
                                                   .about = gs_buf_slice(&about),
                                                   .keys = &r->keys,
                                                   .session = gs_rng_seed_from_system(),
                                                   .seed = gs_rng_seed_from_system() });
    gs_buf_fini(&about);
}

/* All that can be said before the mesh is asked: the core, and what mesh.state remembers. */
static gs_err
start_store(struct running *r, uint32_t workers, struct gs_why *why)
{
    const struct config *c = r->node.config;
    struct node *n = &r->node;
    struct state_node former;
    gs_err e;

    if ((e = start_identity(r, &former, why)) != GS_E_OK || (e = start_sockets(r, why)) != GS_E_OK)
        return e;
    gs_loop_clock(n->loop); /* the disk took its time */
    make_core(r, &former);
    n->journal = journal_new();
    n->members = roster_new(&(struct roster_options){ n->id, gs_slice_str(c->node), n->journal });
    n->records = node_records_new(n);
    if ((e = start_model(r, workers, why)) != GS_E_OK)
        return e;
    restore(r);
    n->persist = persist_new(&(struct persist_options){ n, 0, r->state.frames, r->state.count });
    gossip_join(r->core, n->loop->now_ms, c->gossip.join.items, c->gossip.join.count);
    drain_restored(r); /* a node that founds a mesh is open from here on */
    if (gs_fsm_is(&n->phase, NODE_CLOSED))
        LOG_INFO("node.closed", "node=%s why=\"the policy of the mesh is not known here yet\"",
                 c->node);
    (void)node_records_flush(n->records);
    return GS_E_OK;
}

static void
start_gossip(struct running *r, bool one_thread)
{
    struct gossip_loop_options o = { .core = r->core,
                                     .sockets = r->sockets,
                                     .control = r->node.loop,
                                     .shared = one_thread ? r->node.loop : NULL,
                                     .on_event = on_event,
                                     .arg = r,
                                     .seed = gs_rng_seed_from_system() };

    r->core = NULL;
    r->sockets = (struct gossip_sockets){ -1, -1, { 0 } };
    r->node.gossip = gossip_loop_start(&o);
}

static void
free_all(struct running *r)
{
    struct node *n = &r->node;

    gossip_loop_free(n->gossip ? n->gossip : r->stopped);
    gs_loop_free(n->loop);
    persist_free(n->persist);
    node_records_free(n->records);
    node_reload_free(n->reload);
    model_free(n->model);
    roster_free(n->members);
    faults_free(n->faults);
    log_level_free(n->log);
    journal_free(n->journal);
    gossip_free(r->core);
    gossip_sockets_close(&r->sockets);
    seal_ring_wipe(&r->keys);
    state_file_fini(&r->state);
    snapshot_hub_free(n->hub);
    slots_free(n->slots);
    stat_names_free(n->stat_names);
    stat_window_free(n->window);
    seal_key_free(r->key);
    node_proxy_free(r->proxy);
    ejections_free(r->ejections);
    doubts_free(r->doubts);
    h1_pool_free(r->h1);
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    gs_free(r);
}

static void
tell_started(struct running *r, uint32_t workers)
{
    const struct node *n = &r->node;
    const struct config *c = n->config;
    char outbound[GS_ADDR_TEXT] = "off", inbound[GS_ADDR_TEXT] = "off";
    char admin[GS_ADDR_TEXT], gossip[GS_ADDR_TEXT], id[GS_ID_TEXT];
    struct gs_addr a = admin_addr(r->admin);
    struct gs_addr o;

    if (n->proxy) {
        o = proxy_outbound_addr(n->proxy, 0);
        (void)gs_addr_text(&o, outbound);
        o = proxy_inbound_addr(n->proxy);
        (void)gs_addr_text(&o, inbound);
    }
    LOG_INFO("node.started",
             "node=%s id=%s outbound=%s inbound=%s admin=%s socket=%s gossip=%s workers=%u "
             "services=%zu",
             c->node, gs_id_text(&n->id, id), outbound, inbound, gs_addr_text(&a, admin),
             c->admin.socket, gs_addr_text(&n->gossip_addr, gossip), workers, c->services.count);
    if (gs_fsm_is(&n->phase, NODE_READY))
        tell_ready(n);
    else
        notify_send("STATUS=closed: the policy of the mesh is not known here yet");
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
allow_faults(struct running *r)
{
    r->node.faults = faults_new(&r->node);
    LOG_WARN("faults.allowed",
             "node=%s why=\"--allow-faults: who may open the admin socket can cut it off\"",
             r->node.config->node);
}

static void
start_watching(struct running *r)
{
    struct node *n = &r->node;

    r->term = gs_signal_watch(n->loop, SIGTERM, node_stop_on_signal, r);
    r->interrupt = gs_signal_watch(n->loop, SIGINT, node_stop_on_signal, r);
    r->hangup = gs_signal_watch(n->loop, SIGHUP, node_reload_ask, r);
    r->health = node_services_watch(n, r->h1);
    gs_loop_arm(n->loop, &r->sample, STAT_SAMPLE_MS);
    stat_window_sample(n->window, n);
}

static struct running *
running_new(struct config *c, const struct config_opts *source)
{
    struct running *r = gs_zalloc(sizeof(*r));

    r->lock_fd = -1;
    r->sockets = (struct gossip_sockets){ -1, -1, { 0 } };
    r->config = c;
    r->node.config = c;
    r->node.reload = node_reload_new(r, source);
    r->node.loop = gs_loop_new("control", gs_rng_seed_from_system());
    r->node.started_ms = r->node.loop->now_ms;
    r->node.window = stat_window_new();
    r->node.log = log_level_new(r->node.loop, c->log.level);
    gs_fsm_init(&r->node.phase, &phase_def, NODE_CLOSED);
    gs_list_init(&r->node.edits);
    gs_list_init(&r->node.confirming);
    gs_list_init(&r->node.confirms);
    r->h1 = h1_pool_new();
    gs_timer_init(&r->sample, on_sample);
    node_stop_init(r);
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

/* Handles of those who were started are on the loop: they close before it is freed. */
static gs_err
give_up(struct running *r, gs_err e)
{
    ejections_close(r->ejections);
    doubts_close(r->doubts);
    if (r->admin)
        admin_close(r->admin, (void (*)(void *))gs_loop_stop, r->node.loop);
    else
        gs_loop_stop(r->node.loop);
    gs_loop_run(r->node.loop);
    free_all(r);
    return e;
}

gs_err
node_run(struct config *c, const struct node_run_options *o, struct gs_why *why)
{
    bool serves = c->proxy.mode == CONFIG_PROXY_ON;
    uint32_t workers = serves ? o->workers : 1;
    struct running *r;
    gs_err e = check_descriptors(why);

    if (e != GS_E_OK)
        return e;
    r = running_new(c, o->source);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of that write */
    if ((e = start_store(r, workers, why)) != GS_E_OK || (e = start_admin(r, why)) != GS_E_OK ||
        (serves && (e = start_proxy(r, workers, o->one_thread, why)) != GS_E_OK))
        return give_up(r, e);
    if (o->faults)
        allow_faults(r);
    start_gossip(r, o->one_thread);
    /* The boot number reaches the disk while the mesh is heard already: should it be lost, the
     * clock makes the next one higher, and if that went back, peers know this one. */
    persist_save(r->node.persist, NULL);
    start_watching(r);
    tell_started(r, serves ? workers : 0);
    if (serves)
        tell_identity(c);
    gs_trim();
    gs_loop_run(r->node.loop);
    LOG_INFO("node.stopped", "node=%s", c->node);
    free_all(r);
    return GS_E_OK;
}

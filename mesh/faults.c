/* faults.c - who is blocked, and telling the gossip and the workers. */
#include "mesh/faults.h"

#include <gossamer/alloc.h>
#include <gossamer/gossip_loop.h>
#include <gossamer/log.h>

#include "mesh/node.h"
#include "mesh/node_proxy.h"

struct faults {
    struct node *node;
    struct fault items[CUTS_MAX];
    size_t count;
};

struct applying {
    struct gossip_cuts cuts;
    void (*done)(void *arg);
    void *arg;
};

struct faults *
faults_new(struct node *n)
{
    struct faults *f = gs_zalloc(sizeof(*f));

    f->node = n;
    return f;
}

void
faults_free(struct faults *f)
{
    if (f)
        faults_clear(f);
    gs_free(f);
}

static char *
copy_text(struct gs_slice text)
{
    char *copy = gs_alloc(text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

static void
let_go(struct fault *at)
{
    gs_free((void *)(uintptr_t)at->name);
    *at = (struct fault){ .name = NULL };
}

static struct fault *
find(struct faults *f, const struct gs_id *id)
{
    for (size_t i = 0; i < f->count; i++) {
        if (gs_id_eq(&f->items[i].id, id))
            return &f->items[i];
    }
    return NULL;
}

gs_err
faults_block(struct faults *f, const struct gs_id *id, struct gs_slice name, bool udp_only)
{
    struct fault *at = find(f, id);

    if (!at && f->count == CUTS_MAX)
        return GS_E_LIMIT;
    if (at)
        let_go(at);
    else
        at = &f->items[f->count++];
    *at = (struct fault){
        .id = *id, .name = copy_text(name), .since_ms = node_wall_ms(), .udp_only = udp_only
    };
    LOG_WARN("fault.blocked", "node=%s what=%s", at->name, udp_only ? "datagrams" : "everything");
    return GS_E_OK;
}

bool
faults_unblock(struct faults *f, const struct gs_id *id)
{
    struct fault *at = find(f, id);

    if (!at)
        return false;
    LOG_INFO("fault.unblocked", "node=%s", at->name);
    let_go(at);
    f->count--;
    memmove(at, at + 1, (size_t)(&f->items[f->count] - at) * sizeof(*at));
    f->items[f->count] = (struct fault){ .name = NULL };
    return true;
}

void
faults_clear(struct faults *f)
{
    for (size_t i = 0; i < f->count; i++)
        let_go(&f->items[i]);
    f->count = 0;
}

size_t
faults_count(const struct faults *f)
{
    return f ? f->count : 0;
}

const struct fault *
faults_at(const struct faults *f, size_t i)
{
    GS_ASSERT(i < f->count);
    return &f->items[i];
}

/* ---- taking effect ---- */

static void
on_cut(struct gossip_cuts *c)
{
    struct applying *a = GS_CONTAINER(c, struct applying, cuts);

    a->done(a->arg);
    gs_free(a);
}

void
faults_apply(struct faults *f, void (*done)(void *arg), void *arg)
{
    struct applying *a;
    struct gs_id whole[CUTS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < f->count; i++) {
        if (!f->items[i].udp_only)
            whole[count++] = f->items[i].id;
    }
    node_proxy_cut(f->node, whole, count);
    if (!f->node->gossip) { /* it stops, and hears nobody any more */
        done(arg);
        return;
    }
    a = gs_zalloc(sizeof(*a));
    a->done = done;
    a->arg = arg;
    a->cuts.done = on_cut;
    a->cuts.count = f->count;
    for (size_t i = 0; i < f->count; i++)
        a->cuts.items[i] =
            (struct gossip_cut){ .node = f->items[i].id, .datagrams_only = f->items[i].udp_only };
    gossip_loop_cut(f->node->gossip, &a->cuts);
}

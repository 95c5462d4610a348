/* roster.c - heard of the nodes of the mesh. Start reading at roster_on_event(). */
#include "mesh/roster.h"

#include <gossamer/alloc.h>

#include "mesh/build_text.h"
#include "mesh/config/config.h"
#include "mesh/journal.h"
#include "mesh/model/codec.h"
#include "mesh/model/host.h"

struct entry {
    struct roster_node n;  /* its texts are in the arena */
    struct gs_arena arena; /* emptied when the node says something new of itself */
    struct gs_slice about; /* as it was said */
    bool up;               /* told so, and not since that it is gone */
};

/* A sorted array: it is read in order far more often than a node joins. */
struct roster {
    struct gs_arena arena; /* of the options */
    struct roster_options o;
    struct entry **items; /* by id */
    size_t count, cap;
};

struct roster *
roster_new(const struct roster_options *o)
{
    struct roster *r = gs_zalloc(sizeof(*r));

    gs_arena_init(&r->arena, NULL, 0, 256);
    r->o = *o;
    r->o.name = gs_arena_copy(&r->arena, o->name);
    return r;
}

static void
entry_free(struct entry *e)
{
    gs_arena_fini(&e->arena);
    gs_free(e);
}

void
roster_free(struct roster *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        entry_free(r->items[i]);
    gs_free(r->items);
    gs_arena_fini(&r->arena);
    gs_free(r);
}

/* ---- look-ups ---- */

static size_t
place(const struct roster *r, const struct gs_id *id)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(r->items[middle]->n.id.bytes, id->bytes, GS_ID_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *
find(const struct roster *r, const struct gs_id *id)
{
    size_t at = place(r, id);

    return at < r->count && gs_id_eq(&r->items[at]->n.id, id) ? r->items[at] : NULL;
}

bool
roster_next(const struct roster *r, size_t *at, const struct roster_node **out)
{
    if (*at >= r->count)
        return false;
    *out = &r->items[(*at)++]->n;
    return true;
}

const struct roster_node *
roster_find(const struct roster *r, const struct gs_id *id)
{
    const struct entry *e = find(r, id);

    return e ? &e->n : NULL;
}

struct gs_slice
roster_call(const struct roster *r, const struct gs_id *id, char out[GS_ID_TEXT])
{
    static const struct gs_id none;
    const struct entry *e;

    if (gs_id_eq(id, &none))
        return GS_SLICE("-");
    if (r && gs_id_eq(id, &r->o.self))
        return r->o.name;
    e = r ? find(r, id) : NULL;
    return e ? e->n.name : gs_slice_str(gs_id_text(id, out));
}

/* ---- the table ---- */

static struct entry *
insert(struct roster *r, const struct gs_id *id, uint64_t wall_ms)
{
    struct entry *e = gs_zalloc(sizeof(*e));
    size_t at = place(r, id);

    GS_ASSERT(!find(r, id));
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->items = gs_realloc(r->items, r->cap * sizeof(*r->items));
    }
    memmove(&r->items[at + 1], &r->items[at], (r->count - at) * sizeof(*r->items));
    r->items[at] = e;
    r->count++;
    e->n.id = *id;
    e->n.since_ms = wall_ms;
    gs_arena_init(&e->arena, NULL, 0, 256);
    return e;
}

static void
remove_entry(struct roster *r, struct entry *e)
{
    size_t at = place(r, &e->n.id);

    GS_ASSERT(at < r->count);
    GS_ASSERT(r->items[at] == e);
    memmove(&r->items[at], &r->items[at + 1], (r->count - at - 1) * sizeof(*r->items));
    r->count--;
    entry_free(e);
}

/* ---- what it says of itself ---- */

struct gs_slice
roster_name(const struct gossip_node *g, char out[GS_ID_TEXT])
{
    return name_is_subdomain(g->name) ? g->name : gs_slice_str(gs_id_text(&g->id, out));
}

static bool
says_the_same(const struct entry *e, const struct gossip_node *g)
{
    char id[GS_ID_TEXT];

    return gs_slice_eq(e->n.name, roster_name(g, id)) && gs_slice_eq(e->about, g->about) &&
           gs_addr_eq(&e->n.address, &g->address);
}

static void
read_about(struct entry *e, const struct gossip_node *g)
{
    struct codec_about a = { .services = 0 };
    char id[GS_ID_TEXT];

    gs_arena_fini(&e->arena);
    gs_arena_init(&e->arena, NULL, 0, 256);
    e->n.name = gs_arena_copy(&e->arena, roster_name(g, id));
    e->about = gs_arena_copy(&e->arena, g->about);
    e->n.address = g->address;
    e->n.about_read = codec_read_about(e->about, &e->arena, &a) == GS_E_OK;
    e->n.version = a.version;
    e->n.zone = a.zone;
    e->n.inbound = a.inbound;
    e->n.services = a.services;
}

void
roster_about(const struct config *c, const struct gs_addr *reached, struct gs_buf *out)
{
    struct gs_addr mesh = c->proxy.inbound;
    char inbound[GS_ADDR_TEXT] = "";
    struct codec_about a = { .version = gs_slice_str(build_version()),
                             .zone = gs_slice_str(c->zone ? c->zone : ""),
                             .services = (uint32_t)c->services.count };

    if (gs_addr_is_any(&mesh)) { /* on all of them: name one */
        mesh = *reached;
        mesh.port = c->proxy.inbound.port;
    }
    if (c->proxy.mode == CONFIG_PROXY_ON)
        a.inbound = gs_slice_str(gs_addr_text(&mesh, inbound));
    GS_ASSERT(codec_put_about(&a, out) == GS_E_OK); /* zone: 63 bytes, by schema.def */
}

/* ---- two nodes of one name ---- */

static bool
is_there(enum gossip_state s)
{
    return s == GOSSIP_ALIVE || s == GOSSIP_SUSPECT;
}

/* Another id that is there under this name, this node's own included; NULL if none. */
static const struct gs_id *
other_of_name(const struct roster *r, const struct entry *e)
{
    if (gs_slice_eq(r->o.name, e->n.name))
        return &r->o.self;
    for (size_t i = 0; i < r->count; i++) {
        const struct roster_node *n = &r->items[i]->n;

        if (r->items[i] != e && is_there(n->state) && gs_slice_eq(n->name, e->n.name))
            return &n->id;
    }
    return NULL;
}

static void
tell_twin(const struct roster *r, const struct entry *e, const struct gs_id *other,
          uint64_t wall_ms)
{
    char id[GS_ID_TEXT], other_id[GS_ID_TEXT], address[GS_ADDR_TEXT];
    const struct journal_field fields[] = {
        journal_text("name", e->n.name),
        journal_text("id", gs_slice_str(gs_id_text(&e->n.id, id))),
        journal_text("address", gs_slice_str(gs_addr_text(&e->n.address, address))),
        journal_text("other", gs_slice_str(gs_id_text(other, other_id))),
        journal_text("hint", GS_SLICE("give each node its own name (node:)")),
    };

    journal_tell(r->o.journal, wall_ms, GS_LOG_WARN, "member.twin", fields, GS_COUNT(fields));
}

/* After any change of a node: who shares its name now? */
static void
look_for_twins(struct roster *r, struct entry *e, uint64_t wall_ms)
{
    const struct gs_id *other = is_there(e->n.state) ? other_of_name(r, e) : NULL;

    if (other && !e->n.twin)
        tell_twin(r, e, other, wall_ms);
    for (size_t i = 0; i < r->count; i++) {
        struct entry *one = r->items[i];

        if (one == e || gs_slice_eq(one->n.name, e->n.name))
            one->n.twin = is_there(one->n.state) && other_of_name(r, one) != NULL;
    }
}

/* ---- telling ---- */

static void
tell_change(const struct roster *r, const struct entry *e, const char *event, const char *was,
            const struct gs_id *by, uint64_t wall_ms)
{
    char id[GS_ID_TEXT], address[GS_ADDR_TEXT], accuser[GS_ID_TEXT];
    struct journal_field fields[6] = {
        journal_text("name", e->n.name),
        journal_text("id", gs_slice_str(gs_id_text(&e->n.id, id))),
        journal_text("address", gs_slice_str(gs_addr_text(&e->n.address, address))),
        journal_number("incarnation", e->n.incarnation),
    };
    size_t count = 4;

    if (was)
        fields[count++] = journal_text("was", gs_slice_str(was));
    if (by)
        fields[count++] = journal_text("by", roster_call(r, by, accuser));
    GS_ASSERT(count <= GS_COUNT(fields));
    journal_tell(r->o.journal, wall_ms, GS_LOG_INFO, event, fields, count);
}

struct former {
    enum gossip_state state; /* UNKNOWN: never heard of */
    uint64_t boot;
    bool restarting;
    bool same; /* it says of itself what it said */
};

/* Harnesses and people read these lines: one event each, by its name alone. */
static void
tell_node(const struct roster *r, struct entry *e, const struct former *was, const struct gs_id *by,
          uint64_t wall_ms)
{
    bool restarted = is_there(was->state) && e->n.boot != was->boot;
    const char *was_text = restarted                      ? "restarted"
                           : was->state == GOSSIP_UNKNOWN ? "new"
                                                          : gossip_state_name(was->state);

    switch (e->n.state) {
    case GOSSIP_ALIVE:
        if (!e->up || restarted)
            tell_change(r, e, "member.up", was_text, NULL, wall_ms);
        else if (e->n.restarting && !was->restarting)
            tell_change(r, e, "member.restarting", was_text, NULL, wall_ms);
        else if (was->state == GOSSIP_SUSPECT)
            tell_change(r, e, "member.alive", was_text, NULL, wall_ms);
        else if (!was->same)
            tell_change(r, e, "member.update", NULL, NULL, wall_ms);
        e->up = true;
        break;
    case GOSSIP_SUSPECT:
        if (was->state != GOSSIP_SUSPECT)
            tell_change(r, e, "member.suspect", was_text, by, wall_ms);
        break;
    case GOSSIP_DEAD:
    case GOSSIP_LEFT:
        if (was->state == GOSSIP_UNKNOWN) /* heard of only now that it is gone */
            tell_change(r, e, "member.known", gossip_state_name(e->n.state), NULL, wall_ms);
        else if (was->state != e->n.state)
            tell_change(r, e, e->n.state == GOSSIP_DEAD ? "member.down" : "member.left", was_text,
                        NULL, wall_ms);
        e->up = false;
        break;
    case GOSSIP_UNKNOWN: /* it was on disk, and nobody has vouched for it yet */
        break;
    }
}

static void
on_forgotten(struct roster *r, const struct gossip_node *g, uint64_t wall_ms)
{
    struct entry *e = find(r, &g->id);

    if (!e) /* from the disk, and never heard of since */
        return;
    tell_change(r, e, "member.forgotten", gossip_state_name(g->state), NULL, wall_ms);
    remove_entry(r, e);
}

static void
on_node(struct roster *r, const struct gossip_event *event, uint64_t wall_ms)
{
    const struct gossip_node *g = &event->node;
    struct former was = { .state = GOSSIP_UNKNOWN };
    struct entry *e = find(r, &g->id);

    if (e)
        was = (struct former){ e->n.state, e->n.boot, e->n.restarting, says_the_same(e, g) };
    else
        e = insert(r, &g->id, wall_ms);
    if (!was.same)
        read_about(e, g);
    if (e->n.state != g->state || e->n.boot != g->boot)
        e->n.since_ms = wall_ms;
    e->n.state = g->state;
    e->n.boot = g->boot;
    e->n.incarnation = g->incarnation;
    e->n.restarting = g->restarting;
    tell_node(r, e, &was, &event->sender, wall_ms);
    look_for_twins(r, e, wall_ms);
}

void
roster_on_event(struct roster *r, const struct gossip_event *event, uint64_t wall_ms)
{
    if (event->type == GOSSIP_EVENT_NODE)
        on_node(r, event, wall_ms);
    else if (event->type == GOSSIP_EVENT_FORGOTTEN)
        on_forgotten(r, &event->node, wall_ms);
}

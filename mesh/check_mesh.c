/* check_mesh.c - the other nodes and the policy, as this node knows them. */
#include "mesh/check_parts.h"

#include <inttypes.h>

#include <gossamer/buf.h>
#include <gossamer/seal.h>

#include "mesh/build_text.h"
#include "mesh/config/config.h"
#include "mesh/config/json.h"
#include "mesh/core_view.h"
#include "mesh/journal.h"
#include "mesh/node.h"
#include "mesh/roster.h"
#include "mesh/survey.h"

#define GROUP "mesh"
#define CLOCK_NEWS_S 3600 /* a clock that was told so lately is probably still wrong */
#define DIGEST_BYTES_MAX (8u << 20)

/* ---- members ---- */

static enum gossip_state
state_of(const struct core_view *v, const struct roster_node *r)
{
    const struct core_view_node *c = core_view_find(v, &r->id);

    return c ? c->state : r->state;
}

static void
put_state(struct check_lines *l, const struct node *n, const struct core_view *v,
          enum gossip_state state, const char *hint, const char *what)
{
    struct check_names names = { .count = 0 };
    const struct roster_node *r;

    for (size_t at = 0; roster_next(n->members, &at, &r);) {
        if (state_of(v, r) == state)
            check_names_add(&names, "%.*s", GS_SLICE_FMT(r->name));
    }
    if (names.count > 0)
        check_put(l, GROUP, gossip_state_name(state), CHECK_WARNING, hint, "%zu %s: %s",
                  names.count, what, check_names_text(&names));
}

static void
put_members(struct check_lines *l, const struct node *n, const struct core_view *v)
{
    if (v->standing == GOSSIP_OPEN)
        check_put(l, GROUP, "members", CHECK_OK, NULL,
                  "the mesh is open: %u node%s alive, this one included",
                  v->counters.nodes[GOSSIP_ALIVE] + 1,
                  v->counters.nodes[GOSSIP_ALIVE] == 0 ? " is" : "s are");
    else
        check_put(l, GROUP, "members", CHECK_ERROR, "gossamer events -f",
                  "the mesh is closed for this node: its policy is not known here yet; %u other "
                  "nodes answer",
                  v->counters.nodes[GOSSIP_ALIVE]);
    put_state(l, n, v, GOSSIP_SUSPECT, "gossamer rtt",
              "suspected to be gone, for they do not answer");
    put_state(l, n, v, GOSSIP_DEAD, "gossamer members",
              "dead; one that shall not come back says gossamer leave before it is stopped");
}

static void
put_names(struct check_lines *l, const struct node *n)
{
    struct check_names names = { .count = 0 };
    const struct roster_node *r;

    for (size_t at = 0; roster_next(n->members, &at, &r);) {
        if (r->twin)
            check_names_add(&names, "%.*s", GS_SLICE_FMT(r->name));
    }
    if (names.count > 0)
        check_put(l, GROUP, "names", CHECK_WARNING, "gossamer run --node NAME",
                  "two nodes have the same name (%s): give each its own", check_names_text(&names));
}

static void
put_versions(struct check_lines *l, const struct node *n, const struct core_view *v)
{
    struct check_names names = { .count = 0 };
    struct gs_slice own = gs_slice_str(build_version());
    const struct roster_node *r;

    for (size_t at = 0; roster_next(n->members, &at, &r);) {
        if (state_of(v, r) == GOSSIP_ALIVE && r->about_read && !gs_slice_eq(r->version, own))
            check_names_add(&names, "%.*s %.*s", GS_SLICE_FMT(r->name), GS_SLICE_FMT(r->version));
    }
    if (names.count > 0)
        check_put(l, GROUP, "versions", CHECK_WARNING, "gossamer members",
                  "this node is of version %s, others are not: %s", build_version(),
                  check_names_text(&names));
    else
        check_put(l, GROUP, "versions", CHECK_OK, NULL, "every node is of version %s",
                  build_version());
}

/* ---- clocks: the journal's last line about one ---- */

struct ahead {
    char origin[GOSSIP_NAME_MAX + 1];
    uint64_t ms;
};

static const char *
text_of(const struct tree *root, const char *key)
{
    const struct tree *t = tree_find(root, key);

    return t && t->kind == TREE_SCALAR ? t->text.ptr : "";
}

static bool
holds(struct gs_slice text, const char *part)
{
    return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static bool
read_ahead(struct gs_slice line, uint64_t wall_ms, struct ahead *out)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree *root = NULL;
    uint64_t told_s = 0;
    bool found = false;

    if (!holds(line, "\"clock.ahead\""))
        return false;
    gs_arena_init(&arena, NULL, 0, 1024);
    gs_problems_init(&problems);
    if (tree_parse_json(line, NULL, &arena, &root, &problems) == GS_E_OK) {
        struct gs_slice time = gs_slice_str(text_of(root, "time"));
        struct gs_slice seconds;

        (void)gs_slice_cut(&time, '.', &seconds);
        found = gs_slice_to_u64(seconds, &told_s) && told_s + CLOCK_NEWS_S > wall_ms / 1000 &&
                gs_slice_to_u64(gs_slice_str(text_of(root, "ahead_ms")), &out->ms);
        (void)snprintf(out->origin, sizeof(out->origin), "%s", text_of(root, "origin"));
    }
    gs_problems_fini(&problems);
    gs_arena_fini(&arena);
    return found;
}

static void
put_clocks(struct check_lines *l, const struct node *n, const struct core_view *v)
{
    uint64_t oldest = journal_oldest(n->journal);
    uint64_t wall_ms = node_wall_ms();
    struct ahead a = { .ms = 0 };

    for (uint64_t i = journal_next_number(n->journal); i > oldest; i--) {
        if (!read_ahead(journal_line(n->journal, i - 1), wall_ms, &a))
            continue;
        check_put(l, GROUP, "clocks", CHECK_WARNING, "timedatectl status",
                  "a version that %s wrote is of a clock %.1f s ahead of this node's; one of the "
                  "two clocks is wrong",
                  a.origin, (double)a.ms / 1000);
        return;
    }
    check_put(l, GROUP, "clocks", CHECK_OK, NULL,
              "no clock was far ahead within the hour (%" PRIu64 " times since the start)",
              v->counters.clock_ahead);
}

/* ---- packets ---- */

static void
put_packets(struct check_lines *l, const struct node *n, const struct core_view *v)
{
    const struct gossip_counters *c = &v->counters;
    uint64_t strange = c->refused_packets[GOSSIP_REFUSAL_KEY];
    uint64_t bad =
        c->refused_packets[GOSSIP_REFUSAL_FORGED] + c->refused_packets[GOSSIP_REFUSAL_MALFORMED];
    struct gossip_loop_counters loop = { .datagrams_dropped = 0 };
    uint64_t dropped;

    if (n->gossip)
        gossip_loop_counters(n->gossip, &loop);
    dropped = loop.datagrams_dropped + loop.streams_refused + c->actions_dropped;
    if (strange + bad > 0)
        check_put(l, GROUP, "packets", CHECK_WARNING, "gossamer check --pre",
                  "since the start %" PRIu64 " packets were sealed with a key that this node does "
                  "not have and %" PRIu64 " were altered or forged: compare the key files of all "
                  "nodes",
                  strange, bad);
    else
        check_put(l, GROUP, "packets", CHECK_OK, NULL,
                  "no packet was refused for its key or its seal; %" PRIu64 " were junk, %" PRIu64
                  " replayed, %" PRIu64 " of sessions not proven",
                  c->refused_packets[GOSSIP_REFUSAL_JUNK],
                  c->refused_packets[GOSSIP_REFUSAL_REPLAYED],
                  c->refused_packets[GOSSIP_REFUSAL_UNKNOWN]);
    if (dropped > 0)
        check_put(l, GROUP, "drops", CHECK_WARNING, "sysctl net.core.wmem_max net.core.rmem_max",
                  "since the start %" PRIu64 " packets and streams were given up for want of room",
                  dropped);
    if (c->refused + c->malformed > 0)
        check_put(l, GROUP, "records", CHECK_WARNING, "gossamer events",
                  "since the start %" PRIu64 " records of other nodes were refused: out of "
                  "bounds, or no records",
                  c->refused + c->malformed);
}

void
check_mesh_put(struct check_lines *l, const struct node *n, const struct core_view *v)
{
    if (v->stopped)
        return;
    put_members(l, n, v);
    put_names(l, n);
    put_versions(l, n, v);
    put_clocks(l, n, v);
    put_packets(l, n, v);
}

/* ---- policy ---- */

void
check_digest(const struct node *n, struct check_digest *out)
{
    struct model_standing s;
    struct gs_digest digest;
    struct gs_buf bytes;

    *out = (struct check_digest){ .active = 0 };
    gs_buf_init(&bytes, DIGEST_BYTES_MAX);
    for (size_t at = 0; model_next_standing(n->model, &at, &s);) {
        char version[GS_VERSION_TEXT];

        out->pending += s.state == MODEL_PENDING;
        out->rejected += s.state == MODEL_REJECTED;
        if (s.active_version.generation == 0)
            continue;
        out->active++;
        (void)gs_buf_printf(&bytes, "%.*s %s\n", GS_SLICE_FMT(s.key),
                            gs_version_text(&s.active_version, version));
    }
    digest = seal_digest(gs_buf_slice(&bytes));
    for (size_t i = 0; i < sizeof(digest.bytes); i++)
        (void)snprintf(out->text + 2 * i, 3, "%02x", digest.bytes[i]);
    gs_buf_fini(&bytes);
}

static bool
is_same(const struct check_digest *own, struct gs_slice body)
{
    char wanted[64];

    (void)snprintf(wanted, sizeof(wanted), "\"digest\":\"%s\"", own->text);
    return holds(body, wanted);
}

size_t
check_differing(const struct check_digest *own, const struct survey *digests)
{
    struct survey_answer a;
    size_t count = 0;

    for (size_t at = 0; survey_next(digests, &at, &a);)
        count += a.status == 200 && !is_same(own, a.body);
    return count;
}

static void
put_agreement(struct check_lines *l, const struct check_digest *own, const struct survey *digests)
{
    struct check_names other = { .count = 0 }, silent = { .count = 0 };
    size_t asked = survey_asked(digests), left_out = survey_left_out(digests);
    struct survey_answer a;
    char rest[96] = "";

    for (size_t at = 0; survey_next(digests, &at, &a);) {
        if (a.status != 200)
            check_names_add(&silent, "%.*s %s", GS_SLICE_FMT(a.node), a.why);
        else if (!is_same(own, a.body))
            check_names_add(&other, "%.*s", GS_SLICE_FMT(a.node));
    }
    if (left_out > 0)
        (void)snprintf(rest, sizeof(rest), " (%zu cannot be asked: they, or this one, only gossip)",
                       left_out);
    if (other.count > 0)
        check_put(l, "policy", "agreement", CHECK_WARNING, "gossamer events -f",
                  "%zu of %zu other nodes route by other versions than this one: %s%s", other.count,
                  asked, check_names_text(&other), rest);
    if (silent.count > 0)
        check_put(l, "policy", "answers", CHECK_WARNING, "gossamer members",
                  "%zu of %zu other nodes did not say what they route by: %s", silent.count, asked,
                  check_names_text(&silent));
    if (asked == 0)
        check_put(l, "policy", "agreement", CHECK_OK, NULL, "no other node was asked for its own%s",
                  rest);
    else if (other.count + silent.count == 0)
        check_put(l, "policy", "agreement", CHECK_OK, NULL,
                  "%zu other node%s the same as this one%s", asked,
                  asked == 1 ? " routes by" : "s route by", rest);
}

static void
put_objects(struct check_lines *l, const struct node *n, enum model_state state,
            enum check_result result, const char *hint, const char *what)
{
    struct check_names names = { .count = 0 };
    struct model_object o;

    for (size_t at = 0; model_next_object(n->model, &at, &o);) {
        if (o.state == state)
            check_names_add(&names, "%s %.*s/%.*s (%.120s)", policy_kind_name(o.kind),
                            GS_SLICE_FMT(o.ns), GS_SLICE_FMT(o.name), o.why ? o.why : "");
    }
    if (names.count > 0)
        check_put(l, "policy", model_state_text(state), result, hint, "%zu %s: %s", names.count,
                  what, check_names_text(&names));
}

static void
put_findings(struct check_lines *l, const struct node *n)
{
    struct gs_problems p;

    gs_problems_init(&p);
    model_analyze(n->model, &p);
    if (p.errors + p.warnings > 0)
        check_put(l, "policy", "findings", CHECK_WARNING, "gossamer analyze",
                  "%zu findings about what is in effect", p.errors + p.warnings);
    gs_problems_fini(&p);
}

void
check_policy_put(struct check_lines *l, const struct node *n, const struct check_conflicts *c,
                 const struct survey *digests)
{
    struct check_names names = c->names;
    struct check_digest own;

    check_digest(n, &own);
    check_put(l, "policy", "objects", CHECK_OK, NULL, "%zu object%s in effect", own.active,
              own.active == 1 ? " is" : "s are");
    put_objects(l, n, MODEL_PENDING, CHECK_WARNING, "gossamer analyze",
                "wait, while their former versions are in effect");
    put_objects(l, n, MODEL_REJECTED, CHECK_ERROR, "gossamer version",
                "cannot be used here, while others may route by them");
    if (c->count > 0)
        check_put(l, "policy", "conflicts", CHECK_WARNING, "gossamer analyze",
                  "%zu writes lost against others of the same time, and nobody has settled it: %s",
                  c->count, check_names_text(&names));
    put_findings(l, n);
    put_agreement(l, &own, digests);
}

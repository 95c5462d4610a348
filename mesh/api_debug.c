/* api_debug.c - what only tests and people who look into a node ask for. Unix socket only.
 *
 *     POST /api/v1/debug/block?node=NAME|ID[&udp_only=true]   {"blocks": [...]}: all there are
 *     POST /api/v1/debug/unblock?node=NAME|ID or ?all=true    likewise
 *     GET  /api/v1/debug/blocks                               likewise
 *     POST /api/v1/debug/log?level=debug[&for=10m] or ?reset=true
 *                                      {"log": [{level, configured, left_s}]}
 *     GET  /api/v1/debug/log           likewise */
#include <gossamer/alloc.h>
#include <gossamer/json_out.h>
#include <gossamer/problem.h>

#include "mesh/admin.h"
#include "mesh/config/config.h"
#include "mesh/config/value.h"
#include "mesh/faults.h"
#include "mesh/log_level.h"
#include "mesh/node.h"
#include "mesh/roster.h"

#define ANSWER_BYTES_MAX (1u << 20)
#define NAMES_MAX 256 /* that a misspelt one is compared with */
#define FOR_MS_MAX (24 * 3600 * 1000)

/* ---- parameters ---- */

/* True if there is none but these; else it is answered. */
static bool
check_params(struct admin_call *c, const struct admin_request *r, const char *const *names,
             size_t count)
{
    struct gs_slice rest = r->query;
    struct gs_slice part;

    while (gs_slice_cut(&rest, '&', &part)) {
        struct gs_slice key = part;
        bool known = false;

        (void)gs_slice_cut(&part, '=', &key);
        for (size_t i = 0; i < count && !known; i++)
            known = gs_slice_eq(key, gs_slice_str(names[i]));
        if (known || key.len == 0)
            continue;
        admin_error(c, 400, "GS0400", gs_did_you_mean(key.ptr, key.len, names, count),
                    "there is no parameter %.*s", GS_SLICE_FMT(key));
        return false;
    }
    return true;
}

/* True if it could be read; else it is answered. */
static bool
read_switch(struct admin_call *c, const struct admin_request *r, const char *name, bool *out)
{
    struct gs_slice text;

    if (!admin_query(r, name, &text))
        return true;
    *out = text.len == 0 || gs_slice_eq(text, GS_SLICE("true")) || gs_slice_eq(text, GS_SLICE("1"));
    if (*out || gs_slice_eq(text, GS_SLICE("false")) || gs_slice_eq(text, GS_SLICE("0")))
        return true;
    admin_error(c, 400, "GS0400", NULL, "%s is true or false", name);
    return false;
}

static bool
are_allowed(struct node *n, struct admin_call *c)
{
    if (n->faults)
        return true;
    admin_error(c, 403, "GS0403", "for a test, start it with gossamer run --allow-faults",
                "node %s was not started with --allow-faults", n->config->node);
    return false;
}

/* ---- which node ---- */

static bool
is_called(const struct roster_node *n, struct gs_slice text)
{
    char id[GS_ID_TEXT];

    return gs_slice_eq(n->name, text) || gs_slice_eq(gs_slice_str(gs_id_text(&n->id, id)), text);
}

static void
refuse_name(struct node *n, struct admin_call *c, const struct admin_request *r,
            struct gs_slice text)
{
    const char *names[NAMES_MAX];
    const struct roster_node *at;
    const char *near;
    size_t count = 0;

    if (gs_slice_eq(text, gs_slice_str(n->config->node))) {
        admin_error(c, 400, "GS0400", "name another node; gossamer members lists them",
                    "%s is the node that was asked", n->config->node);
        return;
    }
    for (size_t i = 0; count < NAMES_MAX && roster_next(n->members, &i, &at);)
        names[count++] = gs_arena_strdup(r->arena, at->name);
    near = gs_did_you_mean(text.ptr, text.len, names, count);
    admin_error(c, 404, "GS0404",
                near ? gs_arena_printf(r->arena, "did you mean %s?", near)
                     : "gossamer members lists them",
                "there is no other node %.*s", GS_SLICE_FMT(text));
}

/* NULL: it was answered. Of two that have the name the one that is up; of two that are, neither. */
static const struct roster_node *
find_node(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    const struct roster_node *at, *found = NULL;
    struct gs_slice text;
    unsigned up = 0, all = 0;

    if (!admin_query(r, "node", &text) || text.len == 0) {
        admin_error(c, 400, "GS0400", "?node=NAME, or its id", "which node is not said");
        return NULL;
    }
    for (size_t i = 0; roster_next(n->members, &i, &at);) {
        bool is_up = at->state == GOSSIP_ALIVE || at->state == GOSSIP_SUSPECT;

        if (!is_called(at, text))
            continue;
        all++;
        if (!found || (is_up && up == 0))
            found = at;
        up += is_up;
    }
    if (up > 1 || (up == 0 && all > 1)) {
        admin_error(c, 409, "GS0409", "name it by its id: gossamer members -o json",
                    "%u nodes are called %.*s", up > 1 ? up : all, GS_SLICE_FMT(text));
        return NULL;
    }
    if (!found)
        refuse_name(n, c, r, text);
    return found;
}

/* ---- answers ---- */

static void
answer_blocks(struct node *n, struct admin_call *c)
{
    struct gs_buf out;
    struct json_out j;

    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "blocks");
    json_arr(&j);
    for (size_t i = 0; i < faults_count(n->faults); i++) {
        const struct fault *f = faults_at(n->faults, i);
        char id[GS_ID_TEXT];

        json_obj(&j);
        json_kstr(&j, "node", f->name);
        json_kstr(&j, "id", gs_id_text(&f->id, id));
        json_kstr(&j, "what", f->udp_only ? "udp" : "all");
        json_kdouble(&j, "since", (double)f->since_ms / 1000);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    json_kbool(&j, "allowed", n->faults != NULL);
    json_key(&j, "missing");
    json_arr(&j);
    json_arr_end(&j);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}

struct change {
    struct node *node;
    struct admin_call *call;
};

static void
on_applied(void *arg)
{
    struct change *ch = arg;

    answer_blocks(ch->node, ch->call);
    gs_free(ch);
}

static void
apply(struct node *n, struct admin_call *c)
{
    struct change *ch = gs_zalloc(sizeof(*ch));

    ch->node = n;
    ch->call = c;
    faults_apply(n->faults, on_applied, ch);
}

/* ---- requests ---- */

void
api_debug_blocks(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    if (check_params(c, r, NULL, 0))
        answer_blocks(n, c);
}

void
api_debug_block(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    static const char *const names[] = { "node", "udp_only" };
    const struct roster_node *which;
    bool udp_only = false;

    if (!are_allowed(n, c) || !check_params(c, r, names, GS_COUNT(names)) ||
        !read_switch(c, r, "udp_only", &udp_only))
        return;
    which = find_node(n, c, r);
    if (!which)
        return;
    if (faults_block(n->faults, &which->id, which->name, udp_only) == GS_E_OK)
        apply(n, c);
    else
        admin_error(c, 409, "GS0409", "gossamer debug unblock --all",
                    "%d nodes are blocked already", CUTS_MAX);
}

/* By what it was blocked by: the node may be long forgotten. */
static bool
find_blocked(struct node *n, struct admin_call *c, const struct admin_request *r, struct gs_id *id)
{
    struct gs_slice text;

    if (!admin_query(r, "node", &text) || text.len == 0) {
        admin_error(c, 400, "GS0400", "?node=NAME, or ?all=true", "which node is not said");
        return false;
    }
    for (size_t i = 0; i < faults_count(n->faults); i++) {
        const struct fault *f = faults_at(n->faults, i);
        char id_text[GS_ID_TEXT];

        if (!gs_slice_eq(text, gs_slice_str(f->name)) &&
            !gs_slice_eq(text, gs_slice_str(gs_id_text(&f->id, id_text))))
            continue;
        *id = f->id;
        return true;
    }
    admin_error(c, 404, "GS0404", "gossamer debug blocks lists those that are",
                "%.*s is not blocked", GS_SLICE_FMT(text));
    return false;
}

void
api_debug_unblock(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    static const char *const names[] = { "node", "all" };
    struct gs_id id;
    bool all = false;

    if (!are_allowed(n, c) || !check_params(c, r, names, GS_COUNT(names)) ||
        !read_switch(c, r, "all", &all))
        return;
    if (all) {
        faults_clear(n->faults);
    } else if (find_blocked(n, c, r, &id)) {
        bool found = faults_unblock(n->faults, &id);

        GS_ASSERT(found);
    } else {
        return;
    }
    apply(n, c);
}

/* ---- the log ---- */

static void
answer_log(struct node *n, struct admin_call *c)
{
    struct log_level_now now = log_level_now(n->log);
    struct gs_buf out;
    struct json_out j;

    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "log");
    json_arr(&j);
    json_obj(&j);
    json_kstr(&j, "level", log_level_name(now.level));
    json_kstr(&j, "configured", log_level_name(now.configured));
    json_key(&j, "left_s");
    if (now.left_ms > 0)
        json_double(&j, (double)now.left_ms / 1000);
    else
        json_nil(&j);
    json_obj_end(&j);
    json_arr_end(&j);
    json_key(&j, "missing");
    json_arr(&j);
    json_arr_end(&j);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}

void
api_debug_log(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    if (check_params(c, r, NULL, 0))
        answer_log(n, c);
}

/* True if it could be read; else it is answered. */
static bool
read_value(struct admin_call *c, const struct admin_request *r, const char *name,
           const struct value_type *type, void *out)
{
    struct value_fault fault;
    struct gs_slice text;

    if (!admin_query(r, name, &text) || value_parse(type, text, r->arena, out, &fault) == GS_E_OK)
        return true;
    admin_error(c, 400, "GS0400", fault.hint.text[0] ? fault.hint.text : NULL, "%s: %s", name,
                fault.why.text);
    return false;
}

void
api_debug_log_set(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    static const char *const names[] = { "level", "for", "reset" };
    static const struct value_type word = { .kind = VALUE_WORD, .words = LOG_LEVELS };
    static const struct value_type time = { .kind = VALUE_DURATION, .min = 1, .max = FOR_MS_MAX };
    struct gs_slice text;
    uint32_t level = GS_LOG_INFO;
    uint64_t for_ms = 0;
    bool reset = false;

    if (!check_params(c, r, names, GS_COUNT(names)) || !read_switch(c, r, "reset", &reset) ||
        !read_value(c, r, "level", &word, &level) || !read_value(c, r, "for", &time, &for_ms))
        return;
    if (reset == admin_query(r, "level", &text)) {
        admin_error(c, 400, "GS0400", "?level=" LOG_LEVELS "[&for=10m], or ?reset=true",
                    "one of level and reset has to be given");
        return;
    }
    if (reset)
        log_level_reset(n->log);
    else
        log_level_set(n->log, (enum gs_log_level)level, for_ms);
    answer_log(n, c);
}

/* peek.c - one short question for each, since a node that does not answer must not hold up the
 * rest. It is asked once more, for figures are taken from what it says, and a machine may stand
 * still for a moment. */
#include "mesh/demo/peek.h"

#include <stdio.h>
#include <stdlib.h>

#include <gossamer/tree.h>

#include "mesh/cli/ask.h"
#include "mesh/config/json.h"
#include "mesh/demo/stage.h"
#include "mesh/model/codes.h"

#define ASK_TIMEOUT_MS 500
#define ASK_TRIES 2
#define POST_TIMEOUT_MS 8000
#define POLICY_PATH "/api/v1/objects/VirtualService/default/" SCRIPT_SERVICE

static const char *const state_names[] = { "-", "alive", "suspect", "dead", "left" };

const char *
peek_state_name(enum peek_state state)
{
    GS_ASSERT(state < GS_COUNT(state_names));
    return state_names[state];
}

/* ---- asking ---- */

struct peek { /* one answer, while it is looked at */
    struct gs_arena arena;
    unsigned status;
    const struct tree *root;
};

static bool
get(const char *socket, const char *path, struct cli_answer *answer)
{
    gs_err e = GS_E_TIMEOUT;
    struct gs_why why;

    for (int tries = 0; e == GS_E_TIMEOUT && tries < ASK_TRIES; tries++)
        e = cli_http(socket, "GET", path, GS_SLICE_NONE, ASK_TIMEOUT_MS, answer, &why);
    return e == GS_E_OK;
}

static bool
peek_open(struct peek *p, struct stage *s, unsigned node, const char *path)
{
    struct gs_problems problems;
    struct cli_answer answer;
    struct tree *root;
    bool good;

    GS_ASSERT(path[0] == '/');
    *p = (struct peek){ .status = 0 };
    if (stage_node(s, node)->down || !get(stage_node(s, node)->socket, path, &answer))
        return false;
    gs_arena_init(&p->arena, NULL, 0, 8192);
    gs_problems_init(&problems);
    p->status = answer.status;
    good =
        tree_parse_json(gs_buf_slice(&answer.body), NULL, &p->arena, &root, &problems) == GS_E_OK;
    if (good)
        p->root = root;
    else
        gs_arena_fini(&p->arena);
    gs_problems_fini(&problems);
    gs_buf_fini(&answer.body);
    return good;
}

static void
peek_close(struct peek *p)
{
    gs_arena_fini(&p->arena);
}

static bool
is(const struct tree *object, const char *key, const char *value)
{
    const char *text = ask_text(object, key);

    return text && strcmp(text, value) == 0;
}

static size_t
count_of(const struct tree *list)
{
    return list && list->kind == TREE_SEQ ? list->count : 0;
}

/* ---- members ---- */

static void
note_member(const struct tree *m, struct peek_members *out)
{
    const char *name = ask_text(m, "name");
    const char *text = ask_text(m, "state");
    uint64_t number;

    if (!name || !text || name[0] != 'n' || !gs_slice_to_u64(gs_slice_str(name + 1), &number) ||
        number < 1 || number > SCRIPT_NODES_MAX)
        return;
    for (unsigned i = PEEK_ALIVE; i < GS_COUNT(state_names); i++) {
        if (strcmp(text, state_names[i]) == 0)
            out->of[number] = i;
    }
    out->alive += out->of[number] == PEEK_ALIVE;
}

bool
peek_members(struct stage *s, unsigned node, struct peek_members *out)
{
    const struct tree *list;
    struct peek p;

    *out = (struct peek_members){ .open = false };
    if (!peek_open(&p, s, node, "/api/v1/members"))
        return false;
    list = tree_find(p.root, "members");
    for (size_t i = 0; i < count_of(list); i++)
        note_member(list->items[i], out);
    out->open = is(p.root, "standing", "open");
    peek_close(&p);
    return true;
}

/* ---- policy ---- */

bool
peek_policy(struct stage *s, unsigned node, struct peek_policy *out)
{
    const struct tree *list;
    struct peek p;

    *out = (struct peek_policy){ .generation = 0 };
    if (!peek_open(&p, s, node, POLICY_PATH "?history=1"))
        return false;
    list = tree_find(p.root, "history");
    for (size_t i = 0; i < count_of(list); i++) {
        const char *version = ask_text(list->items[i], "version");
        const char *writer = ask_text(list->items[i], "writer");

        if (i == 0 && version && writer) {
            (void)snprintf(out->version, sizeof(out->version), "%s", version);
            (void)snprintf(out->writer, sizeof(out->writer), "%s", writer);
            out->generation = (unsigned)strtoul(version, NULL, 10);
        }
        out->conflicts += is(list->items[i], "conflict", "true");
    }
    peek_close(&p);
    return true;
}

bool
peek_active(struct stage *s, unsigned node, const char *version)
{
    struct peek p;
    bool active;

    if (!peek_open(&p, s, node, POLICY_PATH))
        return false;
    active = p.status == 200 && is(tree_find(p.root, "metadata"), "resourceVersion", version) &&
             is(tree_find(p.root, "status"), "state", "active");
    peek_close(&p);
    GS_ASSERT(version[0] || !active);
    return active;
}

bool
peek_lost_writes(struct stage *s, unsigned node, unsigned *count)
{
    static const char *const lists[] = { "errors", "warnings", "notes" };
    struct peek p;

    *count = 0;
    if (!peek_open(&p, s, node, "/api/v1/analyze"))
        return false;
    for (size_t k = 0; k < GS_COUNT(lists); k++) {
        const struct tree *list = tree_find(p.root, lists[k]);

        for (size_t i = 0; i < count_of(list); i++)
            *count += is(list->items[i], "code", CODE_POLICY_CONFLICT);
    }
    peek_close(&p);
    return true;
}

/* ---- endpoints and figures ---- */

bool
peek_endpoints(struct stage *s, unsigned node, const char *service, const char *address,
               struct peek_endpoints *out)
{
    const struct tree *list;
    struct peek p;

    *out = (struct peek_endpoints){ .all = 0 };
    if (!peek_open(&p, s, node, "/api/v1/endpoints"))
        return false;
    list = tree_find(p.root, "endpoints");
    for (size_t i = 0; i < count_of(list); i++) {
        const struct tree *e = list->items[i];

        if ((service && !is(e, "service", service)) || (address && !is(e, "address", address)))
            continue;
        out->all++;
        out->healthy += is(e, "state", "healthy");
        out->ejected += is(e, "state", "ejected");
    }
    GS_ASSERT(out->healthy + out->ejected <= out->all);
    peek_close(&p);
    return true;
}

bool
peek_stat(struct stage *s, unsigned node, struct peek_stat *out)
{
    const struct tree *list;
    struct peek p;

    *out = (struct peek_stat){ .requests = 0 };
    if (!peek_open(&p, s, node, "/api/v1/stat"))
        return false;
    list = tree_find(p.root, "stat");
    for (size_t i = 0; i < count_of(list); i++) {
        double p99 = ask_number(list->items[i], "p99_ms");

        if (!is(list->items[i], "direction", "inbound"))
            continue;
        out->requests += (uint64_t)ask_number(list->items[i], "requests");
        out->failed += (uint64_t)ask_number(list->items[i], "failed");
        out->p99_ms = p99 > out->p99_ms ? p99 : out->p99_ms;
    }
    peek_close(&p);
    return true;
}

/* ---- writing ---- */

static void
read_refusal(const struct cli_answer *answer, const struct tree *root, struct gs_why *why)
{
    const struct tree *errors = root ? tree_find(root, "errors") : NULL;
    const char *message = count_of(errors) > 0 ? ask_text(errors->items[0], "message") : NULL;

    if (message)
        (void)snprintf(why->text, sizeof(why->text), "%s", message);
    else
        (void)snprintf(why->text, sizeof(why->text), "the node answered %u", answer->status);
}

bool
peek_post(struct stage *s, unsigned node, const char *path, struct gs_slice body,
          struct gs_arena *arena, const struct tree **answer, struct gs_why *why)
{
    struct gs_problems problems;
    struct cli_answer got;
    struct tree *root = NULL;

    *answer = NULL;
    if (cli_http(stage_node(s, node)->socket, "POST", path, body, POST_TIMEOUT_MS, &got, why) !=
        GS_E_OK)
        return false;
    gs_problems_init(&problems);
    if (tree_parse_json(gs_arena_copy(arena, gs_buf_slice(&got.body)), NULL, arena, &root,
                        &problems) == GS_E_OK)
        *answer = root;
    if (got.status != 200)
        read_refusal(&got, *answer, why);
    gs_problems_fini(&problems);
    gs_buf_fini(&got.body);
    return got.status == 200;
}

/* api_check.c - what `gossamer check` asks the node for, and what it asks other nodes for.
 *
 *     GET /api/v1/check    {"check": [{group, name, result, message, hint}], "version": ...}
 *     GET /api/v1/digest   {"digest": what this node routes by, in few bytes, ...}; for PEERs
 *
 *   the core: counters, conflicts ─▶ every node: its digest ─┬─▶ the lines
 *                                        ▲                    │
 *                                        └─ some differ: again, for a change may be on its way */
#include <gossamer/alloc.h>
#include <gossamer/json_out.h>

#include "mesh/admin.h"
#include "mesh/build_text.h"
#include "mesh/check_parts.h"
#include "mesh/config/config.h"
#include "mesh/core_view.h"
#include "mesh/node.h"
#include "mesh/survey.h"

#define ANSWER_BYTES_MAX (1u << 20)
#define DIGEST_WAIT_MS 1000
#define LOOKS_MAX 3 /* at digests that differ */
#define LOOK_AGAIN_MS 200

struct checking {
    struct core_view view;
    struct gossip_call call;
    struct node *node;
    struct admin_call *admin;
    struct check_conflicts conflicts;
    struct survey *digests;
    struct gs_timer again;
    unsigned looks;
};

static void
checking_free(struct checking *k)
{
    core_view_fini(&k->view);
    survey_free(k->digests);
    gs_free(k);
}

static void
answer(struct checking *k)
{
    struct check_lines lines;
    struct gs_buf out;
    struct json_out j;

    check_lines_init(&lines);
    check_node_put(&lines, k->node);
    check_mesh_put(&lines, k->node, &k->view);
    check_policy_put(&lines, k->node, &k->conflicts, k->digests);
    check_data_put(&lines, k->node);
    check_security_put(&lines, k->node);
    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    check_lines_json(&lines, &j);
    json_kstr(&j, "node", k->node->config->node);
    json_kstr(&j, "version", build_version());
    json_kstr(&j, "commit", build_commit());
    json_obj_end(&j);
    check_lines_fini(&lines);
    admin_reply_json(k->admin, 200, &out);
    checking_free(k);
}

/* ---- what the others route by ---- */

static void ask_digests(struct checking *k);

static void
on_again(struct gs_timer *t)
{
    ask_digests(GS_CONTAINER(t, struct checking, again));
}

static void
on_digests(void *arg)
{
    struct checking *k = arg;
    struct check_digest own;

    check_digest(k->node, &own);
    if (++k->looks < LOOKS_MAX && !gs_fsm_is(&k->node->phase, NODE_DRAINING) &&
        check_differing(&own, k->digests) > 0)
        gs_loop_arm(k->node->loop, &k->again, LOOK_AGAIN_MS);
    else
        answer(k);
}

static void
ask_digests(struct checking *k)
{
    survey_free(k->digests);
    k->digests = survey_start(k->node, &(struct survey_options){ .path = "/api/v1/digest",
                                                                 .wait_ms = DIGEST_WAIT_MS,
                                                                 .done = on_digests,
                                                                 .arg = k });
}

/* ---- what the core knows ---- */

/* On the gossip thread. */
static void
find_conflicts(struct gossip_call *c, struct gossip *g, uint64_t now_ms, uint64_t wall_ms)
{
    struct checking *k = GS_CONTAINER(c, struct checking, call);
    struct gossip_former former[RECORD_HISTORY_MAX];
    struct gossip_record r;

    (void)now_ms;
    (void)wall_ms;
    for (size_t at = 0; gossip_next_record(g, &at, &r);) {
        size_t count = r.class == GOSSIP_OPERATOR && r.kind >= GOSSIP_KIND_USER
                           ? gossip_history(g, r.key, former, GS_COUNT(former))
                           : 0;
        size_t lost = 0;

        for (size_t i = 0; i < count; i++)
            lost += former[i].conflict;
        if (lost > 0)
            check_names_add(&k->conflicts.names, "%.*s", GS_SLICE_FMT(r.key));
        k->conflicts.count += lost;
    }
}

static void
on_conflicts(struct gossip_call *c)
{
    ask_digests(GS_CONTAINER(c, struct checking, call));
}

static void
on_view(struct core_view *v)
{
    struct checking *k = GS_CONTAINER(v, struct checking, view);

    if (!k->node->gossip) {
        ask_digests(k);
        return;
    }
    k->call = (struct gossip_call){ .run = find_conflicts, .done = on_conflicts };
    gs_list_init(&k->call.link);
    gossip_loop_call(k->node->gossip, &k->call);
}

/* ---- requests ---- */

void
api_check(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct checking *k = gs_zalloc(sizeof(*k));

    (void)r;
    k->node = n;
    k->admin = c;
    gs_timer_init(&k->again, on_again);
    core_view_get(n, &k->view, on_view);
}

void
api_digest(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct check_digest d;
    struct gs_buf out;
    struct json_out j;

    (void)r;
    check_digest(n, &d);
    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_kstr(&j, "digest", d.text);
    json_ku64(&j, "active", d.active);
    json_ku64(&j, "pending", d.pending);
    json_ku64(&j, "rejected", d.rejected);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}

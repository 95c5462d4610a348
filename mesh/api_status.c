/* api_status.c - is this node alive, ready, and what is it. */
#include <unistd.h>

#include <gossamer/json_out.h>

#include "mesh/admin.h"
#include "mesh/build_text.h"
#include "mesh/config/config.h"
#include "mesh/node.h"

static void
reply_text(struct admin_call *c, unsigned status, const char *text)
{
    struct gs_buf out;

    gs_buf_init(&out, 256);
    gs_buf_put_str(&out, text);
    admin_reply(c, status, "text/plain; charset=utf-8", &out);
}

void
api_live(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    (void)n; /* the control loop turned: that is the claim */
    (void)r;
    reply_text(c, 200, "live\n");
}

void
api_ready(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    (void)r;
    if (n->draining)
        reply_text(c, 503, "draining\n");
    else if (!n->ready)
        reply_text(c, 503, "starting\n");
    else
        reply_text(c, 200, "ready\n");
}

void
api_healthz(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    api_ready(n, c, r);
}

void
api_version(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct gs_buf out;
    struct json_out j;

    (void)n;
    (void)r;
    gs_buf_init(&out, 4096);
    json_init(&j, &out);
    build_json(&j);
    admin_reply_json(c, 200, &out);
}

void
api_config(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct gs_buf out;

    (void)r;
    gs_buf_init(&out, ADMIN_BODY_MAX);
    config_show(n->config, CONFIG_SHOW_JSON, &out);
    admin_reply(c, 200, "application/json", &out);
}

void
api_members(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    char id[GS_ID_TEXT];
    char addr[GS_ADDR_TEXT];
    struct gs_buf out;
    struct json_out j;

    (void)r;
    gs_buf_init(&out, 8192);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "members");
    json_arr(&j);
    json_obj(&j);
    json_kstr(&j, "name", n->config->node);
    json_kstr(&j, "id", gs_id_text(&n->id, id));
    json_kstr(&j, "address", gs_addr_text(&n->config->gossip.bind, addr));
    json_kstr(&j, "state", "alive");
    json_kdouble(&j, "since", (double)(node_wall_ms() - (n->loop->now_ms - n->started_ms)) / 1000);
    json_kdouble(&j, "rtt_ms", 0);
    json_ku64(&j, "incarnation", 0);
    json_kstr(&j, "version", build_version());
    json_ku64(&j, "services", n->config->services.count);
    json_ku64(&j, "config", snapshot_current(n->hub)->seq);
    json_obj_end(&j);
    json_arr_end(&j);
    json_key(&j, "missing");
    json_arr(&j);
    json_arr_end(&j);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}

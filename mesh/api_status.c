/* api_status.c - is this node alive, ready, and what is it. */
#include <unistd.h>

#include <gossamer/json_out.h>

#include "mesh/admin.h"
#include "mesh/build_text.h"
#include "mesh/config/config.h"
#include "mesh/node.h"
#include "mesh/node_reload.h"

#define CONFIG_BYTES_MAX (16u << 20)

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
    if (gs_fsm_is(&n->phase, NODE_DRAINING))
        reply_text(c, 503, "draining\n");
    else if (gs_fsm_is(&n->phase, NODE_CLOSED))
        reply_text(c, 503, "closed: the policy of the mesh is not known here yet\n");
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
    struct json_out j;

    (void)r;
    gs_buf_init(&out, CONFIG_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    config_show_json(n->config, &j);
    json_kstr(&j, "file", n->config->file);
    json_key(&j, "reload");
    node_reload_json(n->reload, &j);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}

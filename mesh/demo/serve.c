/* serve.c - the sample service: answers every request with who it is, after a moment, as an
 * application would. It stands on the proxy's own server connections.
 *
 *     listener ─▶ server_conn ─▶ begin ─▶ call ──request whole, then a moment──▶ answer
 *                                          └─ the client left ─▶ no answer */
#include "mesh/demo/serve.h"

#include <signal.h>

#include <gossamer/alloc.h>
#include <gossamer/h1.h>
#include <gossamer/http.h>
#include <gossamer/json_out.h>
#include <gossamer/listener.h>
#include <gossamer/work.h>

#include "mesh/cli/cli.h"

#define ANSWER_BYTES_MAX 65536
#define IDLE_MS 60000
#define HEALTH_PATH "/healthz"

struct serve {
    struct http_handler handler; /* first: what a connection hands back */
    struct http_server_options server;
    struct gs_loop *loop;
    struct gs_listener *listener;
    struct gs_list conns;
    struct gs_signal *term, *interrupt;
    const char *name, *version;
    struct gs_addr listen;
    uint32_t status;
    uint64_t latency_ms;
    uint64_t requests;
    bool stopping;
};

struct call { /* one request */
    struct side side;
    struct side *answer; /* NULL: the client left */
    struct serve *serve;
    struct gs_timer timer; /* runs while the answer is due */
    struct gs_grave grave;
    struct gs_slice path; /* kept below */
    char path_text[256];
    bool is_head, healthcheck;
};

static struct call *
call_of(struct side *s)
{
    return GS_CONTAINER(s, struct call, side);
}

static void
bury(struct gs_grave *g)
{
    gs_free(GS_CONTAINER(g, struct call, grave));
}

static void
call_over(struct call *c)
{
    gs_loop_disarm(c->serve->loop, &c->timer);
    if (!gs_list_linked(&c->grave.link))
        gs_loop_bury(c->serve->loop, &c->grave, bury);
}

/* ---- the answer ---- */

static void
write_body(struct call *c, struct gs_buf *out)
{
    struct json_out j;

    json_init(&j, out);
    json_obj(&j);
    json_kstr(&j, "service", c->serve->name);
    json_kstr(&j, "version", c->serve->version);
    json_kslice(&j, "path", c->path);
    json_ku64(&j, "requests", c->serve->requests);
    json_obj_end(&j);
    (void)gs_buf_put_str(out, "\n");
}

static void
answer(struct call *c)
{
    struct field type = { .name = GS_SLICE("content-type"), .value = GS_SLICE("application/json") };
    unsigned status = c->healthcheck ? 200 : c->serve->status;
    struct head h = { .status = status,
                      .phrase = status == 200 ? GS_SLICE("OK") : GS_SLICE("Broken On Purpose"),
                      .fields = &type,
                      .count = 1,
                      .framing = c->is_head ? FRAMING_NONE : FRAMING_LENGTH,
                      .has_length = true };
    struct side *to = c->answer;
    struct gs_buf body;

    GS_ASSERT(to != NULL);
    gs_buf_init(&body, ANSWER_BYTES_MAX);
    write_body(c, &body);
    h.length = body.len;
    c->answer = NULL;
    to->ops->head(to, &h);
    if (!c->is_head)
        to->ops->data(to, gs_buf_slice(&body));
    to->ops->end(to);
    gs_buf_fini(&body);
    call_over(c);
}

static void
on_due(struct gs_timer *t)
{
    answer(GS_CONTAINER(t, struct call, timer));
}

/* ---- the request ---- */

static void
on_head(struct side *to, struct head *h)
{
    (void)to; /* of answers only */
    (void)h;
}

static void
on_data(struct side *to, struct gs_slice bytes)
{
    (void)to; /* a body is taken and thrown away */
    (void)bytes;
}

static void
on_trailers(struct side *to, struct head *t)
{
    (void)to;
    (void)t;
}

static void
on_end(struct side *to)
{
    struct call *c = call_of(to);

    if (!c->healthcheck)
        c->serve->requests++;
    if (c->healthcheck || c->serve->latency_ms == 0)
        answer(c);
    else
        gs_loop_arm(c->serve->loop, &c->timer, c->serve->latency_ms);
}

static void
on_reset(struct side *to, enum reason why)
{
    struct call *c = call_of(to);

    (void)why;
    c->answer = NULL;
    call_over(c);
}

static size_t
on_room(struct side *to)
{
    (void)to;
    return LOOP_SCRATCH_BYTES;
}

static void
on_resume(struct side *to)
{
    (void)to; /* an answer is never longer than the room */
}

static const struct side_ops call_ops = { on_head,  on_data, on_trailers, on_end,
                                          on_reset, on_room, on_resume };

static struct side *
begin(struct http_handler *handler, struct side *to, struct head *h)
{
    struct call *c = gs_zalloc(sizeof(*c));
    size_t len = h->path.len < sizeof(c->path_text) ? h->path.len : sizeof(c->path_text);

    c->side.ops = &call_ops;
    c->answer = to;
    c->serve = GS_CONTAINER(handler, struct serve, handler);
    gs_timer_init(&c->timer, on_due);
    gs_list_init(&c->grave.link);
    memcpy(c->path_text, h->path.ptr, len);
    c->path = gs_slice(c->path_text, len);
    c->is_head = h->is_head;
    c->healthcheck = gs_slice_eq(h->path, GS_SLICE(HEALTH_PATH));
    return &c->side;
}

/* ---- start and stop ---- */

static void
on_accepted(void *arg, int fd)
{
    struct serve *s = arg;

    (void)server_accept(s->loop, fd, &s->server, &s->conns); /* NULL: it was closed */
}

static void
on_signal(void *arg, int signum)
{
    struct serve *s = arg;

    (void)signum;
    if (s->stopping)
        return;
    s->stopping = true;
    gs_listener_close(s->listener);
    GS_LIST_EACH_SAFE(n, &s->conns)
        server_conn_abort(n);
    gs_signal_close(s->term);
    gs_signal_close(s->interrupt);
    gs_loop_stop(s->loop);
}

static int
serve_run(struct serve *s)
{
    struct gs_why why = { "" };
    struct gs_listener_events events = { on_accepted, NULL, s };
    char address[GS_ADDR_TEXT];
    int fd = gs_listen_tcp(&s->listen, false, &why);

    if (fd < 0)
        return cli_fail(CLI_REFUSED, NULL, "demo serve: %s", why.text);
    (void)signal(SIGPIPE, SIG_IGN);
    s->loop = gs_loop_new("serve", gs_rng_seed_from_system());
    s->handler.begin = begin;
    s->server = (struct http_server_options){ .handler = &s->handler,
                                              .pool = h1_pool_new(),
                                              .head_ms = IDLE_MS,
                                              .idle_ms = IDLE_MS,
                                              .body_idle_ms = IDLE_MS,
                                              .via = "gossamer-demo" };
    gs_list_init(&s->conns);
    s->term = gs_signal_watch(s->loop, SIGTERM, on_signal, s);
    s->interrupt = gs_signal_watch(s->loop, SIGINT, on_signal, s);
    s->listener = gs_listener_new(s->loop, fd, &events);
    (void)printf("%s %s " SERVE_LISTENS " %s\n", s->name, s->version,
                 gs_addr_text(&s->listen, address));
    (void)fflush(stdout);
    gs_loop_run(s->loop);
    gs_loop_free(s->loop);
    h1_pool_free(s->server.pool);
    return CLI_GOOD;
}

int
serve_cmd(int argc, char **argv)
{
    struct serve s = { .name = "tools", .version = "v1", .status = 200, .latency_ms = 1 };
    const struct cli_option table[] = {
        { 0, "name", CLI_TEXT, &s.name, "NAME", "name of the service (tools)", { 0 } },
        { 0, "version", CLI_TEXT, &s.version, "VERSION", "what it says it is (v1)", { 0 } },
        { 0,
          "listen",
          CLI_VALUE,
          &s.listen,
          "ADDRESS",
          "where it answers",
          { .kind = VALUE_ADDRESS, .min = 1, .max = 65535 } },
        { 0,
          "latency",
          CLI_VALUE,
          &s.latency_ms,
          "TIME",
          "how long an answer takes, at least (1ms)",
          { .kind = VALUE_DURATION, .max = 60000 } },
        { 0,
          "status",
          CLI_VALUE,
          &s.status,
          "N",
          "answer with this error instead of 200; " HEALTH_PATH " stays well",
          { .kind = VALUE_UINT, .min = 400, .max = 599 } },
    };
    const struct cli_command cmd = {
        .name = "demo serve",
        .operands = "",
        .help = "Answer HTTP requests with the name and version of a sample service, as JSON.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    if (s.listen.family == 0)
        return cli_fail(CLI_USAGE, "gossamer demo serve --listen 127.0.0.1:9001",
                        "demo serve: --listen is missing");
    return serve_run(&s);
}

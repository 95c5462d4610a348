/* serve.c - the sample service: answers every request with who it is, after a moment, as an
 * application would, and asks other services first if it is told to. It stands on the proxy's own
 * server connections.
 *
 *     listener ─▶ server_conn ─▶ begin ─▶ call ──request whole, a moment──▶ ask others ─▶ answer
 *                                          └─ the client left ─▶ no answer
 *
 * SIGUSR1: answer 500 from now on, with every check still passing; SIGUSR2: be well again. */
#include "mesh/demo/serve.h"

#include <signal.h>

#include <gossamer/alloc.h>
#include <gossamer/h1.h>
#include <gossamer/http.h>
#include <gossamer/json_out.h>
#include <gossamer/listener.h>
#include <gossamer/work.h>

#include "mesh/cli/cli.h"
#include "mesh/demo/asker.h"

#define ANSWER_BYTES_MAX (256 * 1024)
#define IDLE_MS 60000
#define ASK_MS 5000
#define HEALTH_PATH "/healthz"
#define CALLS_MAX 4
#define SIGNALS 4

struct serve {
    struct http_handler handler; /* first: what a connection hands back */
    struct http_server_options server;
    struct gs_loop *loop;
    struct gs_listener *listener;
    struct gs_list conns;
    struct gs_signal *signals[SIGNALS];
    const char *name, *version, *node;
    struct gs_addr listen, via;
    struct cli_texts calls;
    struct asker *asker; /* to `via`, if there are calls */
    uint32_t status, well;
    uint64_t latency_ms;
    uint64_t requests;
    bool stopping;
};

struct call { /* one request */
    struct side side;
    struct side *answer; /* NULL: the client left, or has its answer */
    struct serve *serve;
    struct gs_timer timer; /* runs while the answer is due */
    struct gs_grave grave;
    struct gs_slice path; /* kept below */
    char path_text[256];
    bool is_head, healthcheck;
    unsigned asked;      /* services that have not answered yet */
    struct gs_buf calls; /* a JSON list of what they said */
    struct json_out json;
    char failed[160]; /* the first that did not help, in words */
};

struct question { /* of a call to one other service */
    struct call *call;
    const char *service;
};

static struct call *
call_of(struct side *s)
{
    return GS_CONTAINER(s, struct call, side);
}

static void
bury(struct gs_grave *g)
{
    struct call *c = GS_CONTAINER(g, struct call, grave);

    gs_buf_fini(&c->calls);
    gs_free(c);
}

/* Once nobody knows it: neither the client nor those who were asked. */
static void
call_over(struct call *c)
{
    gs_loop_disarm(c->serve->loop, &c->timer);
    GS_ASSERT(c->asked == 0 || c->serve->asker);
    if (c->asked == 0 && !gs_list_linked(&c->grave.link))
        gs_loop_bury(c->serve->loop, &c->grave, bury);
}

/* ---- the answer ---- */

static unsigned
status_of(const struct call *c)
{
    if (c->healthcheck)
        return 200;
    return c->serve->status != 200 ? c->serve->status : c->failed[0] ? 502 : 200;
}

static void
write_body(struct call *c, struct gs_buf *out)
{
    const struct serve *s = c->serve;
    struct json_out j;

    json_init(&j, out);
    json_obj(&j);
    json_kstr(&j, "service", s->name);
    json_kstr(&j, "version", s->version);
    if (s->node)
        json_kstr(&j, "node", s->node);
    json_kslice(&j, "path", c->path);
    json_ku64(&j, "requests", s->requests);
    if (c->failed[0])
        json_kstr(&j, "error", c->failed);
    if (c->calls.len > 0) {
        json_key(&j, "calls");
        json_raw(&j, gs_buf_slice(&c->calls));
    }
    json_obj_end(&j);
    (void)gs_buf_put_str(out, "\n");
}

static void
answer(struct call *c)
{
    struct field type = { .name = GS_SLICE("content-type"), .value = GS_SLICE("application/json") };
    unsigned status = status_of(c);
    struct head h = { .status = status,
                      .phrase = status == 200  ? GS_SLICE("OK")
                                : c->failed[0] ? GS_SLICE("Bad Gateway")
                                               : GS_SLICE("Broken On Purpose"),
                      .fields = &type,
                      .count = 1,
                      .framing = c->is_head ? FRAMING_NONE : FRAMING_LENGTH,
                      .has_length = true };
    struct side *to = c->answer;
    struct gs_buf body;

    GS_ASSERT(to != NULL);
    GS_ASSERT(c->asked == 0);
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

/* ---- asking others ---- */

static bool
is_object(struct gs_slice text)
{
    return text.len > 1 && text.ptr[0] == '{' && text.ptr[text.len - 1] == '}';
}

/* What it said goes into our own answer as it is, so that the client sees the whole way. */
static void
note_answer(struct call *c, const char *service, const struct asker_answer *a)
{
    struct gs_slice body = a->body;

    if (body.len > 0 && body.ptr[body.len - 1] == '\n')
        body.len--;
    if (a->status != 0 && is_object(body) && !c->calls.failed)
        json_raw(&c->json, body);
    if (a->status == 200 || c->failed[0])
        return;
    if (a->status == 0)
        (void)snprintf(c->failed, sizeof(c->failed), "%s: %s", service, a->why);
    else if (is_object(body)) /* which says itself what is wrong */
        (void)snprintf(c->failed, sizeof(c->failed), "%s answered %u", service, a->status);
    else
        (void)snprintf(c->failed, sizeof(c->failed), "%s answered %u: %.*s", service, a->status,
                       (int)(body.len < 100 ? body.len : 100), body.len > 0 ? body.ptr : "");
    c->failed[strcspn(c->failed, "\r\n")] = '\0';
}

static void
on_answer(void *arg, const struct asker_answer *a)
{
    struct question *q = arg;
    struct call *c = q->call;

    GS_ASSERT(c->asked > 0);
    c->asked--;
    if (c->answer)
        note_answer(c, q->service, a);
    gs_free(q);
    if (c->asked > 0)
        return;
    json_arr_end(&c->json);
    GS_ASSERT(c->json.depth == 0);
    if (c->answer)
        answer(c);
    else
        call_over(c);
}

static void
ask_others(struct call *c)
{
    struct serve *s = c->serve;

    gs_buf_init(&c->calls, ANSWER_BYTES_MAX / 2);
    json_init(&c->json, &c->calls);
    json_arr(&c->json);
    GS_ASSERT(c->asked == 0);
    GS_ASSERT(s->calls.count > 0);
    c->asked = (unsigned)s->calls.count; /* before the first of them can answer */
    for (size_t i = 0; i < s->calls.count; i++) {
        struct question *q = gs_zalloc(sizeof(*q));

        q->call = c;
        q->service = s->calls.items[i];
        asker_get(s->asker, q->service, "/", ASK_MS, on_answer, q);
    }
}

static void
proceed(struct call *c)
{
    if (!c->healthcheck && c->serve->asker && c->serve->status == 200)
        ask_others(c);
    else
        answer(c);
}

static void
on_due(struct gs_timer *t)
{
    proceed(GS_CONTAINER(t, struct call, timer));
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
        proceed(c);
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
stop(struct serve *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    gs_listener_close(s->listener);
    GS_LIST_EACH_SAFE(n, &s->conns)
        server_conn_abort(n); /* resets its call, which then answers nobody */
    if (s->asker)
        asker_close(s->asker);
    for (size_t i = 0; i < SIGNALS; i++)
        gs_signal_close(s->signals[i]);
    gs_loop_stop(s->loop);
}

static void
on_signal(void *arg, int signum)
{
    struct serve *s = arg;

    if (signum != SIGUSR1 && signum != SIGUSR2) {
        stop(s);
        return;
    }
    s->status = signum == SIGUSR1 ? 500 : s->well;
    (void)printf("%s %s %s\n", s->name, s->version, signum == SIGUSR1 ? SERVE_FAILS : SERVE_WELL);
    (void)fflush(stdout);
}

static void
start(struct serve *s)
{
    static const int signals[SIGNALS] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };

    s->loop = gs_loop_new("serve", gs_rng_seed_from_system());
    s->handler.begin = begin;
    s->server = (struct http_server_options){ .handler = &s->handler,
                                              .pool = h1_pool_new(),
                                              .head_ms = IDLE_MS,
                                              .idle_ms = IDLE_MS,
                                              .body_idle_ms = IDLE_MS,
                                              .via = "gossamer-demo" };
    gs_list_init(&s->conns);
    if (s->calls.count > 0)
        s->asker = asker_new(s->loop, s->server.pool, &s->via);
    for (size_t i = 0; i < SIGNALS; i++)
        s->signals[i] = gs_signal_watch(s->loop, signals[i], on_signal, s);
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
    start(s);
    s->listener = gs_listener_new(s->loop, fd, &events);
    (void)printf("%s %s " SERVE_LISTENS " %s\n", s->name, s->version,
                 gs_addr_text(&s->listen, address));
    (void)fflush(stdout);
    gs_loop_run(s->loop);
    gs_loop_free(s->loop);
    h1_pool_free(s->server.pool);
    return CLI_GOOD;
}

/* What --listen and --call need besides. */
static int
check_options(const struct serve *s)
{
    if (s->listen.family == 0)
        return cli_fail(CLI_USAGE, "gossamer demo serve --listen 127.0.0.1:9001",
                        "demo serve: --listen is missing");
    if (s->calls.count > CALLS_MAX)
        return cli_fail(CLI_USAGE, NULL, "demo serve: at most %d services can be called",
                        CALLS_MAX);
    if ((s->calls.count > 0) != (s->via.family != 0))
        return cli_fail(CLI_USAGE, "gossamer demo serve ... --call tools --via 127.0.0.1:4140",
                        "demo serve: --call and --via go together");
    return CLI_GO_ON;
}

int
serve_cmd(int argc, char **argv)
{
    struct serve s = { .name = "tools", .version = "v1", .status = 200, .latency_ms = 1 };
    const struct value_type address = { .kind = VALUE_ADDRESS, .min = 1, .max = 65535 };
    const struct value_type status = { .kind = VALUE_UINT, .min = 400, .max = 599 };
    const struct value_type time = { .kind = VALUE_DURATION, .max = 60000 };
    const struct cli_option table[] = {
        { 0, "name", CLI_TEXT, &s.name, "NAME", "name of the service (tools)", { 0 } },
        { 0, "version", CLI_TEXT, &s.version, "VERSION", "what it says it is (v1)", { 0 } },
        { 0, "node", CLI_TEXT, &s.node, "NAME", "where it says it is", { 0 } },
        { 0, "listen", CLI_VALUE, &s.listen, "ADDRESS", "where it answers", address },
        { 0,
          "call",
          CLI_TEXTS,
          &s.calls,
          "SERVICE",
          "ask this one first, for each request",
          { 0 } },
        { 0, "via", CLI_VALUE, &s.via, "ADDRESS", "the outbound port to ask through", address },
        { 0, "latency", CLI_VALUE, &s.latency_ms, "TIME",
          "how long an answer takes, at least (1ms)", time },
        { 0, "status", CLI_VALUE, &s.status, "N",
          "answer with this error instead of 200; " HEALTH_PATH " stays well", status },
    };
    const struct cli_command cmd = {
        .name = "demo serve",
        .operands = "",
        .help = "Answer HTTP requests with the name and version of a sample service, as JSON.\n"
                "SIGUSR1 makes it answer 500, SIGUSR2 makes it well again.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code == CLI_GO_ON)
        code = check_options(&s);
    if (code != CLI_GO_ON)
        return code;
    s.well = s.status;
    return serve_run(&s);
}

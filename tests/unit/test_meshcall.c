/* test_meshcall.c - a question to another node, and all that can come of it. Who answers is played
 * here, at the other end of the socket pair: by a mux whose handler follows a script, or by bytes.
 *
 *     meshcall_ask ─▶ mux ═ socket pair ═ mux ─▶ play(): head, data, end; half of it; nothing
 *       done(c)    ◀─                   ═ bytes that are no HTTP/2 */
#include "panics.h"

#include <sys/socket.h>

#include <gossamer/alloc.h>
#include <gossamer/mux.h>

#include "mesh/base/loop_uv.h"
#include "mesh/meshcall.h"

#define DEADLINE_MS 50
#define PATIENCE_MS 20000 /* of the test itself */

enum script { WHOLE, TEXT, REFUSAL, SILENT, HEAD_ONLY, HALF, TOO_MUCH, JUST_ENOUGH };

struct asked {
    struct meshcall call;
    unsigned done;
    bool again; /* asks once more when it is told */
};

static struct {
    struct gs_loop *loop;
    struct meshcalls *calls;
    struct mux *far; /* NULL: ended, or bytes are played */
    struct http_handler handler;
    struct side taking; /* the request */
    struct side *answer;
    enum script script;
    size_t sent;
    unsigned requests, left; /* left: the asker went away */
    char authority[128], path[64];
    struct gs_id node;
    struct gs_addr mesh;
} b;

/* ---- the other end ---- */

static void
put_head(struct side *to, unsigned status, struct gs_slice type)
{
    struct field f = { .name = GS_SLICE("content-type"), .value = type };
    struct head h = { .status = status, .fields = &f, .count = 1 };

    to->ops->head(to, &h);
}

/* As much as there is room for, until `all` was sent. */
static void
put_body(struct side *to, size_t all)
{
    static const char zeros[4096];

    while (b.sent < all) {
        size_t room = to->ops->room(to);
        size_t n = all - b.sent < sizeof(zeros) ? all - b.sent : sizeof(zeros);

        if (room == 0)
            return;
        n = n < room ? n : room;
        b.sent += n;
        to->ops->data(to, gs_slice(zeros, n));
    }
    b.answer = NULL;
    to->ops->end(to);
}

static void
play(struct side *to)
{
    switch (b.script) {
    case WHOLE:
    case HALF:
        put_head(to, 200, GS_SLICE("application/json"));
        to->ops->data(to, GS_SLICE("{\"state\":\"active\"}"));
        if (b.script == HALF)
            break;
        b.answer = NULL;
        to->ops->end(to);
        break;
    case TEXT:
        put_head(to, 503, GS_SLICE("text/plain; charset=utf-8"));
        to->ops->data(to, GS_SLICE("gossamer: upstream refused the connection\n"));
        b.answer = NULL;
        to->ops->end(to);
        break;
    case REFUSAL:
        put_head(to, 400, GS_SLICE("application/json"));
        to->ops->data(to, GS_SLICE("gossamer: {\"errors\":[]}\n"));
        b.answer = NULL;
        to->ops->end(to);
        break;
    case HEAD_ONLY:
        put_head(to, 200, GS_SLICE("application/json"));
        break;
    case TOO_MUCH:
    case JUST_ENOUGH:
        put_head(to, 200, GS_SLICE("application/json"));
        put_body(to, MESHCALL_BYTES_MAX + (b.script == TOO_MUCH));
        break;
    case SILENT:
        break;
    }
}

static struct side *
on_request(struct http_handler *handler, struct side *answer, struct head *h)
{
    (void)handler;
    b.requests++;
    (void)snprintf(b.authority, sizeof(b.authority), "%.*s", GS_SLICE_FMT(h->authority));
    (void)snprintf(b.path, sizeof(b.path), "%.*s", GS_SLICE_FMT(h->path));
    b.answer = answer;
    b.sent = 0;
    play(answer);
    return &b.taking;
}

static void
taking_nothing(struct side *to, struct head *h)
{
    (void)to;
    (void)h;
}

static void
taking_data(struct side *to, struct gs_slice bytes)
{
    (void)to;
    assert_int_equal(bytes.len, 0); /* a question has no body */
}

static void
taking_end(struct side *to)
{
    (void)to;
}

static void
taking_reset(struct side *to, enum reason why)
{
    (void)to;
    (void)why;
    b.answer = NULL;
    b.left++;
}

static size_t
taking_room(struct side *to)
{
    (void)to;
    return 4096;
}

static void
taking_resume(struct side *to)
{
    (void)to;
    if (b.answer && (b.script == TOO_MUCH || b.script == JUST_ENOUGH))
        put_body(b.answer, MESHCALL_BYTES_MAX + (b.script == TOO_MUCH));
}

static const struct side_ops taking_ops = { taking_nothing, taking_data, taking_nothing, taking_end,
                                            taking_reset,   taking_room, taking_resume };

static void
far_ignores(void *arg)
{
    (void)arg;
}

static void
far_refused(void *arg, enum reason why)
{
    (void)arg;
    (void)why;
}

static void
far_closed(void *arg, enum reason why)
{
    (void)arg;
    (void)why;
    b.far = NULL;
}

static const struct mux_events far_events = { NULL, far_ignores, far_refused, far_closed };

/* ---- the bench ---- */

/* The far end's descriptor, nobody's yet. */
static int
begin(void)
{
    int ends[2];

    memset(&b, 0, sizeof(b));
    b.loop = gs_loop_new("test", 1);
    b.handler.begin = on_request;
    b.taking.ops = &taking_ops;
    b.node.bytes[0] = 0xab;
    assert_int_equal(gs_addr_parse(&b.mesh, GS_SLICE("10.0.0.7:4143"), NULL), GS_E_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    b.calls = meshcalls_new(b.loop, ends[0]);
    assert_non_null(b.calls);
    return ends[1];
}

static void
begin_script(enum script s)
{
    struct stream *below;
    int fd = begin();

    b.script = s;
    b.far = mux_new(&(struct mux_options){
        .loop = b.loop, .role = MUX_SERVER, .events = &far_events, .calls = &b.handler });
    below = stream_tcp_accept(b.loop, fd, &mux_sink_ops, b.far);
    assert_non_null(below);
    mux_start(b.far, below);
}

static void
on_tick(struct gs_timer *t)
{
    (void)t;
}

/* What is deferred is run before the loop sleeps: it must not sleep long then. */
static void
turn(void)
{
    struct gs_timer tick;

    gs_timer_init(&tick, on_tick);
    gs_loop_clock(b.loop);
    gs_loop_arm(b.loop, &tick, LOOP_TICK_MS);
    (void)uv_run(gs_loop_uv(b.loop), UV_RUN_ONCE);
    gs_loop_disarm(b.loop, &tick);
}

static void
until(const unsigned *what, unsigned least)
{
    uint64_t end;

    gs_loop_clock(b.loop);
    end = b.loop->now_ms + PATIENCE_MS;
    while (*what < least) {
        assert_true(b.loop->now_ms < end);
        turn();
    }
}

static void
end(void)
{
    meshcalls_close(b.calls);
    if (b.far)
        mux_abort(b.far, REASON_NONE);
    gs_loop_stop(b.loop);
    gs_loop_run(b.loop);
    meshcalls_free(b.calls);
    gs_loop_free(b.loop);
}

static void
on_done(struct meshcall *c)
{
    struct asked *a = GS_CONTAINER(c, struct asked, call);

    a->done++;
    if (a->again) {
        a->again = false;
        meshcall_ask(b.calls, c, &b.node, &b.mesh, GS_SLICE("/again"), PATIENCE_MS);
    }
}

static void
ask(struct asked *a, uint64_t wait_ms)
{
    memset(a, 0, sizeof(*a));
    a->call.done = on_done;
    meshcall_ask(b.calls, &a->call, &b.node, &b.mesh, GS_SLICE("/api/v1/x?y=1"), wait_ms);
}

/* ---- tests ---- */

static void
an_answer_is_told_once(void **state)
{
    struct asked a;

    (void)state;
    begin_script(WHOLE);
    ask(&a, PATIENCE_MS);
    assert_int_equal(a.done, 0); /* from the loop, never from the asking */
    until(&a.done, 1);
    assert_int_equal(a.call.status, 200);
    assert_string_equal(gs_buf_cstr(&a.call.body), "{\"state\":\"active\"}");
    assert_string_equal(a.call.why, "");
    assert_string_equal(b.path, "/api/v1/x?y=1");
    assert_non_null(strstr(b.authority, "+10.0.0.7:4143"));
    assert_int_equal(strncmp(b.authority, "ab0000", 6), 0);
    a.again = true;
    a.done = 0;
    meshcall_ask(b.calls, &a.call, &b.node, &b.mesh, GS_SLICE("/"), PATIENCE_MS);
    until(&a.done, 2); /* asked from its own done */
    assert_string_equal(b.path, "/again");
    assert_int_equal(b.requests, 3);
    assert_string_equal(gs_buf_cstr(&a.call.body), "{\"state\":\"active\"}");
    meshcall_fini(&a.call);
    end();
}

static void
a_refusal_says_why(void **state)
{
    struct asked a;

    (void)state;
    begin_script(TEXT);
    ask(&a, PATIENCE_MS);
    until(&a.done, 1);
    assert_int_equal(a.call.status, 503);
    assert_string_equal(a.call.why, "cannot be asked: upstream refused the connection");
    meshcall_fini(&a.call);
    b.script = REFUSAL; /* not of a worker in between: its words are not passed on */
    ask(&a, PATIENCE_MS);
    until(&a.done, 1);
    assert_int_equal(a.call.status, 400);
    assert_string_equal(a.call.why, "has answered with status 400");
    meshcall_fini(&a.call);
    end();
}

/* Nothing, a head, half a body: the time is up all the same, and the other end is told. */
static void
slow_ones_are_given_up(void **state)
{
    static const enum script slow[] = { SILENT, HEAD_ONLY, HALF };
    struct asked a;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(slow); i++) {
        uint64_t began;

        begin_script(slow[i]);
        gs_loop_clock(b.loop);
        began = b.loop->now_ms;
        ask(&a, DEADLINE_MS);
        until(&a.done, 1);
        assert_true(b.loop->now_ms - began >= DEADLINE_MS - LOOP_TICK_MS);
        assert_int_equal(a.call.status, 0);
        assert_string_equal(a.call.why, "has not answered");
        until(&b.left, 1);
        assert_int_equal(a.done, 1);
        meshcall_fini(&a.call);
        end();
    }
}

static void
an_answer_has_an_end(void **state)
{
    struct asked a;

    (void)state;
    begin_script(JUST_ENOUGH);
    ask(&a, PATIENCE_MS);
    until(&a.done, 1);
    assert_int_equal(a.call.status, 200);
    assert_int_equal(a.call.body.len, MESHCALL_BYTES_MAX);
    meshcall_fini(&a.call);
    b.script = TOO_MUCH;
    ask(&a, PATIENCE_MS);
    until(&a.done, 1);
    assert_int_equal(a.call.status, 0);
    assert_string_equal(a.call.why, "has answered with more than 1 MiB");
    b.script = WHOLE; /* the door is as good as before */
    meshcall_fini(&a.call);
    ask(&a, PATIENCE_MS);
    until(&a.done, 1);
    assert_int_equal(a.call.status, 200);
    meshcall_fini(&a.call);
    end();
}

static void
a_cut_answer_is_none(void **state)
{
    struct asked a;

    (void)state;
    begin_script(HALF);
    ask(&a, PATIENCE_MS);
    until(&a.call.status, 200);
    b.answer->ops->reset(b.answer, REASON_OWN_FAULT);
    until(&a.done, 1);
    assert_int_equal(a.call.status, 0);
    assert_string_equal(a.call.why, "has cut its answer short");
    meshcall_fini(&a.call);
    end();
}

static void
who_cancels_is_not_told(void **state)
{
    struct asked a;

    (void)state;
    begin_script(HALF);
    ask(&a, DEADLINE_MS);
    until(&b.requests, 1);
    meshcall_cancel(&a.call);
    meshcall_cancel(&a.call);
    until(&b.left, 1);
    assert_int_equal(a.done, 0);
    meshcall_fini(&a.call);
    b.script = WHOLE; /* cancelled when the answer is there and not told yet */
    ask(&a, PATIENCE_MS);
    until(&a.call.status, 200);
    meshcall_fini(&a.call);
    a.done = 7;
    end();
    assert_int_equal(a.done, 7);
}

/* The worker's end says what is no HTTP/2, or goes away: every question ends, and later ones do. */
static void
garbage_ends_all_questions(void **state)
{
    static const char *const garbage[] = { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                                           "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "" };
    struct asked a, more;

    (void)state;
    for (size_t i = 0; i < GS_COUNT(garbage); i++) {
        int fd = begin();

        ask(&a, PATIENCE_MS);
        ask(&more, PATIENCE_MS);
        assert_int_equal(write(fd, garbage[i], strlen(garbage[i])), strlen(garbage[i]));
        if (garbage[i][0] == '\0')
            (void)close(fd);
        until(&a.done, 1);
        until(&more.done, 1);
        assert_int_equal(a.call.status + more.call.status, 0);
        assert_true(a.call.why[0] != '\0');
        meshcall_fini(&a.call);
        ask(&a, PATIENCE_MS);
        until(&a.done, 1);
        assert_string_equal(a.call.why, "was not asked: this node is stopping");
        meshcall_fini(&a.call);
        meshcall_fini(&more.call);
        end();
        if (garbage[i][0] != '\0')
            (void)close(fd);
    }
}

static void
questions_have_a_limit(void **state)
{
    static struct asked all[MUX_STREAMS_MAX + 50];
    unsigned refused = 0;

    (void)state;
    begin_script(SILENT);
    ask(&all[0], PATIENCE_MS);
    until(&b.requests, 1); /* what the other end allows is known now */
    for (size_t i = 1; i < GS_COUNT(all); i++)
        ask(&all[i], PATIENCE_MS);
    until(&b.requests, MUX_STREAMS_MAX);
    for (size_t i = 0; i < GS_COUNT(all); i++) {
        refused += all[i].done;
        if (all[i].done > 0)
            assert_string_equal(all[i].call.why, "was not asked: too many questions are under way");
    }
    assert_int_equal(refused, GS_COUNT(all) - MUX_STREAMS_MAX);
    meshcalls_close(b.calls);
    for (size_t i = 0; i < GS_COUNT(all); i++)
        until(&all[i].done, 1);
    for (size_t i = 0; i < GS_COUNT(all); i++)
        meshcall_fini(&all[i].call);
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_told_once),     cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(slow_ones_are_given_up),     cmocka_unit_test(an_answer_has_an_end),
        cmocka_unit_test(a_cut_answer_is_none),       cmocka_unit_test(who_cancels_is_not_told),
        cmocka_unit_test(garbage_ends_all_questions), cmocka_unit_test(questions_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

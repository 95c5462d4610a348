/* test_mux_call.c - requests that nodes ask each other, over a pair of memory streams. */
#include "tests/unit/mux_pair.h"

struct caller { /* gets an answer */
    struct side side;
    struct gs_buf got;
    unsigned status, ended, reset;
    size_t room;
};

static void
caller_head(struct side *to, struct head *h)
{
    GS_CONTAINER(to, struct caller, side)->status = h->status;
}

static void
caller_data(struct side *to, struct gs_slice bytes)
{
    assert_int_equal(gs_buf_put_slice(&GS_CONTAINER(to, struct caller, side)->got, bytes), GS_E_OK);
}

static void
caller_trailers(struct side *to, struct head *t)
{
    (void)to;
    (void)t;
}

static void
caller_end(struct side *to)
{
    GS_CONTAINER(to, struct caller, side)->ended++;
}

static void
caller_reset(struct side *to, enum reason why)
{
    (void)why;
    GS_CONTAINER(to, struct caller, side)->reset++;
}

static size_t
caller_room(struct side *to)
{
    return GS_CONTAINER(to, struct caller, side)->room;
}

static void
caller_resume(struct side *to)
{
    (void)to;
}

static const struct side_ops caller_ops = { caller_head,  caller_data, caller_trailers, caller_end,
                                            caller_reset, caller_room, caller_resume };

static struct { /* the answering side */
    struct http_handler handler;
    struct side side;
    struct side *answer;
    char path[64], authority[64];
    unsigned ended, reset;
    bool cut;
} oracle;

static void
oracle_end(struct side *to)
{
    (void)to;
    oracle.ended++;
}

static void
oracle_reset(struct side *to, enum reason why)
{
    (void)to;
    (void)why;
    oracle.reset++;
}

static const struct side_ops oracle_ops = { caller_head,  caller_data, caller_trailers, oracle_end,
                                            oracle_reset, caller_room, caller_resume };

static struct side *
oracle_begin(struct http_handler *handler, struct side *answer, struct head *h)
{
    struct field type = { .name = GS_SLICE("Content-Type"), .value = GS_SLICE("application/json") };
    struct head a = { .status = 200, .fields = &type, .count = 1, .has_length = true };

    (void)handler;
    snprintf(oracle.path, sizeof(oracle.path), "%.*s", GS_SLICE_FMT(h->path));
    snprintf(oracle.authority, sizeof(oracle.authority), "%.*s", GS_SLICE_FMT(h->authority));
    oracle.side.ops = &oracle_ops;
    oracle.answer = answer;
    a.length = 11;
    answer->ops->head(answer, &a);
    answer->ops->data(answer, GS_SLICE("{\"a\":"));
    if (!oracle.cut) {
        answer->ops->data(answer, GS_SLICE("[1, 2]"));
        answer->ops->end(answer);
    }
    return &oracle.side;
}

static void
caller_init(struct caller *c)
{
    memset(c, 0, sizeof(*c));
    c->side.ops = &caller_ops;
    c->room = LOOP_SCRATCH_BYTES;
    gs_buf_init(&c->got, 1u << 20);
}

static void
test_call(void **state)
{
    struct pair *p;
    struct caller c;

    (void)state;
    memset(&oracle, 0, sizeof(oracle));
    oracle.handler.begin = oracle_begin;
    p = pair_new(&oracle.handler);
    caller_init(&c);
    assert_non_null(mux_ask(p->client.mux, GS_SLICE("node.gossamer.internal"),
                            GS_SLICE("/api/v1/stat?x=1"), &c.side));
    pair_run(p);
    assert_string_equal(oracle.path, "/api/v1/stat?x=1");
    assert_string_equal(oracle.authority, "node.gossamer.internal");
    assert_int_equal(oracle.ended + oracle.reset, 0); /* its answer was over before */
    assert_int_equal(c.status, 200);
    assert_string_equal(gs_buf_cstr(&c.got), "{\"a\":[1, 2]");
    assert_int_equal(c.ended, 1);
    assert_int_equal(c.reset, 0);
    assert_int_equal(mux_streams(p->client.mux), 0);
    assert_int_equal(mux_streams(p->server.mux), 0);
    gs_buf_fini(&c.got);
    pair_free(p);
}

/* Cut by the handler, cancelled by the asker, not offered at all. */
static void
test_call_ends(void **state)
{
    struct pair *p;
    struct caller c;
    struct side *asked;

    (void)state;
    memset(&oracle, 0, sizeof(oracle));
    oracle.handler.begin = oracle_begin;
    oracle.cut = true;
    p = pair_new(&oracle.handler);
    caller_init(&c);
    assert_non_null(mux_ask(p->client.mux, GS_SLICE("n"), GS_SLICE("/"), &c.side));
    pair_run(p);
    assert_int_equal(oracle.ended, 1);
    oracle.answer->ops->reset(oracle.answer, REASON_OWN_FAULT);
    pair_run(p);
    assert_int_equal(c.ended, 0);
    assert_int_equal(c.reset, 1);
    asked = mux_ask(p->client.mux, GS_SLICE("n"), GS_SLICE("/"), &c.side);
    pair_run(p);
    asked->ops->reset(asked, REASON_NONE);
    pair_run(p);
    assert_int_equal(oracle.reset, 1);
    assert_int_equal(c.reset, 1); /* who cancels is not told */
    assert_int_equal(mux_streams(p->server.mux), 0);
    pair_free(p);
    p = pair_new(NULL);
    gs_buf_clear(&c.got);
    assert_non_null(mux_ask(p->client.mux, GS_SLICE("n"), GS_SLICE("/"), &c.side));
    pair_run(p);
    assert_int_equal(c.status, 501);
    assert_int_equal(mux_streams(p->client.mux), 0);
    gs_buf_fini(&c.got);
    pair_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_call_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

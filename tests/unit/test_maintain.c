/* test_maintain.c - drain, undrain and weight: what is meant by a word, what is written for it, and
 * what is refused or warned of. */
#include "tests/unit/owners.h"

#include "mesh/model/maint.h"

#define MAINT(name, spec)                                                                          \
    "apiVersion: gossamer.dev/v1\nkind: Maintenance\nmetadata: { name: " name " }\nspec: { " spec  \
    " }\n"
#define WEB "default/web:80"

static const struct deed once = { .generation = 1 };

/* One verb against the model, and what came of it as lines:
 *     put NS/NAME TARGET drain weight N | delete NS/NAME | error CODE | warning CODE */
struct wish {
    struct gs_arena arena;
    struct gs_problems problems;
    struct model_maintained made;
    struct gs_buf out;
};

static void
put_line(struct wish *s, const struct policy_object *o)
{
    struct maint_entry e = maint_entry(o, NULL);

    (void)gs_buf_printf(&s->out, "put %.*s/%.*s %s%s", GS_SLICE_FMT(o->ns), GS_SLICE_FMT(o->name),
                        maint_target_text(&e, &s->arena), o->maint.drain ? " drain" : "");
    if (o->maint.weight_written)
        (void)gs_buf_printf(&s->out, " weight %u", o->maint.weight);
    (void)gs_buf_put_str(&s->out, "\n");
}

static const char *
run(struct wish *s, struct world *w, struct model_maintain m)
{
    gs_arena_init(&s->arena, NULL, 0, 4096);
    gs_problems_init(&s->problems);
    gs_buf_init(&s->out, 65536);
    if (!m.ns.ptr)
        m.ns = GS_SLICE("default");
    if (!m.reason.ptr)
        m.reason = GS_SLICE("");
    if (!m.by.ptr)
        m.by = GS_SLICE("");
    s->made = (struct model_maintained){ 0 };
    if (model_maintain(w->model, &m, &s->arena, &s->made, &s->problems) != GS_E_OK)
        assert_true(s->problems.errors > 0);
    for (size_t i = 0; i < s->made.object_count; i++)
        put_line(s, s->made.objects[i]);
    for (size_t i = 0; i < s->made.delete_count; i++)
        (void)gs_buf_printf(&s->out, "delete %.*s/%.*s\n", GS_SLICE_FMT(s->made.deletes[i].ns),
                            GS_SLICE_FMT(s->made.deletes[i].name));
    for (size_t i = 0; i < s->problems.count; i++)
        (void)gs_buf_printf(&s->out, "%s %s\n",
                            s->problems.items[i].severity == GS_SEV_ERROR ? "error" : "warning",
                            s->problems.items[i].code);
    return gs_buf_cstr(&s->out);
}

static void
done(struct wish *s)
{
    gs_buf_fini(&s->out);
    gs_problems_fini(&s->problems);
    gs_arena_fini(&s->arena);
}

/* says: in a message or hint; may be NULL. */
static void
assert_wish(struct world *w, struct model_maintain m, const char *want, const char *says)
{
    struct wish s;
    const char *got = run(&s, w, m);
    bool told = !says;

    for (size_t i = 0; i < s.problems.count; i++) {
        const struct gs_problem *p = &s.problems.items[i];

        told = told || strstr(p->message, says) || (p->hint && strstr(p->hint, says));
        if (strcmp(got, want) != 0)
            print_message("%s (%s)\n", p->message, p->hint ? p->hint : "-");
    }
    assert_string_equal(got, want);
    if (!told)
        fail_msg("nothing says \"%s\"", says);
    done(&s);
}

/* The same, and as if it had been written. */
static void
commit(struct world *w, struct model_maintain m, const char *want)
{
    static uint64_t generation;
    struct wish s;

    assert_string_equal(run(&s, w, m), want);
    generation++;
    for (size_t i = 0; i < s.made.object_count; i++)
        (void)put_object(w, s.made.objects[i], (struct deed){ generation });
    for (size_t i = 0; i < s.made.delete_count; i++) {
        struct policy_object gone = { .kind = POLICY_MAINTENANCE,
                                      .ns = s.made.deletes[i].ns,
                                      .name = s.made.deletes[i].name,
                                      .maint.drain = true };

        (void)put_object(w, &gone, (struct deed){ generation, .deleted = true });
    }
    done(&s);
    (void)flush(w, 1000);
}

#define W(v, t, ...) ((struct model_maintain){ .verb = (v), .target = GS_SLICE(t), __VA_ARGS__ })
#define DRAIN(t, ...) W(MODEL_DRAIN, t, __VA_ARGS__)
#define UNDRAIN(t, ...) W(MODEL_UNDRAIN, t, __VA_ARGS__)
#define WEIGHT(t, n, ...) W(MODEL_WEIGHT, t, .weight = (n), __VA_ARGS__)

/* web on b1, b2 and b3, which all call it 127.0.0.1:9001; b3 has 10.0.0.3:9002 as well. api.ai is
 * on b1 only. One service is called as a node is. */
static void
set_mesh(struct world *w)
{
    static const struct said two[] = { { "127.0.0.1:9001", TIER_HEALTHY, NULL },
                                       { "10.0.0.3:9002", TIER_HEALTHY, NULL } };

    for (unsigned n = 1; n <= 3; n++) {
        set_node(w, n, MODEL_NODE_UP, 1000);
        put_one(w, n, WEB, TIER_HEALTHY);
    }
    put_said(w, 3, WEB, "http", two, 2);
    put_one(w, 1, "ai/api:80", TIER_HEALTHY);
    put_one(w, 1, "ai/api:81", TIER_HEALTHY);
    put_one(w, 2, "default/b3:80", TIER_HEALTHY);
    (void)flush(w, 1000);
}

static void
targets_are_understood(void **state)
{
    const struct {
        struct model_maintain m;
        const char *want, *says;
    } rows[] = {
        { DRAIN("b1"), "put default/node.b1 node b1 drain\n", NULL },
        { DRAIN("n1"), "put default/node.n1 node n1 drain\n", NULL },
        { DRAIN("b3"), "error GS0130\n", "--node or --service" },
        { DRAIN("b3", .as = MODEL_TARGET_NODE), "put default/node.b3 node b3 drain\n", NULL },
        { DRAIN("b3", .as = MODEL_TARGET_SERVICE, .force = true),
          "put default/service.b3 b3.default drain\n", NULL },
        { DRAIN("b4"), "error GS0130\n", "did you mean b" },
        { DRAIN("zzzzzz"), "error GS0130\n", "gossamer members" },
        { DRAIN(""), "error GS0130\n", NULL },
        { DRAIN("b9", .as = MODEL_TARGET_NODE, .force = true),
          "put default/node.b9 node b9 drain\n", NULL },
        { DRAIN("B9", .as = MODEL_TARGET_NODE, .force = true), "error GS0106\n", NULL },
        { DRAIN("web", .force = true), "put default/service.web web.default drain\n", NULL },
        { DRAIN("web.default.svc.cluster.local", .force = true),
          "put default/service.web web.default drain\n", NULL },
        { DRAIN("web:80", .force = true), "put default/port.80.web web.default:80 drain\n", NULL },
        { DRAIN("web:81"), "error GS0117\n", "it has 80" },
        { DRAIN("web:0"), "error GS0130\n", "no valid port" },
        { DRAIN("web:x"), "error GS0130\n", "no valid port" },
        { DRAIN("wbe"), "error GS0130\n", "did you mean web?" },
        { DRAIN("api.ai:81", .force = true), "put ai/port.81.api api.ai:81 drain\n", NULL },
        { DRAIN("api", .ns = GS_SLICE("ai"), .force = true), "put ai/service.api api.ai drain\n",
          NULL },
        { DRAIN("later", .as = MODEL_TARGET_SERVICE, .force = true),
          "put default/service.later later.default drain\n", NULL },
        { DRAIN("127.0.0.1:9001"), "error GS0130\n", "SERVICE/127.0.0.1:9001" },
        { DRAIN("web/10.0.0.3:9002"),
          "put default/web-10-0-0-3-9002-b3-9710be1e web.default/10.0.0.3:9002@b3 drain\n", NULL },
        { DRAIN("web/127.0.0.1:9001"), "error GS0130\n",
          "127.0.0.1:9001@b1, 127.0.0.1:9001@b2, 127.0.0.1:9001@b3" },
        { DRAIN("web/127.0.0.1:9001@b2"),
          "put default/web-127-0-0-1-9001-b2-14440e99 web.default/127.0.0.1:9001@b2 drain\n",
          NULL },
        { DRAIN("web/b2"), "put default/web-b2-0830be1f web.default/b2 drain\n", NULL },
        { DRAIN("web/b9"), "error GS0130\n", "no instance on node b9" },
        { DRAIN("web/10.0.0.4:9002"), "error GS0130\n", "it has 127.0.0.1:9001@b1" },
        { DRAIN("web/10.0.0.3:9002@b2"), "error GS0130\n", "no instance 10.0.0.3:9002 on node b2" },
        { DRAIN("web/"), "error GS0130\n", NULL },
        { DRAIN("web/10.0.0.3:9002@"), "error GS0130\n", "ADDRESS:PORT@NODE" },
        { DRAIN("web/10.0.0.3:0"), "error GS0130\n", NULL },
        { DRAIN("web/*:80"), "error GS0130\n", NULL },
        { DRAIN("wbe/b2"), "error GS0130\n", "did you mean web?" },
        { WEIGHT("web/b2", 10), "put default/web-b2-0830be1f web.default/b2 weight 10\n", NULL },
        { WEIGHT("web", 10), "error GS0130\n", "SERVICE/NODE" },
        { WEIGHT("b1", 10), "error GS0130\n", "SERVICE/NODE" },
        { WEIGHT("web/b2", 100), "warning GS0231\n", "ordinary weight already" },
        { UNDRAIN("web/b2"), "warning GS0231\n", "web.default/b2 is not drained" },
        { UNDRAIN("b1"), "warning GS0231\n", "node b1 is not drained" },
        { UNDRAIN("b9"), "error GS0130\n", NULL },
        { UNDRAIN("web/b9"), "error GS0130\n", NULL },
        { UNDRAIN("wbe/b2"), "error GS0130\n", NULL },
    };
    struct world *w = *state;

    set_mesh(w);
    for (size_t i = 0; i < GS_COUNT(rows); i++) {
        assert_wish(w, rows[i].m, rows[i].want, rows[i].says);
    }
}

/* Texts that no name of a service or namespace can be, however long. */
static void
nonsense_is_refused(void **state)
{
    static const char *const heads[] = { "", "web.", "web/", "web/127.0.0.1:9001@", "a.b.c.d/" };
    struct world *w = *state;
    char text[1024];

    set_mesh(w);
    for (size_t i = 0; i < GS_COUNT(heads) * 3; i++) {
        size_t len = strlen(heads[i / 3]);
        struct model_maintain m = { .verb = (enum model_maintain_verb)(i % 3),
                                    .target = gs_slice(text, sizeof(text)),
                                    .force = true };
        struct wish s;

        memset(text, i % 2 ? 'x' : '.', sizeof(text));
        memcpy(text, heads[i / 3], len);
        for (size_t as = MODEL_TARGET_ANY; as <= MODEL_TARGET_SERVICE; as++) {
            m.as = (enum model_target)as;
            (void)run(&s, w, m);
            assert_true(s.problems.errors > 0);
            done(&s);
        }
    }
}

/* ---- one object per target ---- */

static void
the_same_word_twice_is_the_same_object(void **state)
{
    struct world *w = *state;
    struct model_object o;
    struct gs_slice ns = GS_SLICE("default"), name = GS_SLICE("node.b1");

    set_mesh(w);
    commit(w, DRAIN("b1", .reason = GS_SLICE("disk"), .by = GS_SLICE("ann")),
           "put default/node.b1 node b1 drain\n");
    commit(w, DRAIN("b1", .by = GS_SLICE("bob")), "put default/node.b1 node b1 drain\n");
    assert_true(model_find_object(w->model, POLICY_MAINTENANCE, ns, name, &o));
    assert_true(gs_slice_eq(o.object->maint.by.text, GS_SLICE("ann"))); /* whose it is */
    assert_true(gs_slice_eq(o.object->maint.reason.text, GS_SLICE("disk")));
    commit(w, DRAIN("b1", .reason = GS_SLICE("fan"), .by = GS_SLICE("bob")),
           "put default/node.b1 node b1 drain\n");
    assert_true(model_find_object(w->model, POLICY_MAINTENANCE, ns, name, &o));
    assert_true(gs_slice_eq(o.object->maint.by.text, GS_SLICE("bob")));
    commit(w, UNDRAIN("b1"), "delete default/node.b1\n");
    assert_wish(w, UNDRAIN("b1"), "warning GS0231\n", NULL);
}

/* Drain and weight of one target are one object, each undone without the other. */
static void
drain_and_weight_live_together(void **state)
{
#define NAME "default/web-b2-0830be1f web.default/b2"
    struct world *w = *state;

    set_mesh(w);
    commit(w, WEIGHT("web/b2", 10), "put " NAME " weight 10\n");
    commit(w, DRAIN("web/b2"), "put " NAME " drain weight 10\n");
    commit(w, WEIGHT("web/b2", 20), "put " NAME " drain weight 20\n");
    commit(w, UNDRAIN("web/b2"), "put " NAME " weight 20\n");
    commit(w, DRAIN("web/b2"), "put " NAME " drain weight 20\n");
    commit(w, WEIGHT("web/b2", 100), "put " NAME " drain\n");
    commit(w, UNDRAIN("web/b2"), "delete default/web-b2-0830be1f\n");
    commit(w, WEIGHT("web/b2", 0), "put " NAME " weight 0\n");
    commit(w, WEIGHT("web/b2", 100), "delete default/web-b2-0830be1f\n");
#undef NAME
}

/* What somebody wrote under another name is found, and undone with the rest. */
static void
objects_of_other_names_count(void **state)
{
    struct world *w = *state;

    set_mesh(w);
    put_text(w, MAINT("mine", "node: b1, drain: true"), once);
    put_text(w, MAINT("yours", "node: b1, drain: true"), once);
    put_text(w, MAINT("w1", "service: { name: web }, node: b2, weight: 5"), once);
    put_text(w, MAINT("w2", "service: { name: web }, node: b2, weight: 50, drain: true"), once);
    (void)flush(w, 1000);
    assert_wish(w, DRAIN("b1"), "put default/mine node b1 drain\n", NULL);
    commit(w, UNDRAIN("b1"), "delete default/mine\ndelete default/yours\n");
    assert_wish(w, UNDRAIN("web/b2"), "put default/w2 web.default/b2 weight 50\n", NULL);
    commit(w, WEIGHT("web/b2", 30),
           "put default/w1 web.default/b2 weight 30\nput default/w2 web.default/b2 drain\n");
    put_text(w, MAINT("node.b2", "node: b1, drain: true"), (struct deed){ 2 });
    (void)flush(w, 1000);
    assert_wish(w, DRAIN("b2"), "error GS0130\n", "about something else");
    assert_wish(w, UNDRAIN("b1"), "delete default/node.b2\n", NULL);
}

/* A node that has gone, an instance that has moved: what was said can still be undone. */
static void
what_has_gone_can_be_undone(void **state)
{
    struct world *w = *state;
    struct gs_id b3 = node_id(3);

    set_mesh(w);
    commit(w, DRAIN("b3", .as = MODEL_TARGET_NODE), "put default/node.b3 node b3 drain\n");
    commit(w, DRAIN("web/10.0.0.3:9002"),
           "put default/web-10-0-0-3-9002-b3-9710be1e web.default/10.0.0.3:9002@b3 drain\n");
    withdraw(w, 2, "default/b3:80");
    model_remove_node(w->model, &b3);
    (void)flush(w, 1000);
    assert_wish(w, DRAIN("b3"), "error GS0130\n", NULL);
    assert_wish(w, UNDRAIN("b3"), "delete default/node.b3\nwarning GS0231\n",
                "still drained: web.default/10.0.0.3:9002@b3");
    commit(w, UNDRAIN("web/10.0.0.3:9002"),
           "delete default/web-10-0-0-3-9002-b3-9710be1e\nwarning GS0231\n");
    for (unsigned n = 1; n <= 2; n++)
        withdraw(w, n, WEB);
    commit(w, DRAIN("web", .as = MODEL_TARGET_SERVICE, .force = true),
           "put default/service.web web.default drain\n");
    assert_wish(w, UNDRAIN("web"), "delete default/service.web\n", NULL);
    commit(w, UNDRAIN("b3"), "delete default/node.b3\n");
}

static void
what_else_holds_is_told(void **state)
{
    struct world *w = *state;

    set_mesh(w);
    commit(w, DRAIN("b1"), "put default/node.b1 node b1 drain\n");
    commit(w, DRAIN("web/b2"), "put default/web-b2-0830be1f web.default/b2 drain\n");
    commit(w, DRAIN("web/b1"), "put default/web-b1-b9cce314 web.default/b1 drain\n");
    assert_wish(w, UNDRAIN("web"), "warning GS0231\n", "web.default/b2");
    assert_wish(w, UNDRAIN("web/b1"), "delete default/web-b1-b9cce314\nwarning GS0231\n",
                "still drained: node b1");
    assert_wish(w, UNDRAIN("b1"), "delete default/node.b1\nwarning GS0231\n",
                "still drained: web.default/b1");
    assert_wish(w, UNDRAIN("web/b2"), "delete default/web-b2-0830be1f\n", NULL);
}

/* ---- nobody left ---- */

static void
the_last_one_is_not_taken_by_accident(void **state)
{
    struct world *w = *state;

    set_mesh(w);
    assert_wish(w, DRAIN("web"), "error GS0131\n", "503");
    assert_wish(w, DRAIN("api.ai"), "error GS0131\nerror GS0131\n", NULL); /* both ports */
    assert_wish(w, WEIGHT("api.ai/b1", 0), "error GS0131\nerror GS0131\n", NULL);
    assert_wish(w, WEIGHT("api.ai:81/b1", 0), "error GS0131\n", "api.ai:81");
    assert_wish(w, WEIGHT("api.ai/b1", 1), "put ai/api-b1-c2b02e8e api.ai/b1 weight 1\n", NULL);
    commit(w, WEIGHT("web/b1", 0), "put default/web-b1-b9cce314 web.default/b1 weight 0\n");
    commit(w, WEIGHT("web/b2", 0), "put default/web-b2-0830be1f web.default/b2 weight 0\n");
    assert_wish(w, WEIGHT("web/b3", 0), "error GS0131\n", "--force");
    commit(w, DRAIN("web", .force = true), "put default/service.web web.default drain\n");
    /* There was nobody before either. */
    assert_wish(w, WEIGHT("web/b3", 0), "put default/web-b3-e43cc56d web.default/b3 weight 0\n",
                NULL);
    /* Of a node the endpoints are still there for when nobody else is. */
    assert_wish(w, DRAIN("b1"), "put default/node.b1 node b1 drain\n", NULL);
}

/* ---- findings ---- */

static void
assert_analysis(struct world *w, const char *text, const char *code, const char *says)
{
    struct gs_problems problems;
    struct reading r;
    struct model_change c;

    reading_init(&r, text, strlen(text));
    assert_int_equal(r.problems.errors, 0);
    c = (struct model_change){ .objects = (const struct policy_object *const *)r.m.objects,
                               .object_count = r.m.count };
    gs_problems_init(&problems);
    assert_int_equal(model_check_change(w->model, &c, &problems), GS_E_OK);
    for (size_t i = 0; i < problems.count && problems.count != (code ? 1 : 0); i++)
        print_message("%s %s: %s\n", problems.items[i].code, problems.items[i].field,
                      problems.items[i].message);
    assert_int_equal(problems.count, code ? 1 : 0);
    if (code) {
        assert_int_equal(problems.items[0].severity, GS_SEV_WARNING);
        assert_string_equal(problems.items[0].code, code);
        assert_true(strstr(problems.items[0].message, says) ||
                    (problems.items[0].hint && strstr(problems.items[0].hint, says)));
    }
    gs_problems_fini(&problems);
    reading_fini(&r);
}

static void
findings_say_what_will_not_be(void **state)
{
    static const struct {
        const char *text, *code, *says;
    } rows[] = {
        { MAINT("a", "node: b2, drain: true"), "GS0131", "no better endpoint of b3.default:80 is" },
        { MAINT("a", "node: b1, drain: true"), "GS0131", "of api.ai:80, api.ai:81 is left" },
        { MAINT("a", "node: n1, drain: true"), NULL, NULL },
        { MAINT("a", "node: b11, drain: true"), "GS0130", "did you mean b1?" },
        { MAINT("a", "node: nobody, drain: true"), "GS0130", "when there is one" },
        { MAINT("a", "node: b4, drain: true"), "GS0130", "has left the mesh" },
        { MAINT("a", "service: { name: wbe }, drain: true"), "GS0130", "did you mean web?" },
        { MAINT("a", "service: { name: web, port: 81 }, drain: true"), "GS0117", "no port 81" },
        { MAINT("a", "service: { name: web }, drain: true"), "GS0131", "every request" },
        { MAINT("a", "service: { name: web }, instance: '10.0.0.9:1', weight: 5"), "GS0130",
          "none of its 4 endpoints" },
        { MAINT("a", "service: { name: web }, node: b2, weight: 5"), NULL, NULL },
        { MAINT("a", "service: { name: api, namespace: ai, port: 80 }, node: b1, weight: 0"),
          "GS0131", "every request" },
        { MAINT("a", "service: { name: api, namespace: ai, port: 80 }, node: b1, weight: 5"),
          "GS0231", "the only endpoint" },
        { MAINT("z", "service: { name: web, port: 80 }, node: b1, weight: 50"), "GS0231",
          "5, of Maintenance default/t" },
        { MAINT("z", "service: { name: web }, instance: '127.0.0.1:9001', weight: 5"), "GS0230",
          "default/twice" },
    };
    struct world *w = *state;
    struct gs_problems problems;

    set_mesh(w);
    set_node(w, 4, MODEL_NODE_GONE, 1000);
    put_text(w, MAINT("there", "service: { name: web }, node: b1, weight: 5"), once);
    put_text(w, MAINT("twice", "service: { name: web }, instance: '127.0.0.1:9001', weight: 5"),
             once);
    (void)flush(w, 1000);
    for (size_t i = 0; i < GS_COUNT(rows); i++)
        assert_analysis(w, rows[i].text, rows[i].code, rows[i].says);
    put_text(w, MAINT("gone", "node: nobody, drain: true"), once);
    (void)flush(w, 1000);
    gs_problems_init(&problems);
    model_analyze(w->model, &problems);
    assert_int_equal(problems.warnings, 1);
    assert_string_equal(problems.items[0].field, "Maintenance/default/gone spec.node");
    gs_problems_fini(&problems);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(targets_are_understood),
        TEST(nonsense_is_refused),
        TEST(the_same_word_twice_is_the_same_object),
        TEST(drain_and_weight_live_together),
        TEST(objects_of_other_names_count),
        TEST(what_has_gone_can_be_undone),
        TEST(what_else_holds_is_told),
        TEST(the_last_one_is_not_taken_by_accident),
        TEST(findings_say_what_will_not_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_check.c - the lines of `gossamer check` that no mesh of a test can be brought to: clocks,
 * versions, forged packets, objects that cannot be used. */
#include "models.h"

#include "mesh/build_text.h"
#include "mesh/check_parts.h"
#include "mesh/config/config.h"
#include "mesh/core_view.h"
#include "mesh/journal.h"
#include "mesh/model/codec.h"
#include "mesh/node.h"
#include "mesh/roster.h"

struct bench {
    struct world w;
    struct config config;
    struct node node;
    struct core_view view;
    struct check_lines lines;
    char about[4][GOSSIP_ABOUT_MAX];
    unsigned abouts;
};

static int
setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));

    world_init(&b->w);
    b->config.node = "n1";
    b->node.config = &b->config;
    b->node.model = b->w.model;
    b->node.hub = b->w.hub;
    b->node.journal = journal_new();
    b->node.members =
        roster_new(&(struct roster_options){ { { 0xff } }, GS_SLICE("n1"), b->node.journal });
    b->view.standing = GOSSIP_OPEN;
    check_lines_init(&b->lines);
    *state = b;
    return 0;
}

static int
teardown(void **state)
{
    struct bench *b = *state;

    check_lines_fini(&b->lines);
    roster_free(b->node.members);
    journal_free(b->node.journal);
    world_fini(&b->w);
    free(b);
    return 0;
}

static void
add_node(struct bench *b, uint8_t id, const char *name, enum gossip_state s, const char *version)
{
    struct gossip_event e = { .type = GOSSIP_EVENT_NODE };
    struct codec_about about = { .version = gs_slice_str(version) };
    struct gs_buf out;

    assert_true(b->abouts < GS_COUNT(b->about));
    gs_buf_init(&out, GOSSIP_ABOUT_MAX);
    assert_int_equal(codec_put_about(&about, &out), GS_E_OK);
    memcpy(b->about[b->abouts], out.ptr, out.len);
    e.node = (struct gossip_node){ .id = { { id } },
                                   .state = s,
                                   .boot = 1,
                                   .address = { .family = 4, .port = 4190, .ip = { 10, 0, 0, id } },
                                   .name = gs_slice_str(name),
                                   .about = gs_slice(b->about[b->abouts++], out.len) };
    roster_on_event(b->node.members, &e, node_wall_ms());
    gs_buf_fini(&out);
    if (s == GOSSIP_ALIVE)
        b->view.counters.nodes[GOSSIP_ALIVE]++;
}

/* The line of that name; there is exactly one. */
static const struct check_line *
line(struct bench *b, const char *group, const char *name)
{
    const struct check_line *found = NULL;

    for (size_t i = 0; i < b->lines.count; i++) {
        const struct check_line *at = &b->lines.items[i];

        if (strcmp(at->group, group) != 0 || strcmp(at->name, name) != 0)
            continue;
        assert_null(found);
        found = at;
    }
    if (!found)
        fail_msg("no line %s %s", group, name);
    return found;
}

static void
assert_line(struct bench *b, const char *group, const char *name, enum check_result result,
            const char *holds)
{
    const struct check_line *at = line(b, group, name);

    if (at->result != result || !strstr(at->message, holds))
        fail_msg("%s %s: %s: %s", group, name, check_result_name(at->result), at->message);
    assert_true((at->hint == NULL) == (result == CHECK_OK));
}

static void
look(struct bench *b)
{
    check_lines_fini(&b->lines);
    check_lines_init(&b->lines);
    check_mesh_put(&b->lines, &b->node, &b->view);
}

/* ---- lines ---- */

static void
several_names_are_cut(void **state)
{
    struct check_names n = { .count = 0 };

    (void)state;
    assert_string_equal(check_names_text(&n), "");
    check_names_add(&n, "a%d", 1);
    assert_string_equal(check_names_text(&n), "a1");
    check_names_add(&n, "b");
    check_names_add(&n, "c");
    check_names_add(&n, "d");
    check_names_add(&n, "e");
    assert_string_equal(check_names_text(&n), "a1, b, c and 2 more");
    n = (struct check_names){ .count = 0 };
    for (int i = 0; i < 3; i++) /* each as long as all may be together */
        check_names_add(&n, "%600s", "x");
    assert_int_equal(strlen(n.text), sizeof(n.text) - 1);
}

static void
lines_are_written_down(void **state)
{
    struct bench *b = *state;
    struct gs_buf out;
    struct json_out j;

    check_put(&b->lines, "g", "one", CHECK_OK, NULL, "all %s", "well");
    check_put(&b->lines, "g", "two", CHECK_ERROR, "type this", "bad \"%d\"", 1);
    assert_int_equal(check_count(&b->lines, CHECK_OK), 1);
    assert_int_equal(check_count(&b->lines, CHECK_ERROR), 1);
    assert_int_equal(check_count(&b->lines, CHECK_WARNING), 0);
    gs_buf_init(&out, 4096);
    json_init(&j, &out);
    json_obj(&j);
    check_lines_json(&b->lines, &j);
    json_obj_end(&j);
    assert_string_equal(
        gs_buf_cstr(&out),
        "{\"check\":[{\"group\":\"g\",\"name\":\"one\",\"result\":\"ok\",\"message\":\"all well\","
        "\"hint\":null},{\"group\":\"g\",\"name\":\"two\",\"result\":\"error\","
        "\"message\":\"bad \\\"1\\\"\",\"hint\":\"type this\"}]}");
    gs_buf_fini(&out);
}

/* ---- the mesh ---- */

static void
a_mesh_that_is_well(void **state)
{
    struct bench *b = *state;

    add_node(b, 1, "a", GOSSIP_ALIVE, build_version());
    look(b);
    assert_line(b, "mesh", "members", CHECK_OK, "2 nodes are alive");
    assert_line(b, "mesh", "versions", CHECK_OK, build_version());
    assert_line(b, "mesh", "clocks", CHECK_OK, "");
    assert_line(b, "mesh", "packets", CHECK_OK, "");
    assert_int_equal(check_count(&b->lines, CHECK_OK), b->lines.count);
    b->view.standing = GOSSIP_CLOSED;
    look(b);
    assert_line(b, "mesh", "members", CHECK_ERROR, "closed");
    b->view.stopped = true;
    look(b);
    assert_int_equal(b->lines.count, 0);
}

static void
members_by_state(void **state)
{
    struct bench *b = *state;

    add_node(b, 1, "sus", GOSSIP_SUSPECT, build_version());
    add_node(b, 2, "gone", GOSSIP_DEAD, "9.9.9");
    add_node(b, 3, "left", GOSSIP_LEFT, build_version());
    look(b);
    assert_line(b, "mesh", "suspect", CHECK_WARNING, "sus");
    assert_line(b, "mesh", "dead", CHECK_WARNING, "gone");
    assert_line(b, "mesh", "versions", CHECK_OK, ""); /* what a dead one was does not matter */
}

static void
versions_that_differ(void **state)
{
    struct bench *b = *state;

    add_node(b, 1, "same", GOSSIP_ALIVE, build_version());
    add_node(b, 2, "old", GOSSIP_ALIVE, "0.0.9");
    look(b);
    assert_line(b, "mesh", "versions", CHECK_WARNING, "old 0.0.9");
    assert_null(strstr(line(b, "mesh", "versions")->message, "same"));
}

static void
a_clock_that_is_ahead(void **state)
{
    struct bench *b = *state;
    struct gossip_event e = { .type = GOSSIP_EVENT_CLOCK_AHEAD,
                              .key = GS_SLICE("VirtualService/default/a"),
                              .version = { 1, 5, { { 1 } } },
                              .ahead_ms = 90000 };

    add_node(b, 1, "fast", GOSSIP_ALIVE, build_version());
    journal_on_event(b->node.journal, &e, b->node.members, node_wall_ms() - 7200 * 1000);
    look(b);
    assert_line(b, "mesh", "clocks", CHECK_OK,
                ""); /* two hours ago: mended, or it would say more */
    journal_on_event(b->node.journal, &e, b->node.members, node_wall_ms());
    add_node(b, 2, "other", GOSSIP_ALIVE, build_version()); /* another line behind it */
    look(b);
    assert_line(b, "mesh", "clocks", CHECK_WARNING, "fast wrote is of a clock 90.0 s ahead");
}

static void
packets_and_records_refused(void **state)
{
    struct bench *b = *state;

    b->view.counters.refused_packets[GOSSIP_REFUSAL_JUNK] = 7; /* anybody's */
    look(b);
    assert_line(b, "mesh", "packets", CHECK_OK, "7 were junk");
    b->view.counters.refused_packets[GOSSIP_REFUSAL_KEY] = 3;
    b->view.counters.refused_packets[GOSSIP_REFUSAL_FORGED] = 2;
    b->view.counters.actions_dropped = 5;
    b->view.counters.refused = 1;
    look(b);
    assert_line(b, "mesh", "packets", CHECK_WARNING, "3 packets");
    assert_line(b, "mesh", "packets", CHECK_WARNING, "2 were altered");
    assert_line(b, "mesh", "drops", CHECK_WARNING, "5 packets");
    assert_line(b, "mesh", "records", CHECK_WARNING, "1 records");
}

/* ---- policy ---- */

static void
a_digest_is_of_what_is_in_effect(void **state)
{
    struct bench *b = *state;
    struct model_record bad = { .kind = POLICY_VIRTUAL_SERVICE,
                                .key = GS_SLICE("VirtualService/default/web"),
                                .value = GS_SLICE("\x81\x10\x05"),
                                .version = { 2, 5, { { 1 } } },
                                .hash = { { 9 } } };
    struct check_digest none, one, other;
    struct gs_why why;

    check_digest(&b->node, &none);
    assert_int_equal(none.active, 0);
    put_text(&b->w, WEB_DR, (struct deed){ .generation = 1 });
    (void)model_flush(b->w.model, 0);
    check_digest(&b->node, &one);
    assert_int_equal(one.active, 1);
    assert_string_not_equal(one.text, none.text);
    put_text(&b->w, WEB_DR, (struct deed){ .generation = 2 }); /* the same, written again */
    (void)model_flush(b->w.model, 0);
    check_digest(&b->node, &other);
    assert_string_not_equal(one.text, other.text);
    assert_int_equal(model_on_record(b->w.model, &bad, &why), GS_E_MALFORMED);
    (void)model_flush(b->w.model, 0);
    check_digest(&b->node, &one); /* it cannot be read, so it is not in effect */
    assert_int_equal(one.rejected, 1);
    assert_string_equal(one.text, other.text);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(several_names_are_cut),       CASE(lines_are_written_down),
        CASE(a_mesh_that_is_well),         CASE(members_by_state),
        CASE(versions_that_differ),        CASE(a_clock_that_is_ahead),
        CASE(packets_and_records_refused), CASE(a_digest_is_of_what_is_in_effect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

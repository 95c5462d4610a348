/* test_roster.c - what the core tells of nodes, as the table and the lines that come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mesh/journal.h"
#include "mesh/model/codec.h"
#include "mesh/roster.h"
#include "tests/unit/live_memory.h"

#define SELF ((struct gs_id){ { 0xff } })
#define WALL 1700000000000u

struct world {
    struct journal *journal;
    struct roster *roster;
    uint64_t read; /* lines */
    char about[GOSSIP_ABOUT_MAX];
};

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->journal = journal_new();
    w->roster = roster_new(&(struct roster_options){ SELF, GS_SLICE("me"), w->journal });
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    roster_free(w->roster);
    journal_free(w->journal);
    free(w);
    return 0;
}

static struct gossip_node
node(uint8_t id, const char *name, enum gossip_state s)
{
    struct gossip_node n = { .id = { { id } },
                             .state = s,
                             .boot = 1,
                             .address = { .family = 4, .port = 4190, .ip = { 10, 0, 0, id } },
                             .name = gs_slice_str(name),
                             .about = GS_SLICE("\x80") };

    return n;
}

static void
tell(struct world *w, struct gossip_node n, uint8_t by)
{
    struct gossip_event e = { .type = GOSSIP_EVENT_NODE, .node = n, .sender = { { by } } };

    roster_on_event(w->roster, &e, WALL);
}

/* The events told since the last call, "member.up n1 was=new" each, joined by "; ". */
static const char *
lines(struct world *w)
{
    static const char *const keys[] = { "was", "by" };
    static char text[4096];
    size_t len = 0;

    text[0] = '\0';
    for (; w->read < journal_next_number(w->journal); w->read++) {
        struct gs_slice line = journal_line(w->journal, w->read);
        char event[64], name[64];

        assert_int_equal(sscanf(strstr(line.ptr, "\"event\""),
                                "\"event\":\"%63[^\"]\",\"name\":\"%63[^\"]\"", event, name),
                         2);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s", len > 0 ? "; " : "",
                                event, name);
        for (size_t i = 0; i < GS_COUNT(keys); i++) {
            char key[16], value[64];
            const char *at;

            (void)snprintf(key, sizeof(key), "\"%s\":\"", keys[i]);
            at = strstr(line.ptr, key);
            if (at && sscanf(at + strlen(key), "%63[^\"]", value) == 1)
                len += (size_t)snprintf(text + len, sizeof(text) - len, " %s=%s", keys[i], value);
        }
    }
    return text;
}

static void
a_node_s_life(void **state)
{
    struct world *w = *state;
    struct gossip_node n = node(1, "n1", GOSSIP_ALIVE);

    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up n1 was=new");
    tell(w, n, 0);
    assert_string_equal(lines(w), "");
    n.state = GOSSIP_SUSPECT;
    tell(w, n, 0xff);
    assert_string_equal(lines(w), "member.suspect n1 was=alive by=me");
    n.state = GOSSIP_ALIVE;
    n.incarnation = 1;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.alive n1 was=suspect");
    n.state = GOSSIP_SUSPECT;
    tell(w, n, 7); /* an accuser whose name is not known */
    n.state = GOSSIP_DEAD;
    tell(w, n, 7);
    assert_string_equal(lines(w), "member.suspect n1 was=alive by=07000000000000000000000000000000"
                                  "; member.down n1 was=suspect");
    n.state = GOSSIP_ALIVE;
    n.boot = 2;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up n1 was=dead");
    n.boot = 3; /* faster than anybody could notice */
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up n1 was=restarted");
    n.about = GS_SLICE("\x81\x02\xa1z");
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.update n1");
    assert_true(gs_slice_eq(roster_find(w->roster, &n.id)->zone, GS_SLICE("z")));
    n.state = GOSSIP_LEFT;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.left n1 was=alive");
}

/* Who joins hears of the dead, and of suspects that are none: neither is news of today. */
static void
heard_of_late(void **state)
{
    struct world *w = *state;
    struct gossip_node n = node(1, "n1", GOSSIP_DEAD);

    tell(w, n, 0);
    assert_string_equal(lines(w), "member.known n1 was=dead");
    n = node(2, "n2", GOSSIP_SUSPECT);
    tell(w, n, 0xff);
    assert_string_equal(lines(w), "member.suspect n2 was=new by=me");
    n.state = GOSSIP_ALIVE;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up n2 was=suspect");
    n = node(3, "n3", GOSSIP_UNKNOWN); /* from disk */
    tell(w, n, 0);
    assert_string_equal(lines(w), "");
    n.state = GOSSIP_ALIVE;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up n3 was=new");
}

static void
names_of_ids(void **state)
{
    struct world *w = *state;
    struct gs_id known = { { 1 } }, unknown = { { 2 } }, none = { { 0 } }, self = SELF;
    char text[GS_ID_TEXT];

    tell(w, node(1, "n1", GOSSIP_ALIVE), 0);
    assert_true(gs_slice_eq(roster_call(w->roster, &known, text), GS_SLICE("n1")));
    assert_true(gs_slice_eq(roster_call(w->roster, &self, text), GS_SLICE("me")));
    assert_true(gs_slice_eq(roster_call(w->roster, &none, text), GS_SLICE("-")));
    assert_true(gs_slice_eq(roster_call(w->roster, &unknown, text),
                            GS_SLICE("02000000000000000000000000000000")));
    assert_true(gs_slice_eq(roster_call(NULL, &unknown, text),
                            GS_SLICE("02000000000000000000000000000000")));
}

static bool
twin(const struct world *w, uint8_t id)
{
    return roster_find(w->roster, &(struct gs_id){ { id } })->twin;
}

static void
two_of_one_name(void **state)
{
    struct world *w = *state;
    struct gossip_node n = node(2, "same", GOSSIP_ALIVE);

    tell(w, node(1, "same", GOSSIP_ALIVE), 0);
    assert_false(twin(w, 1));
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up same was=new; member.up same was=new; "
                                  "member.twin same");
    assert_true(twin(w, 1));
    assert_true(twin(w, 2));
    n.state = GOSSIP_DEAD; /* its state was lost, and it came again with a new id: no harm */
    tell(w, n, 0);
    assert_false(twin(w, 1));
    assert_false(twin(w, 2));
    tell(w, node(3, "me", GOSSIP_ALIVE), 0);
    assert_true(twin(w, 3));
    (void)lines(w);
    n = node(3, "other", GOSSIP_ALIVE);
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.update other");
    assert_false(twin(w, 3));
}

/* Another node's bytes: whatever they are, the node is listed. */
static void
what_it_says_of_itself(void **state)
{
    static const struct codec_about about = { .version = GS_SLICE("9.9"),
                                              .inbound = GS_SLICE("1.2.3.4:5"),
                                              .services = 7 };
    struct world *w = *state;
    struct gossip_node n = node(1, "n1", GOSSIP_ALIVE);
    const struct roster_node *r;
    struct gs_buf out;

    gs_buf_init(&out, GOSSIP_ABOUT_MAX);
    assert_int_equal(codec_put_about(&about, &out), GS_E_OK);
    n.about = gs_buf_slice(&out);
    tell(w, n, 0);
    r = roster_find(w->roster, &n.id);
    assert_true(r->about_read);
    assert_true(gs_slice_eq(r->version, about.version));
    assert_true(gs_slice_eq(r->inbound, about.inbound));
    assert_int_equal(r->services, 7);
    n.about = GS_SLICE("\x91\x01 nonsense");
    tell(w, n, 0);
    r = roster_find(w->roster, &n.id);
    assert_false(r->about_read);
    assert_int_equal(r->version.len, 0);
    n.about = GS_SLICE("");
    tell(w, n, 0);
    assert_false(roster_find(w->roster, &n.id)->about_read);
    gs_buf_fini(&out);
}

/* What a node says of itself reaches terminals, JSON readers and completions of every operator. */
static void
names_that_are_none_are_not_repeated(void **state)
{
    static const struct gs_slice names[] = {
        GS_SLICE("n\x1b[31m"), GS_SLICE("a\0b"),   GS_SLICE("$(reboot)"),
        GS_SLICE("\xc2\x9b"),  GS_SLICE("two up"), GS_SLICE("\xff\xfe"),
    };
    struct world *w = *state;
    char id[GS_ID_TEXT];

    for (size_t i = 0; i < GS_COUNT(names); i++) {
        struct gossip_node n = node((uint8_t)(i + 1), "", GOSSIP_ALIVE);

        n.name = names[i];
        tell(w, n, 0);
        assert_true(
            gs_slice_eq(roster_find(w->roster, &n.id)->name, gs_slice_str(gs_id_text(&n.id, id))));
        tell(w, n, 0); /* heard again it is no news */
    }
    (void)lines(w);
    assert_int_equal(w->read, GS_COUNT(names));
}

static void
forget(struct world *w, uint8_t id, enum gossip_state s)
{
    struct gossip_event e = { .type = GOSSIP_EVENT_FORGOTTEN,
                              .node = { .id = { { id } }, .state = s } };

    roster_on_event(w->roster, &e, WALL);
}

/* What the core has forgotten is in no list here, is told in a line, and may come back as new. */
static void
the_forgotten_go(void **state)
{
    struct world *w = *state;
    struct gossip_node n = node(1, "n1", GOSSIP_ALIVE);

    tell(w, n, 0);
    n.state = GOSSIP_DEAD;
    tell(w, n, 0);
    (void)lines(w);
    forget(w, 1, GOSSIP_DEAD);
    assert_string_equal(lines(w), "member.forgotten n1 was=dead");
    assert_null(roster_find(w->roster, &n.id));
    forget(w, 1, GOSSIP_DEAD); /* of one that is not there nothing is told */
    assert_string_equal(lines(w), "");
    n.state = GOSSIP_ALIVE;
    n.boot = 2;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up n1 was=new");
}

/* 10,000 nodes come and go: there are never more entries than nodes, and memory is as before. */
static void
nodes_that_come_and_go_leave_nothing(void **state)
{
    struct world *w = *state;
    const struct roster_node *r;
    size_t used = 0;

    gs_log_set_level(GS_LOG_WARN);
    for (unsigned i = 1; i <= 10000; i++) {
        struct gossip_node n = node((uint8_t)(1 + i % 200), "passing", GOSSIP_ALIVE);
        size_t at = 0;

        n.about = GS_SLICE("\x81\x02\xa1z");
        tell(w, n, 0);
        n.state = GOSSIP_LEFT;
        tell(w, n, 0);
        forget(w, n.id.bytes[0], GOSSIP_LEFT);
        assert_false(roster_next(w->roster, &at, &r));
        if (i == 1000)
            used = live_memory();
    }
    gs_log_set_level(GS_LOG_INFO);
    assert_true(live_memory() <= used + 4096); /* lines are of different lengths */
}

static void
one_that_restarts_is_told_of(void **state)
{
    struct world *w = *state;
    struct gossip_node n = node(1, "n1", GOSSIP_ALIVE);

    tell(w, n, 0);
    (void)lines(w);
    n.restarting = true;
    n.incarnation = 1;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.restarting n1 was=alive");
    assert_true(roster_find(w->roster, &n.id)->restarting);
    tell(w, n, 0);
    assert_string_equal(lines(w), "");
    n.restarting = false;
    n.boot = 2;
    tell(w, n, 0);
    assert_string_equal(lines(w), "member.up n1 was=restarted");
    assert_false(roster_find(w->roster, &n.id)->restarting);
}

static void
the_table_is_in_order(void **state)
{
    struct world *w = *state;
    struct gossip_event e = { .type = GOSSIP_EVENT_NODE, .node = node(9, "old", GOSSIP_DEAD) };
    const struct roster_node *r;
    size_t count = 0;

    roster_on_event(w->roster, &e, WALL);
    for (uint8_t id = 8; id > 0; id--) {
        char name[8];

        (void)snprintf(name, sizeof(name), "n%u", id);
        e.node = node(id, name, GOSSIP_ALIVE);
        roster_on_event(w->roster, &e, WALL);
    }
    for (size_t at = 0; roster_next(w->roster, &at, &r); count++)
        assert_int_equal(r->id.bytes[0], count + 1);
    assert_int_equal(count, 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_node_s_life, setup, teardown),
        cmocka_unit_test_setup_teardown(heard_of_late, setup, teardown),
        cmocka_unit_test_setup_teardown(names_of_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(two_of_one_name, setup, teardown),
        cmocka_unit_test_setup_teardown(what_it_says_of_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_are_none_are_not_repeated, setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_is_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_forgotten_go, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_that_come_and_go_leave_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_restarts_is_told_of, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

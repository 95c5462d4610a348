/* test_journal.c - lines about the mesh: the bounded ring, who follows it, and how events read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include <gossamer/policy.h>

#include "mesh/journal.h"
#include "mesh/roster.h"

static struct journal *journal;

static int
setup(void **state)
{
    (void)state;
    gs_log_set_level(GS_LOG_ERROR); /* the log itself is test_log's */
    journal = journal_new();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    journal_free(journal);
    return 0;
}

static void
assert_last(const char *expected)
{
    uint64_t count = journal_next_number(journal);

    assert_true(count > 0);
    assert_string_equal(journal_line(journal, count - 1).ptr, expected);
}

static void
say(uint64_t number)
{
    const struct journal_field f = journal_number("n", number);

    journal_tell(journal, 1000 + number, GS_LOG_INFO, "a.b", &f, 1);
}

static void
the_ring_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(journal_oldest(journal), journal_next_number(journal));
    for (uint64_t i = 0; i < 3 * JOURNAL_MAX; i++) {
        say(i);
        assert_int_equal(journal_next_number(journal), i + 1);
        assert_int_equal(journal_oldest(journal), i < JOURNAL_MAX ? 0 : i + 1 - JOURNAL_MAX);
    }
    assert_last("{\"time\":1.767,\"event\":\"a.b\",\"n\":767}");
    assert_non_null(strstr(journal_line(journal, journal_oldest(journal)).ptr, "\"n\":512"));
}

/* A peer's texts: quotes, newlines, bytes that are no text, too long for anything. */
static void
any_text_is_one_line(void **state)
{
    char huge[9000];
    struct journal_field f = journal_text("t", GS_SLICE("a\" b=\"c\"\n\x1b[31m\xff"));

    (void)state;
    journal_tell(journal, 0, GS_LOG_INFO, "x", &f, 1);
    assert_last(
        "{\"time\":0,\"event\":\"x\",\"t\":\"a\\\" b=\\\"c\\\"\\n\\u001b[31m\xef\xbf\xbd\"}");
    memset(huge, 'h', sizeof(huge));
    f = journal_text("t", gs_slice(huge, sizeof(huge)));
    journal_tell(journal, 0, GS_LOG_INFO, "x", &f, 1);
    assert_last("{\"time\":0,\"event\":\"x\"}");
    journal_tell(NULL, 0, GS_LOG_INFO, "x", &f, 1); /* only logged */
}

struct reader {
    struct journal_follower f;
    unsigned told;
    bool stops;
};

static void
on_told(struct journal_follower *f)
{
    struct reader *r = GS_CONTAINER(f, struct reader, f);

    r->told++;
    if (r->stops)
        journal_unfollow(f);
}

static void
who_follows_is_told(void **state)
{
    struct reader a = { .f.told = on_told }, b = { .f.told = on_told, .stops = true };

    (void)state;
    journal_follow(journal, &b.f);
    journal_follow(journal, &a.f);
    say(1);
    say(2);
    assert_int_equal(a.told, 2);
    assert_int_equal(b.told, 1);
    journal_unfollow(&a.f);
    say(3);
    assert_int_equal(a.told, 2);
}

/* ---- events of the gossip ---- */

static void
on_record(const char *key, struct gs_slice value, bool tombstone)
{
    struct gossip_event e = { .type = GOSSIP_EVENT_RECORD,
                              .record = { .class = GOSSIP_OPERATOR,
                                          .kind = POLICY_NOTE,
                                          .key = gs_slice_str(key),
                                          .value = value,
                                          .tombstone = tombstone,
                                          .version = { 2, 0x10000, { { 1 } } } } };

    journal_on_event(journal, &e, NULL, 1000);
}

#define VERSION "2.0000000000010000.01000000000000000000000000000000"
#define WRITER "01000000000000000000000000000000"

static void
records_read_as_lines(void **state)
{
    struct gossip_event e = { .type = GOSSIP_EVENT_RECORD,
                              .record = { .class = GOSSIP_OWNER,
                                          .kind = 40,
                                          .key = GS_SLICE("k"),
                                          .version = { 2, 1, { { 1 } } } } };

    (void)state;
    on_record("Note/default/a", GS_SLICE("\x81\x10\xa2hi"), false);
    assert_last("{\"time\":1,\"event\":\"note.arrived\",\"kind\":\"Note\",\"ns\":\"default\","
                "\"name\":\"a\",\"version\":\"" VERSION "\",\"origin\":\"" WRITER
                "\",\"text\":\"hi\"}");
    on_record("Note/default/a", GS_SLICE("junk"), false);
    assert_last("{\"time\":1,\"event\":\"note.arrived\",\"kind\":\"Note\",\"ns\":\"default\","
                "\"name\":\"a\",\"version\":\"" VERSION "\",\"origin\":\"" WRITER
                "\",\"text\":\"\"}");
    on_record("VirtualService/default/a", GS_SLICE(""), true);
    assert_last("{\"time\":1,\"event\":\"policy.arrived\",\"kind\":\"VirtualService\",\"ns\":"
                "\"default\",\"name\":\"a\",\"version\":\"" VERSION "\",\"origin\":\"" WRITER
                "\",\"deleted\":1}");
    on_record("Novelty/default/a", GS_SLICE("x"), false); /* of a newer version */
    assert_last("{\"time\":1,\"event\":\"policy.arrived\",\"kind\":\"?\",\"ns\":\"\",\"name\":"
                "\"Novelty/default/a\",\"version\":\"" VERSION "\",\"origin\":\"" WRITER "\"}");
    journal_on_event(journal, &e, NULL, 1000);
    assert_last("{\"time\":1,\"event\":\"record.arrived\",\"owner\":\"" WRITER
                "\",\"kind\":40,\"key\":\"k\"}");
}

static void
notices_read_as_lines(void **state)
{
    struct gossip_event e = { .type = GOSSIP_EVENT_CONFLICT,
                              .key = GS_SLICE("Note/default/a"),
                              .version = { 2, 0x10000, { { 1 } } },
                              .sender = { { 2 } } };

    (void)state;
    journal_on_event(journal, &e, NULL, 1000);
    assert_last("{\"time\":1,\"event\":\"policy.conflict\",\"key\":\"Note/default/a\",\"version\":"
                "\"" VERSION "\",\"origin\":\"" WRITER "\"}");
    e.type = GOSSIP_EVENT_REFUSED;
    journal_on_event(journal, &e, NULL, 1000);
    assert_last("{\"time\":1,\"event\":\"record.refused\",\"key\":\"Note/default/a\",\"version\":"
                "\"" VERSION "\",\"origin\":\"" WRITER
                "\",\"from\":\"02000000000000000000000000000000\"}");
    e = (struct gossip_event){ .type = GOSSIP_EVENT_CLOCK_AHEAD,
                               .version = { 2, 0x10000, { { 1 } } },
                               .ahead_ms = 90000 };
    journal_on_event(journal, &e, NULL, 1000);
    assert_last("{\"time\":1,\"event\":\"clock.ahead\",\"version\":\"" VERSION
                "\",\"origin\":\"" WRITER "\",\"ahead_ms\":90000}");
    e = (struct gossip_event){ .type = GOSSIP_EVENT_OPENED };
    journal_on_event(journal, &e, NULL, 1000);
    assert_last("{\"time\":1,\"event\":\"mesh.opened\"}");
    e.type = GOSSIP_EVENT_TRANSACTION;
    journal_on_event(journal, &e, NULL, 1000);
    assert_last("{\"time\":1,\"event\":\"mesh.opened\"}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_ring_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(any_text_is_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(who_follows_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(records_read_as_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(notices_read_as_lines, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

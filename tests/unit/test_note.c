/* test_note.c - Notes: what operators tell each other. Ordinary objects, by which nothing is
 * routed. */
#include "tests/unit/models.h"

#define NOTE "apiVersion: gossamer.dev/v1\nkind: Note\nmetadata: { name: hello }\n"

static void
notes_are_read(void **state)
{
    static const struct {
        const char *name, *text, *found, *says;
    } rows[] = {
        { "fine", NOTE "spec: { text: deploying tools v2 }\n", "", NULL },
        { "lines", NOTE "spec:\n  text: |\n    one\n    two\n", "", NULL },
        { "no text", NOTE "spec: {}\n", "4:7 GS0105 spec.text\n", "needs a text" },
        { "empty", NOTE "spec: { text: '' }\n", "4:15 GS0105 spec.text\n", NULL },
        { "a number", NOTE "spec: { text: 42 }\n", "4:15 GS0104 spec.text\n", "\"42\"" },
        { "unknown", NOTE "spec: { txt: a }\n", "4:9 GS0102 spec.txt\n4:7 GS0105 spec.text\n",
          "did you mean \"text\"?" },
        { "version", "apiVersion: gossamer.dev/v2\nkind: Note\nmetadata: { name: hello }\n",
          "1:13 GS0110 -\n", "write gossamer.dev/v1" },
        { "kind", "apiVersion: gossamer.dev/v1\nkind: Memo\n", "2:7 GS0109 -\n",
          "there are: Maintenance, Note" },
        { "somebody else's", "apiVersion: example.org/v1\nkind: Note\nmetadata: { name: hello }\n",
          "", NULL },
        { "list",
          "apiVersion: gossamer.dev/v1\nkind: NoteList\nitems:\n"
          "- { metadata: { name: a }, spec: { text: a } }\n"
          "- { metadata: { name: b }, spec: {} }\n",
          "5:34 GS0105 spec.text\n", NULL },
    };

    (void)state;
    for (size_t i = 0; i < GS_COUNT(rows); i++)
        assert_findings(rows[i].name, rows[i].text, rows[i].found, rows[i].says);
}

static void
a_note_has_a_limit(void **state)
{
    char text[NOTE_BYTES_MAX + 256];
    int head = snprintf(text, sizeof(text), NOTE "spec: { text: a");

    (void)state;
    memset(text + head, 'a', NOTE_BYTES_MAX - 1);
    (void)snprintf(text + head + NOTE_BYTES_MAX - 1, 8, " }\n");
    assert_findings("at the limit", text, "", NULL);
    (void)snprintf(text + head + NOTE_BYTES_MAX - 1, 8, "a }\n");
    assert_findings("beyond", text, "4:15 GS0115 spec.text\n", "4097 bytes");
}

/* Given  a service that is published
 * When   a note arrives, is changed and goes
 * Then   it is active, and no snapshot was made for it */
static void
nothing_is_routed_by_it(void **state)
{
    struct world *w = *state;
    struct model_object o;
    uint64_t seq;

    set_web(w);
    (void)model_flush(w->model, 1000);
    seq = snapshot_current(w->hub)->seq;
    put_text(w, NOTE "spec: { text: a }\n", (struct deed){ .generation = 1 });
    assert_int_equal(model_flush(w->model, 1000).activated, 1);
    assert_true(
        model_find_object(w->model, POLICY_NOTE, GS_SLICE("default"), GS_SLICE("hello"), &o));
    assert_int_equal(o.state, MODEL_ACTIVE);
    assert_true(gs_slice_eq(o.object->note.text.text, GS_SLICE("a")));
    put_text(w, NOTE "spec: { text: b }\n", (struct deed){ .generation = 2 });
    assert_int_equal(model_flush(w->model, 1000).activated, 1);
    assert_int_equal(snapshot_current(w->hub)->seq, seq);
}

static void
nothing_is_found_out_about_it(void **state)
{
    struct world *w = *state;
    struct gs_problems problems;

    put_text(w, NOTE "spec: { text: a }\n", (struct deed){ .generation = 1 });
    (void)model_flush(w->model, 1000);
    gs_problems_init(&problems);
    model_analyze(w->model, &problems);
    assert_int_equal(problems.count, 0);
    gs_problems_fini(&problems);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_are_read),
        cmocka_unit_test(a_note_has_a_limit),
        cmocka_unit_test_setup_teardown(nothing_is_routed_by_it, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_found_out_about_it, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

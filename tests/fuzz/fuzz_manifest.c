/* fuzz_manifest.c - a file given to apply: whatever is taken is encoded, decoded and exported as
 * the same object. */
#include "tests/fuzz/fuzz.h"

#include <gossamer/buf.h>
#include <gossamer/limits.h>
#include <gossamer/model.h>

static void
check_round_trip(const struct policy_object *o)
{
    char key[POLICY_KEY_TEXT];
    struct policy_object *again = NULL;
    struct gs_problems problems;
    struct gs_arena arena;
    struct gs_buf first, second, text;
    struct json_out j;

    gs_buf_init(&first, OBJECT_BYTES_MAX);
    gs_buf_init(&second, OBJECT_BYTES_MAX);
    gs_buf_init(&text, 8u << 20);
    gs_arena_init(&arena, NULL, 0, 4096);
    gs_problems_init(&problems);
    json_init(&j, &text);
    GS_ASSERT(policy_encode(o, &first) == GS_E_OK);
    GS_ASSERT(policy_decode(gs_slice_str(policy_key(o->kind, o->ns, o->name, key)),
                            gs_buf_slice(&first), &arena, &again, NULL) == GS_E_OK);
    GS_ASSERT(policy_validate(again, &problems) == GS_E_OK);
    GS_ASSERT(policy_encode(again, &second) == GS_E_OK);
    GS_ASSERT(gs_slice_eq(gs_buf_slice(&first), gs_buf_slice(&second)));
    policy_export(again, NULL, 0, &j);
    gs_problems_fini(&problems);
    gs_arena_fini(&arena);
    gs_buf_fini(&first);
    gs_buf_fini(&second);
    gs_buf_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest_options o = { .file = "f", .ns = GS_SLICE("default") };
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree_docs docs;
    struct manifest m;

    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 4096);
    manifest_init(&m);
    if (tree_parse_yaml(gs_slice(data, size), "f", &arena, &docs, &problems) == GS_E_OK &&
        manifest_read(&m, &docs, &o, &problems) == GS_E_OK) {
        for (size_t i = 0; i < m.count; i++)
            check_round_trip(m.objects[i]);
        model_analyze_files((const struct policy_object *const *)m.objects, m.count, &problems);
    }
    manifest_fini(&m);
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
    return 0;
}

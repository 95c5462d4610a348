/* fuzz_yaml.c - any bytes as YAML: the caps hold and every node of what was built is sound. What
 * libyaml took is then read as a configuration, whose checks must survive any tree. */
#include "tests/fuzz/fuzz.h"

#include <gossamer/check.h>
#include <gossamer/limits.h>
#include <gossamer/tree.h>

#include "mesh/config/config_apply.h"
#include "mesh/config/config_rules.h"

/* Counts nodes as a reader would meet them, aliases expanded. */
static size_t
walk(const struct tree *t, unsigned depth)
{
    size_t nodes = 1;

    GS_ASSERT(depth <= TREE_DEPTH_MAX);
    GS_ASSERT(t->line > 0 && t->column > 0);
    if (t->kind == TREE_SCALAR)
        GS_ASSERT(t->text.ptr[t->text.len] == '\0');
    for (size_t i = 0; t->kind == TREE_SEQ && i < t->count; i++)
        nodes += walk(t->items[i], depth + 1);
    for (size_t i = 0; t->kind == TREE_MAP && i < t->count; i++) {
        GS_ASSERT(t->pairs[i].key.ptr[t->pairs[i].key.len] == '\0');
        nodes += 1 + walk(t->pairs[i].value, depth + 1);
    }
    return nodes;
}

static void
configure(const struct tree *root, struct gs_problems *problems)
{
    struct config c = { 0 };
    struct config_apply a = {
        .arena = &c.arena,
        .problems = problems,
        .file = "fuzz",
        .hostname = "host",
        .state = "/state",
        .socket = "/socket",
    };

    gs_arena_init(&c.arena, NULL, 0, 4096);
    config_apply_defaults(&a, SCHEMA_CONFIG, &c);
    c.file = a.file;
    config_apply_tree(&a, &c, root);
    config_rules_check(&c, problems);
    gs_arena_fini(&c.arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree_docs docs;
    size_t nodes = 0;

    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 4096);
    if (tree_parse_yaml(gs_slice(data, size), "fuzz", &arena, &docs, &problems) == GS_E_OK) {
        GS_ASSERT(problems.errors == 0);
        for (size_t i = 0; i < docs.count; i++)
            nodes += walk(docs.docs[i], 1);
        GS_ASSERT(nodes <= TREE_NODES_MAX);
        if (docs.count > 0)
            configure(docs.docs[0], &problems);
    } else {
        GS_ASSERT(problems.errors > 0);
    }
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
    return 0;
}

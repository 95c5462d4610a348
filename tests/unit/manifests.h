/* manifests.h - reading a manifest in a test, and what was found in it as lines of text. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <gossamer/buf.h>
#include <gossamer/policy.h>

struct reading {
    struct manifest m;
    struct gs_problems problems;
    struct gs_buf found;
};

static inline void
reading_fini(struct reading *r)
{
    manifest_fini(&r->m);
    gs_problems_fini(&r->problems);
    gs_buf_fini(&r->found);
}

/* "4:11 GS0104 spec.http[0].timeout" for each finding; warnings begin with "w ". */
static inline void
reading_init(struct reading *r, const char *text, size_t len)
{
    struct manifest_options o = { .file = "f.yaml", .ns = GS_SLICE("default") };
    struct gs_arena arena;
    struct tree_docs docs;

    manifest_init(&r->m);
    gs_problems_init(&r->problems);
    gs_buf_init(&r->found, 1 << 20);
    gs_arena_init(&arena, NULL, 0, 4096);
    if (tree_parse_yaml(gs_slice(text, len), "f.yaml", &arena, &docs, &r->problems) == GS_E_OK)
        (void)!manifest_read(&r->m, &docs, &o, &r->problems);
    gs_arena_fini(&arena);
    for (size_t i = 0; i < r->problems.count; i++) {
        const struct gs_problem *p = &r->problems.items[i];

        (void)gs_buf_printf(&r->found, "%s%u:%u %s %s\n", p->severity == GS_SEV_ERROR ? "" : "w ",
                            p->line, p->column, p->code, p->field ? p->field : "-");
    }
}

/* The first message or hint that holds `part`, else NULL. */
static inline const char *
reading_says(const struct reading *r, const char *part)
{
    for (size_t i = 0; i < r->problems.count; i++) {
        const struct gs_problem *p = &r->problems.items[i];

        if (strstr(p->message, part))
            return p->message;
        if (p->hint && strstr(p->hint, part))
            return p->hint;
    }
    return NULL;
}

/* Findings exactly as expected, one a line; `says` is in a message or hint (may be NULL). */
static inline void
assert_findings(const char *name, const char *text, const char *expected, const char *says)
{
    struct reading r;
    const char *found;
    bool told;

    reading_init(&r, text, strlen(text));
    found = gs_buf_cstr(&r.found);
    told = !says || reading_says(&r, says);
    if (strcmp(found, expected) != 0 || !told) {
        print_error("---- %s\n%s---- expected\n%s---- found\n%s", name, text, expected, found);
        for (size_t i = 0; i < r.problems.count; i++)
            print_error("     %s (%s)\n", r.problems.items[i].message,
                        r.problems.items[i].hint ? r.problems.items[i].hint : "-");
        print_error("---- looked for: %s\n", says ? says : "-");
    }
    assert_string_equal(found, expected);
    assert_true(told);
    reading_fini(&r);
}

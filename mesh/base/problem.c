/* problem.c - findings about an operator's document, kept in the order they were found. */
#include <gossamer/problem.h>

#include <stdarg.h>
#include <stdio.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/limits.h>

#define PROBLEM_TEXT_MAX 1024 /* a message or hint; longer ones are cut */
#define PROBLEM_ARENA_BYTES 4096

/* What is written over when the cap is passed. Nobody reads it. */
static _Thread_local struct gs_problem dummy;

void
gs_problems_init(struct gs_problems *p)
{
    *p = (struct gs_problems){ 0 };
    gs_arena_init(&p->arena, NULL, 0, PROBLEM_ARENA_BYTES);
}

void
gs_problems_fini(struct gs_problems *p)
{
    if (!p)
        return;
    gs_arena_fini(&p->arena);
    gs_free(p->items);
    *p = (struct gs_problems){ 0 };
}

static const char *
keep(struct gs_problems *p, const char *text)
{
    return text ? gs_arena_strdup(&p->arena, gs_slice_str(text)) : NULL;
}

GS_PRINTF(2, 0)
static const char *
render(struct gs_problems *p, const char *fmt, va_list ap)
{
    char text[PROBLEM_TEXT_MAX];

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    return keep(p, text);
}

static struct gs_problem *
item_new(struct gs_problems *p)
{
    GS_ASSERT(p->count <= p->cap);
    if (p->count >= PROBLEMS_MAX) {
        p->dropped++;
        return &dummy;
    }
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->items = gs_realloc(p->items, p->cap * sizeof(*p->items));
    }
    return &p->items[p->count++];
}

struct gs_problem *
gs_problems_add(struct gs_problems *p, enum gs_severity sev, const char *code, const char *file,
                unsigned line, unsigned column, const char *field, const char *fmt, ...)
{
    struct gs_problem *item = item_new(p);
    va_list ap;

    GS_ASSERT(code);
    p->errors += sev == GS_SEV_ERROR;
    p->warnings += sev == GS_SEV_WARNING;
    if (item == &dummy)
        return item;
    *item = (struct gs_problem){ .severity = sev, .line = line, .column = column };
    item->code = keep(p, code);
    item->file = keep(p, file);
    item->field = keep(p, field);
    va_start(ap, fmt);
    item->message = render(p, fmt, ap);
    va_end(ap);
    GS_ASSERT(item->message);
    return item;
}

void
gs_problem_hint(struct gs_problems *p, struct gs_problem *item, const char *fmt, ...)
{
    va_list ap;

    GS_ASSERT(item);
    if (item == &dummy)
        return;
    va_start(ap, fmt);
    item->hint = render(p, fmt, ap);
    va_end(ap);
}

static const char *
severity_text(enum gs_severity s)
{
    switch (s) {
    case GS_SEV_ERROR:
        return "error";
    case GS_SEV_WARNING:
        return "warning";
    case GS_SEV_NOTE:
        return "note";
    }
    GS_UNREACHABLE("severity");
}

void
gs_problem_print(const struct gs_problem *item, struct gs_buf *out)
{
    if (item->file) {
        (void)gs_buf_put_str(out, item->file);
        if (item->line > 0)
            (void)gs_buf_printf(out, ":%u", item->line);
        if (item->line > 0 && item->column > 0)
            (void)gs_buf_printf(out, ":%u", item->column);
        (void)gs_buf_put_str(out, ": ");
    }
    (void)gs_buf_printf(out, "%s %s: ", severity_text(item->severity), item->code);
    if (item->field)
        (void)gs_buf_printf(out, "%s: ", item->field);
    (void)gs_buf_printf(out, "%s\n", item->message);
    if (item->hint)
        (void)gs_buf_printf(out, "  hint: %s\n", item->hint);
}

const char *
gs_did_you_mean(const char *word, size_t word_len, const char *const *candidates, size_t count)
{
    struct gs_slice typed = gs_slice(word, word_len);
    unsigned limit = word_len <= 3 ? 1 : 2;
    unsigned best_distance = limit + 1;
    const char *best = NULL;

    for (size_t i = 0; i < count; i++) {
        struct gs_slice c = gs_slice_str(candidates[i]);
        unsigned distance;

        if (gs_slice_eq_nocase(c, typed)) /* HTTP for http: many edits, no doubt */
            return candidates[i];
        distance = gs_slice_distance(typed, c, limit);
        /* A word of one letter is at distance 1 of every other: that is no help. */
        if (distance < best_distance && distance < word_len) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best;
}

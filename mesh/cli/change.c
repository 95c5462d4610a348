/* change.c - an edit asked for, and what came of it in words. Results are data; warnings, refusals
 * and who is late are not. */
#include "mesh/cli/change.h"

#include "mesh/cli/list.h"

#define TEXT_BYTES_MAX (4u << 20)
#define ANSWER_MS 10000 /* beyond the waiting asked for: the disk, a busy node */

static void
add_params(const struct change *c, struct gs_buf *path)
{
    char wait[32];

    (void)snprintf(wait, sizeof(wait), "%llums",
                   c->no_wait ? 0ULL : (unsigned long long)c->timeout_ms);
    ask_param(path, "wait", wait);
    ask_param(path, "if_version", c->if_version);
    ask_param(path, "force", c->force ? "true" : NULL);
    ask_param(path, "dry_run", c->dry_run ? "true" : NULL);
}

/* ---- findings ---- */

static void
collect_warnings(const struct tree *object, struct gs_buf *out)
{
    const struct tree *list = tree_find(object, "warnings");

    for (size_t i = 0; list && i < list->count; i++)
        ask_print_finding(list->items[i], "warning", out);
}

static void
print_warnings(const struct tree *root)
{
    const struct tree *applied = tree_find(root, "applied");
    struct gs_buf out;

    gs_buf_init(&out, TEXT_BYTES_MAX);
    for (size_t i = 0; applied && i < applied->count; i++)
        collect_warnings(applied->items[i], &out);
    collect_warnings(root, &out);
    ask_tell(&out);
    gs_buf_fini(&out);
}

/* ---- results ---- */

static const char *
or_dash(const char *text)
{
    return text ? text : "-";
}

static const char *
object_name(struct ask *a, const struct tree *t)
{
    return gs_arena_printf(&a->arena, "%s %s/%s", or_dash(ask_text(t, "kind")),
                           or_dash(ask_text(t, "namespace")), or_dash(ask_text(t, "name")));
}

static int
name_width(struct ask *a, const struct tree *list)
{
    size_t width = 0;

    for (size_t i = 0; list && i < list->count; i++) {
        size_t len = strlen(object_name(a, list->items[i]));

        width = len > width ? len : width;
    }
    return (int)(width < 200 ? width : 200);
}

static void
objects_text(const struct change *c, struct ask *a, const struct tree *list, const char *verb,
             struct gs_buf *out)
{
    int width = name_width(a, list);

    for (size_t i = 0; list && i < list->count; i++) {
        const struct tree *t = list->items[i];
        const char *state = ask_text(t, "state");
        const char *version = ask_text(t, "version");
        const char *why = ask_text(t, "why");

        (void)gs_buf_printf(out, "%-*s  %-9s", width, object_name(a, t), state ? state : verb);
        if (version)
            (void)gs_buf_printf(out, "  %s",
                                c->format == CLI_WIDE ? version
                                                      : ask_short_version(&a->arena, version));
        (void)gs_buf_printf(out, "%s%s\n", why ? "  " : "", why ? why : "");
    }
}

static void
skipped_text(const struct tree *list, struct gs_buf *out)
{
    for (size_t i = 0; list && i < list->count; i++) {
        const char *file = ask_text(list->items[i], "file");
        const char *line = ask_text(list->items[i], "line");

        (void)gs_buf_printf(out, "%s %s  not ours", or_dash(ask_text(list->items[i], "kind")),
                            or_dash(ask_text(list->items[i], "name")));
        if (file)
            (void)gs_buf_printf(out, "  %s:%s", file, or_dash(line));
        (void)gs_buf_put_str(out, "\n");
    }
}

static size_t
count_unchanged(const struct tree *applied)
{
    size_t count = 0;

    for (size_t i = 0; applied && i < applied->count; i++) {
        const char *state = ask_text(applied->items[i], "state");

        count += state && strcmp(state, "unchanged") == 0;
    }
    return count;
}

static void
count_text(struct gs_buf *out, size_t *parts, size_t count, const char *what)
{
    if (count > 0)
        (void)gs_buf_printf(out, "%s%zu %s", (*parts)++ > 0 ? ", " : "", count, what);
}

/* "5/5 in 41 ms", or "4/5 in 10.0 s; n4: has not answered". */
static void
confirmed_text(const struct tree *root, struct gs_buf *out)
{
    const struct tree *list = tree_find(root, "laggards");
    double ms = ask_number(root, "ms");
    bool seconds = ms >= 999.5; /* what would be told as 1000 ms */

    (void)gs_buf_printf(out, "%.0f/%.0f in %.*f %s", ask_number(root, "confirmed"),
                        ask_number(root, "asked"), seconds || ms < 1 ? 1 : 0,
                        seconds ? ms / 1000 : ms, seconds ? "s" : "ms");
    for (size_t i = 0; list && i < list->count; i++)
        (void)gs_buf_printf(out, "; %s: %s", or_dash(ask_text(list->items[i], "node")),
                            or_dash(ask_text(list->items[i], "why")));
    (void)gs_buf_put_str(out, "\n");
}

static void
summary_text(const struct change *c, const struct tree *root, struct gs_buf *out)
{
    const struct tree *applied = tree_find(root, "applied");
    const struct tree *deleted = tree_find(root, "deleted");
    const struct tree *skipped = tree_find(root, "skipped");
    size_t unchanged = count_unchanged(applied);
    size_t parts = 0;

    count_text(out, &parts, applied ? applied->count - unchanged : 0, "applied");
    count_text(out, &parts, unchanged, "unchanged");
    count_text(out, &parts, deleted ? deleted->count : 0, "deleted");
    count_text(out, &parts, skipped ? skipped->count : 0, "not ours");
    (void)gs_buf_put_str(out, parts > 0 ? "\n" : "nothing to change\n");
    if (c->dry_run)
        (void)gs_buf_put_str(out, "dry run: nothing was changed\n");
    else if (ask_number(root, "asked") > 0)
        confirmed_text(root, out);
}

static void
result_text(const struct change *c, struct ask *a)
{
    struct gs_buf out;

    gs_buf_init(&out, TEXT_BYTES_MAX);
    objects_text(c, a, tree_find(a->root, "applied"), "applied", &out);
    objects_text(c, a, tree_find(a->root, "deleted"), "deleted", &out);
    skipped_text(tree_find(a->root, "skipped"), &out);
    summary_text(c, a->root, &out);
    cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
}

/* Somebody has not confirmed it in time: that is what exit 4 is for, unless nobody was to wait. */
static int
tell_laggards(const struct change *c, const struct tree *root)
{
    const struct tree *list = tree_find(root, "laggards");

    if (c->no_wait || !list || list->count == 0)
        return CLI_GOOD;
    for (size_t i = 0; i < list->count; i++)
        (void)cli_fail(CLI_TIMEOUT, NULL, "node %s did not confirm: it %s",
                       or_dash(ask_text(list->items[i], "node")),
                       or_dash(ask_text(list->items[i], "why")));
    return cli_fail(CLI_TIMEOUT,
                    "the change is saved and spreads on; gossamer members shows who has it",
                    "not everybody confirmed within %.1f s", (double)c->timeout_ms / 1000);
}

int
change_request(const struct change *c, const char *method, struct gs_buf *path,
               struct gs_slice body)
{
    uint64_t wait = (c->no_wait ? 0 : c->timeout_ms) + ANSWER_MS;
    struct ask a;
    int code;

    add_params(c, path);
    ask_init(&a, c->socket);
    code = ask_node(&a, method, path, body, wait);
    if (code == CLI_GO_ON && (a.status != 200 || !a.root)) {
        code = ask_refused(&a, c->format);
    } else if (code == CLI_GO_ON) {
        if (c->format == CLI_JSON || c->format == CLI_YAML) {
            cli_print_json(c->format, a.body); /* its warnings are in it */
        } else {
            result_text(c, &a);
            print_warnings(a.root);
        }
        code = tell_laggards(c, a.root);
    }
    ask_fini(&a);
    return code;
}

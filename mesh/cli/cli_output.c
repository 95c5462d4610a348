/* cli_output.c - data for people and for programs: tables, JSON, and JSON as YAML. */
#include "mesh/cli/cli.h"

#include <stdlib.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/json_out.h>
#include <gossamer/tree.h>

#include "mesh/config/json.h"

#define YAML_BYTES_MAX (8u << 20)

void
cli_print(struct gs_slice text)
{
    (void)fwrite(text.ptr, 1, text.len, stdout); /* cli_finish looks at how it went */
}

bool
cli_colour(FILE *stream)
{
    const char *no = getenv("NO_COLOR");
    const char *force = getenv("CLICOLOR_FORCE");
    const char *term = getenv("TERM");

    if (no && no[0]) /* no-color.org: when present and not empty */
        return false;
    if (force && force[0] && strcmp(force, "0") != 0)
        return true;
    return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0;
}

/* ---- JSON as YAML ---- */

static void yaml_value(struct gs_buf *out, const struct tree *t, unsigned depth);

static void
yaml_string(struct gs_buf *out, struct gs_slice text)
{
    struct json_out j;

    json_init(&j, out);
    json_slice(&j, text); /* in double quotes: never taken for anything else */
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Keys of our documents are plain words; one that YAML might read otherwise is quoted. */
static void
yaml_key(struct gs_buf *out, struct gs_slice key)
{
    static const char *const typed[] = {
        "y", "n", "yes", "no", "on", "off", "true", "false", "null"
    };
    bool plain = key.len > 0 && is_letter(key.ptr[0]);

    for (size_t i = 0; i < key.len; i++)
        plain = plain && (is_letter(key.ptr[i]) || key.ptr[i] == '_' || key.ptr[i] == '-' ||
                          (key.ptr[i] >= '0' && key.ptr[i] <= '9'));
    for (size_t i = 0; i < GS_COUNT(typed); i++)
        plain = plain && !gs_slice_eq_nocase(key, gs_slice_str(typed[i]));
    if (plain)
        (void)gs_buf_put_slice(out, key);
    else
        yaml_string(out, key);
}

static bool
yaml_on_one_line(const struct tree *t)
{
    return t->kind == TREE_SCALAR || t->count == 0;
}

/* first: the line is begun already, by a list's dash. */
static void
yaml_map(struct gs_buf *out, const struct tree *t, unsigned depth, bool first)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct tree_pair *pair = &t->pairs[i];

        if (i > 0 || !first)
            (void)gs_buf_printf(out, "%*s", (int)(2 * depth), "");
        yaml_key(out, pair->key);
        (void)gs_buf_put_str(out, yaml_on_one_line(pair->value) ? ": " : ":\n");
        yaml_value(out, pair->value, depth + 1);
    }
}

static void
yaml_list(struct gs_buf *out, const struct tree *t, unsigned depth)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct tree *item = t->items[i];

        bool nested = item->kind == TREE_SEQ && item->count > 0;

        (void)gs_buf_printf(out, "%*s-%s", (int)(2 * depth), "", nested ? "\n" : " ");
        if (item->kind == TREE_MAP && item->count > 0)
            yaml_map(out, item, depth + 1, true);
        else
            yaml_value(out, item, depth + 1);
    }
}

static void
yaml_value(struct gs_buf *out, const struct tree *t, unsigned depth)
{
    if (t->kind == TREE_MAP && t->count > 0) {
        yaml_map(out, t, depth, false);
        return;
    }
    if (t->kind == TREE_SEQ && t->count > 0) {
        yaml_list(out, t, depth);
        return;
    }
    if (t->kind == TREE_MAP)
        (void)gs_buf_put_str(out, "{}");
    else if (t->kind == TREE_SEQ)
        (void)gs_buf_put_str(out, "[]");
    else if (t->plain)
        (void)gs_buf_put_slice(out, t->text);
    else
        yaml_string(out, t->text);
    (void)gs_buf_put_str(out, "\n");
}

/* False: not JSON, or larger than what is read. */
static bool
print_as_yaml(struct gs_slice json)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct gs_buf out;
    struct tree *root;
    bool good;

    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 65536);
    gs_buf_init(&out, YAML_BYTES_MAX);
    good = tree_parse_json(json, NULL, &arena, &root, &problems) == GS_E_OK;
    if (good) {
        yaml_value(&out, root, 0);
        good = !out.failed;
    }
    if (good)
        cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
    return good;
}

void
cli_print_json(enum cli_format format, struct gs_slice json)
{
    GS_ASSERT(format == CLI_JSON || format == CLI_YAML);
    if (format == CLI_YAML && print_as_yaml(json))
        return;
    cli_print(json); /* JSON is YAML, too */
    if (!gs_slice_ends(json, GS_SLICE("\n")))
        cli_print(GS_SLICE("\n"));
}

/* ---- tables ---- */

void
cli_table_init(struct cli_table *t, const char *const *headers, size_t columns)
{
    GS_ASSERT(columns > 0);
    *t = (struct cli_table){ .headers = headers, .columns = columns };
    gs_arena_init(&t->arena, NULL, 0, 4096);
}

void
cli_table_fini(struct cli_table *t)
{
    if (!t)
        return;
    gs_arena_fini(&t->arena);
    gs_free(t->cells);
    *t = (struct cli_table){ 0 };
}

void
cli_table_row(struct cli_table *t, const char *const *cells)
{
    if (t->count + t->columns > t->cap) {
        t->cap = (t->cap + t->columns) * 2;
        t->cells = gs_realloc(t->cells, t->cap * sizeof(*t->cells));
    }
    for (size_t i = 0; i < t->columns; i++) {
        struct gs_slice text = gs_slice_str(cells[i] ? cells[i] : "-");
        char *cell = gs_arena_bytes(&t->arena, text.len + 1);

        for (size_t k = 0; k < text.len; k++) /* a cell is on one line */
            cell[k] = text.ptr[k] == '\n' || text.ptr[k] == '\t' ? ' ' : text.ptr[k];
        cell[text.len] = '\0';
        t->cells[t->count++] = cell;
    }
}

/* Characters, not bytes: good enough for names; wide ones are not looked up. */
static size_t
width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t
column_width(const struct cli_table *t, size_t column)
{
    size_t widest = width_of(t->headers[column]);

    for (size_t i = column; i < t->count; i += t->columns) {
        size_t width = width_of(t->cells[i]);

        widest = width > widest ? width : widest;
    }
    return widest;
}

static void
render_row(const struct cli_table *t, const char *const *cells, struct gs_buf *out)
{
    for (size_t i = 0; i < t->columns; i++) {
        (void)gs_buf_put_str(out, cells[i]);
        if (i + 1 < t->columns) /* no blanks at the end of a line */
            (void)gs_buf_printf(out, "%*s", (int)(column_width(t, i) - width_of(cells[i]) + 2), "");
    }
}

void
cli_table_render(const struct cli_table *t, bool colour, struct gs_buf *out)
{
    GS_ASSERT(t->count % t->columns == 0);
    (void)gs_buf_put_str(out, colour ? "\x1b[1m" : "");
    render_row(t, t->headers, out);
    (void)gs_buf_put_str(out, colour ? "\x1b[0m\n" : "\n");
    for (size_t i = 0; i < t->count; i += t->columns) {
        render_row(t, t->cells + i, out);
        (void)gs_buf_put_str(out, "\n");
    }
}

/* ask.c - questions to the node, and its refusals in words. */
#include "mesh/cli/ask.h"

#include <stdlib.h>

#include <gossamer/limits.h>

#include "mesh/config/json.h"

#define TEXT_BYTES_MAX (4u << 20)
#define PATH_BYTES_MAX (HEAD_LINE_MAX - 64) /* method, version */

void
ask_init(struct ask *a, const char *socket_option)
{
    *a = (struct ask){ .status = 0 };
    gs_arena_init(&a->arena, NULL, 0, 16384);
    a->socket = cli_socket(socket_option, &a->arena);
}

void
ask_fini(struct ask *a)
{
    gs_arena_fini(&a->arena);
}

/* Of the tree's own memory: constants have none of these. C1 is two bytes in UTF-8. */
static void
clean_text(struct gs_slice s)
{
    char *text = (char *)(uintptr_t)s.ptr;

    for (size_t i = 0; i < s.len; i++) {
        size_t n = gs_slice_control(gs_slice_from(s, i));

        if (n > 0 && text[i] != '\n' && text[i] != '\t')
            memset(text + i, '?', n);
    }
}

void
ask_clean(struct tree *t)
{
    if (t->kind == TREE_SCALAR)
        clean_text(t->text);
    for (size_t i = 0; t->kind == TREE_SEQ && i < t->count; i++)
        ask_clean(t->items[i]);
    for (size_t i = 0; t->kind == TREE_MAP && i < t->count; i++) {
        clean_text(t->pairs[i].key);
        ask_clean(t->pairs[i].value);
    }
}

int
ask_node(struct ask *a, const char *method, struct gs_buf *path, struct gs_slice body,
         uint64_t timeout_ms)
{
    struct cli_answer answer;
    struct gs_problems problems;
    struct gs_why why = { "" };
    gs_err e;

    if (!a->socket)
        return cli_fail(CLI_UNREACHABLE, "--socket PATH or GOSSAMER_SOCKET names it",
                        "there is no default admin socket: no home directory is known");
    if (path->failed) /* what did not fit was left out: ask nothing rather than something else */
        return cli_fail(CLI_USAGE, NULL, "the names given are too long: %u bytes is the most",
                        PATH_BYTES_MAX);
    e = cli_http(a->socket, method, gs_buf_cstr(path), body, timeout_ms, &answer, &why);
    if (e != GS_E_OK)
        return cli_unreachable(e, a->socket, &why);
    a->status = answer.status;
    a->body = gs_arena_copy(&a->arena, gs_buf_slice(&answer.body));
    gs_buf_fini(&answer.body);
    gs_problems_init(&problems);
    if (tree_parse_json(a->body, NULL, &a->arena, &a->root, &problems) != GS_E_OK)
        a->root = NULL;
    gs_problems_fini(&problems);
    if (a->root && !a->verbatim)
        ask_clean(a->root);
    return CLI_GO_ON;
}

/* ---- parts of an answer ---- */

const char *
ask_text(const struct tree *object, const char *key)
{
    const struct tree *t = object ? tree_find(object, key) : NULL;

    if (!t || t->kind != TREE_SCALAR || tree_is_null(t))
        return NULL;
    return t->text.ptr;
}

double
ask_number(const struct tree *object, const char *key)
{
    const char *text = ask_text(object, key);

    return text ? strtod(text, NULL) : 0;
}

static bool
is_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (size_t i = 0; i < GS_COUNT(names); i++) {
        const char *value = getenv(names[i]);

        if (value && value[0]) /* the first that is set decides */
            return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "UTF8");
    }
    return false;
}

const char *
ask_short_version(struct gs_arena *arena, const char *version)
{
    struct gs_slice rest = gs_slice_str(version);
    struct gs_slice generation, clock;

    if (!version || !gs_slice_cut(&rest, '.', &generation) || !gs_slice_cut(&rest, '.', &clock))
        return version;
    return gs_arena_printf(arena, "%.*s.%.*s%s", GS_SLICE_FMT(generation),
                           (int)(clock.len < 5 ? clock.len : 5), clock.ptr,
                           is_utf8() ? "\xe2\x80\xa6" : "...");
}

/* ---- refusals ---- */

void
ask_print_finding(const struct tree *finding, const char *severity, struct gs_buf *out)
{
    const char *file = ask_text(finding, "file");
    const char *line = ask_text(finding, "line");
    const char *column = ask_text(finding, "column");
    const char *field = ask_text(finding, "field");
    const char *message = ask_text(finding, "message");
    const char *hint = ask_text(finding, "hint");
    const char *code = ask_text(finding, "code");

    if (file)
        (void)gs_buf_printf(out, "%s%s%s%s%s: ", file, line ? ":" : "", line ? line : "",
                            line && column ? ":" : "", line && column ? column : "");
    (void)gs_buf_printf(out, "%s %s: %s%s%s\n", severity, code ? code : "?", field ? field : "",
                        field ? ": " : "", message ? message : "?");
    if (hint)
        (void)gs_buf_printf(out, "  hint: %s\n", hint);
}

void
ask_tell(const struct gs_buf *text)
{
    (void)fflush(stdout);
    if (text->len > 0)
        (void)fwrite(text->ptr, 1, text->len, stderr);
}

static size_t
print_findings(const struct tree *root, const char *key, const char *severity)
{
    const struct tree *list = root ? tree_find(root, key) : NULL;
    struct gs_buf out;
    size_t count = list && list->kind == TREE_SEQ ? list->count : 0;

    gs_buf_init(&out, TEXT_BYTES_MAX);
    for (size_t i = 0; i < count; i++)
        ask_print_finding(list->items[i], severity, &out);
    ask_tell(&out);
    gs_buf_fini(&out);
    return count;
}

int
ask_refused(const struct ask *a, enum cli_format format)
{
    enum cli_exit code = a->status == 409 ? CLI_CONFLICT : CLI_REFUSED;

    if (format == CLI_JSON || format == CLI_YAML) {
        cli_print_json(format, a->body);
        return code;
    }
    (void)print_findings(a->root, "warnings", "warning");
    if (print_findings(a->root, "errors", "error") > 0)
        return code;
    return cli_fail(code, "the node and this binary may be of different versions: gossamer version",
                    "the node at %s answered %u: %.*s", a->socket, a->status,
                    (int)(a->body.len < 200 ? a->body.len : 200), a->body.ptr);
}

int
ask_list(struct ask *a, struct gs_buf *path, const char *name, const struct tree **list)
{
    int code = ask_node(a, "GET", path, GS_SLICE_NONE, ASK_MS);

    if (code != CLI_GO_ON)
        return code;
    if (a->status != 200)
        return ask_refused(a, CLI_TABLE);
    *list = a->root ? tree_find(a->root, name) : NULL;
    if (*list && (*list)->kind != TREE_SEQ)
        *list = NULL;
    return CLI_GO_ON;
}

int
ask_too_large(const struct ask *a)
{
    return cli_fail(CLI_REFUSED, "ask for less of it, or use -o json",
                    "the answer of %zu bytes is too large for a table", a->body.len);
}

/* ---- paths ---- */

void
ask_path(struct gs_buf *path, const char *what)
{
    gs_buf_init(path, PATH_BYTES_MAX);
    (void)gs_buf_printf(path, "/api/v1/%s", what);
}

static void
put_encoded(struct gs_buf *path, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c));

        if (plain)
            (void)gs_buf_put(path, text, 1);
        else
            (void)gs_buf_printf(path, "%%%02X", c);
    }
}

void
ask_param(struct gs_buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    (void)gs_buf_printf(path, "%c%s=", gs_slice_find(gs_buf_slice(path), '?') < 0 ? '?' : '&',
                        name);
    put_encoded(path, value);
}

void
ask_segment(struct gs_buf *path, const char *text)
{
    (void)gs_buf_put(path, "/", 1);
    put_encoded(path, text);
}

/* list.c - lists of the admin API as tables; verbs that do nothing else are a table of columns. */
#include "mesh/cli/list.h"

#include <time.h>

#define OUTPUT_BYTES_MAX (64u << 20)
#define COLUMNS_MAX 24
#define NAMES_MAX 1024

/* ---- cells ---- */

const char *
list_age_text(struct gs_arena *arena, double seconds)
{
    unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

    if (s < 60)
        return gs_arena_printf(arena, "%lus", s);
    if (s < 3600)
        return gs_arena_printf(arena, "%lum%lus", s / 60, s % 60);
    if (s < 86400)
        return gs_arena_printf(arena, "%luh%lum", s / 3600, s / 60 % 60);
    return gs_arena_printf(arena, "%lud%luh", s / 86400, s / 3600 % 24);
}

static double
wall_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *
items_text(struct gs_arena *arena, const struct tree *t)
{
    const char *all = "";

    for (size_t i = 0; i < t->count; i++) {
        const char *comma = i > 0 ? "," : "";

        if (t->kind == TREE_MAP)
            all = gs_arena_printf(
                arena, "%s%s%.*s:%s", all, comma, GS_SLICE_FMT(t->pairs[i].key),
                t->pairs[i].value->kind == TREE_SCALAR ? t->pairs[i].value->text.ptr : "...");
        else
            all = gs_arena_printf(arena, "%s%s%s", all, comma,
                                  t->items[i]->kind == TREE_SCALAR ? t->items[i]->text.ptr : "...");
    }
    return t->count > 0 ? all : NULL;
}

static const char *
cell(struct gs_arena *arena, const struct list_column *c, const struct tree *row, bool wide)
{
    const struct tree *t = tree_find(row, c->key);
    const char *text = ask_text(row, c->key);
    double number = ask_number(row, c->key);

    if (c->how == LIST_ITEMS)
        return t && t->kind != TREE_SCALAR ? items_text(arena, t) : text;
    if (!text || !text[0])
        return NULL;
    switch (c->how) {
    case LIST_TEXT:
    case LIST_ITEMS:
        break;
    case LIST_PERCENT:
        return gs_arena_printf(arena, "%.2f%%", number * 100);
    case LIST_MS:
        return gs_arena_printf(arena, "%.1f ms", number);
    case LIST_RATE:
        return gs_arena_printf(arena, "%.1f", number);
    case LIST_AGE:
        return list_age_text(arena, wall_seconds() - number);
    case LIST_AGE_MS:
        return list_age_text(arena, wall_seconds() - number / 1000);
    case LIST_VERSION:
        return wide ? text : ask_short_version(arena, text);
    }
    return text;
}

void
list_print(const struct list_column *columns, size_t count, struct tree *const *rows,
           size_t row_count, enum cli_format format)
{
    const char *headers[COLUMNS_MAX];
    const struct list_column *shown[COLUMNS_MAX];
    const char *cells[COLUMNS_MAX];
    bool wide = format == CLI_WIDE;
    struct cli_table t;
    struct gs_buf out;
    size_t n = 0;

    GS_ASSERT(count <= COLUMNS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (columns[i].wide && !wide)
            continue;
        headers[n] = columns[i].header;
        shown[n++] = &columns[i];
    }
    cli_table_init(&t, headers, n);
    for (size_t r = 0; r < row_count; r++) {
        for (size_t i = 0; i < n; i++)
            cells[i] = cell(&t.arena, shown[i], rows[r], wide);
        cli_table_row(&t, cells);
    }
    gs_buf_init(&out, OUTPUT_BYTES_MAX);
    cli_table_render(&t, cli_colour(stdout), &out);
    cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
    cli_table_fini(&t);
}

/* ---- verbs ---- */

struct listing {
    const struct list_verb *verb;
    enum cli_format format;
    const char *ns, *socket;
    const char *service; /* NULL: all */
    struct ask ask;
    const struct tree *list;
};

static int
fetch(struct listing *l, const char *what, const char *ns, const char *service,
      const struct tree **list)
{
    struct gs_buf path;
    int code;

    ask_path(&path, what);
    ask_param(&path, "namespace", ns);
    ask_param(&path, "service", service);
    code = ask_list(&l->ask, &path, what, list);
    gs_buf_fini(&path);
    return code;
}

/* "web.prod" may be a service of that name, or web of namespace prod: the dotted name wins. */
static int
fetch_service(struct listing *l)
{
    const char *dot = l->service ? strchr(l->service, '.') : NULL;
    int code = fetch(l, l->verb->name, l->ns, l->service, &l->list);

    if (code != CLI_GO_ON || !l->list || l->list->count > 0 || !dot || l->ns)
        return code;
    l->ns = dot + 1;
    l->service = gs_arena_strdup(&l->ask.arena, gs_slice(l->service, (size_t)(dot - l->service)));
    return fetch(l, l->verb->name, l->ns, l->service, &l->list);
}

/* CLI_GO_ON if there is such a service; else what might have been meant, told. */
static int
check_service(struct listing *l)
{
    const struct tree *services;
    const char *names[NAMES_MAX];
    const char *near;
    size_t count = 0;
    int code = fetch(l, "services", l->ns, NULL, &services);

    if (code != CLI_GO_ON)
        return code;
    for (size_t i = 0; services && i < services->count && count < NAMES_MAX; i++) {
        const char *name = ask_text(services->items[i], "service");

        if (name && strcmp(name, l->service) == 0)
            return CLI_GO_ON;
        if (name)
            names[count++] = name;
    }
    near = gs_did_you_mean(l->service, strlen(l->service), names, count);
    if (near)
        near = gs_arena_printf(&l->ask.arena, "did you mean %s?", near);
    return cli_fail(CLI_REFUSED, near ? near : "gossamer services lists them",
                    "%s: there is no service %s%s%s", l->verb->name, l->service,
                    l->ns ? " in namespace " : "", l->ns ? l->ns : "");
}

static int
show(struct listing *l)
{
    const struct list_verb *v = l->verb;
    bool table = l->format == CLI_TABLE || l->format == CLI_WIDE;
    int code = fetch_service(l);

    if (code == CLI_GO_ON && l->service && l->list && l->list->count == 0) {
        struct gs_slice body = l->ask.body;

        code = check_service(l);
        l->ask.body = body;
    }
    if (code != CLI_GO_ON)
        return code;
    if (!table)
        cli_print_json(l->format, l->ask.body);
    else if (!l->list)
        return ask_too_large(&l->ask);
    else if (l->list->count == 0)
        (void)fprintf(stderr, "%s\n", v->empty);
    else
        list_print(v->columns, v->column_count, l->list->items, l->list->count, l->format);
    if (table && l->list && v->after)
        v->after(l->list);
    return CLI_GOOD;
}

int
list_verb(const struct list_verb *v, int argc, char **argv)
{
    struct listing l = { .verb = v };
    const struct cli_option table[] = {
        CLI_SOCKET_OPTION(l.socket),
        CLI_FORMAT_OPTION(l.format),
        { 'n', "namespace", CLI_TEXT, &l.ns, "NS", "of this namespace only", { 0 } },
    };
    size_t options = GS_COUNT(table) - (v->operands[0] ? 0 : 1); /* what has no service has none */
    const struct cli_command cmd = {
        .name = v->name,
        .operands = v->operands,
        .help = v->help,
        .options = table,
        .option_count = options,
        .operands_max = v->operands[0] ? 1 : 0,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    l.service = operands > 0 ? argv[1] : NULL;
    ask_init(&l.ask, l.socket);
    code = show(&l);
    ask_fini(&l.ask);
    return code;
}

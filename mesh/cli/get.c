/* get.c - `gossamer get`: policy objects as a table, or as manifests that apply takes back. */
#include "mesh/cli/list.h"

static const struct list_column columns[] = {
    { "KIND", "kind", LIST_TEXT, false },
    { "NAMESPACE", "namespace", LIST_TEXT, false },
    { "NAME", "name", LIST_TEXT, false },
    { "STATE", "state", LIST_TEXT, false },
    { "VERSION", "version", LIST_VERSION, false },
    { "AGE", "created_ms", LIST_AGE_MS, false },
    { "HOSTS", "hosts", LIST_ITEMS, false },
    { "SAYS", "says", LIST_TEXT, false },
    { "ACTIVE", "active_version", LIST_VERSION, true },
    { "WHY", "why", LIST_TEXT, true },
};

static const struct list_column history_columns[] = {
    { "VERSION", "version", LIST_TEXT, false }, /* whole: it is typed after rollback --to */
    { "STATE", "state", LIST_TEXT, false },     { "WRITTEN", "written_ms", LIST_AGE_MS, false },
    { "BY", "writer", LIST_TEXT, false },       { "CONFLICT", "conflict", LIST_TEXT, false },
};

struct get {
    const char *ns, *socket;
    const char *version; /* that one; NULL: the present */
    bool all, history;
    enum cli_format format;
    const char *kind, *name; /* NULL: any */
    struct ask ask;
};

static const char *
namespace_of(const struct get *g)
{
    return g->all ? NULL : g->ns ? g->ns : "-"; /* "-": that of the node */
}

static void
list_path(const struct get *g, bool manifests, struct gs_buf *path)
{
    ask_path(path, "objects");
    ask_param(path, "kind", g->kind);
    ask_param(path, "namespace", namespace_of(g));
    ask_param(path, "manifests", manifests ? "true" : NULL);
}

static void
one_path(const struct get *g, struct gs_buf *path)
{
    ask_path(path, "objects");
    ask_segment(path, g->kind);
    ask_segment(path, g->ns ? g->ns : "-");
    ask_segment(path, g->name);
}

static int
get_manifests(struct get *g)
{
    struct gs_buf path;
    int code;

    if (g->name) {
        one_path(g, &path);
        ask_param(&path, "version", g->version);
        ask_param(&path, "history", g->history ? "true" : NULL);
    } else {
        list_path(g, true, &path);
    }
    code = ask_node(&g->ask, "GET", &path, GS_SLICE_NONE, ASK_MS);
    gs_buf_fini(&path);
    if (code != CLI_GO_ON)
        return code;
    if (g->ask.status != 200)
        return ask_refused(&g->ask, g->format);
    cli_print_json(g->format, g->ask.body);
    return CLI_GOOD;
}

/* The rows of that name, or all. */
static size_t
choose(struct get *g, const struct tree *list, struct tree ***rows)
{
    size_t count = 0;

    *rows = gs_arena_alloc(&g->ask.arena, (list->count + 1) * sizeof(struct tree *));
    for (size_t i = 0; i < list->count; i++) {
        const char *name = ask_text(list->items[i], "name");

        if (!g->name || (name && strcmp(name, g->name) == 0))
            (*rows)[count++] = list->items[i];
    }
    return count;
}

/* One object is asked for by its path first: a 404 says what may have been meant. */
static int
find_one(struct get *g)
{
    struct gs_buf path;
    int code;

    one_path(g, &path);
    code = ask_node(&g->ask, "GET", &path, GS_SLICE_NONE, ASK_MS);
    gs_buf_fini(&path);
    if (code == CLI_GO_ON && g->ask.status != 200)
        code = ask_refused(&g->ask, g->format);
    return code;
}

static int
read_history(struct get *g, const struct tree **list)
{
    struct gs_buf path;
    int code;

    one_path(g, &path);
    ask_param(&path, "history", "true");
    code = ask_list(&g->ask, &path, "history", list);
    gs_buf_fini(&path);
    return code == CLI_GO_ON && !*list ? ask_too_large(&g->ask) : code;
}

/* Behind the table of one object: did somebody lose an edit of it? */
static int
tell_conflicts(struct get *g)
{
    const struct tree *list = NULL;
    size_t count = 0;
    int code = read_history(g, &list);

    if (code != CLI_GO_ON)
        return code;
    for (size_t i = 0; i < list->count; i++) {
        const char *flag = ask_text(list->items[i], "conflict");

        count += flag && strcmp(flag, "true") == 0;
    }
    if (count > 0)
        (void)fprintf(stderr,
                      "%zu of its versions lost against another that was written at the same time: "
                      "see --history; apply what is right, or gossamer rollback --to VERSION\n",
                      count);
    return CLI_GOOD;
}

static int
get_history(struct get *g)
{
    const struct tree *list = NULL;
    int code = read_history(g, &list);

    if (code != CLI_GO_ON)
        return code;
    list_print(history_columns, GS_COUNT(history_columns), list->items, list->count, g->format);
    return CLI_GOOD;
}

static int
get_table(struct get *g)
{
    const struct tree *list;
    struct tree **rows;
    struct gs_buf path;
    size_t count;
    int code = g->name ? find_one(g) : CLI_GO_ON;

    if (code != CLI_GO_ON)
        return code;
    list_path(g, false, &path);
    code = ask_list(&g->ask, &path, "objects", &list);
    gs_buf_fini(&path);
    if (code != CLI_GO_ON)
        return code;
    if (!list)
        return ask_too_large(&g->ask);
    count = choose(g, list, &rows);
    if (count > 0)
        list_print(columns, GS_COUNT(columns), rows, count, g->format);
    else
        (void)fprintf(stderr, "%s\n",
                      g->all ? "there are no objects: gossamer apply -f FILE makes some"
                             : "there are no objects in this namespace; gossamer get -A shows "
                               "those of all");
    if (g->name && count > 0)
        return tell_conflicts(g);
    return CLI_GOOD;
}

static int
check_usage(const struct get *g)
{
    if (g->all && g->ns)
        return cli_fail(CLI_USAGE, NULL, "get: -A means all namespaces, -n one: not both");
    if (g->all && g->name)
        return cli_fail(CLI_USAGE, "name its namespace with -n",
                        "get: one object is of one namespace, not of all");
    if ((g->history || g->version) && !g->name)
        return cli_fail(CLI_USAGE, "gossamer get KIND NAME --history",
                        "get: versions are of one object");
    if (g->version && g->format != CLI_JSON && g->format != CLI_YAML)
        return cli_fail(CLI_USAGE, "add -o yaml", "get: a former version is shown as a manifest");
    return CLI_GO_ON;
}

int
cmd_get(int argc, char **argv)
{
    struct get g = { .format = CLI_TABLE };
    const struct cli_option table[] = {
        { 'n',
          "namespace",
          CLI_TEXT,
          &g.ns,
          "NS",
          "of this namespace (default: that of the node)",
          { 0 } },
        { 'A', "all-namespaces", CLI_SWITCH, &g.all, NULL, "of all namespaces", { 0 } },
        { 0, "history", CLI_SWITCH, &g.history, NULL, "its versions, present one first", { 0 } },
        { 0, "version", CLI_TEXT, &g.version, "V", "as it was in this version (-o yaml)", { 0 } },
        CLI_SOCKET_OPTION(g.socket),
        CLI_FORMAT_OPTION(g.format),
    };
    const struct cli_command cmd = {
        .name = "get",
        .operands = "[KIND [NAME]]",
        .help = "Show policy objects and whether they are in effect. As yaml or json they are\n"
                "manifests: apply takes them back. Kinds: VirtualService (vs), DestinationRule\n"
                "(dr), Maintenance (mt), Note.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_max = 2,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    g.kind = operands > 0 ? argv[1] : NULL;
    g.name = operands > 1 ? argv[2] : NULL;
    code = check_usage(&g);
    if (code != CLI_GO_ON)
        return code;
    ask_init(&g.ask, g.socket);
    code = g.format == CLI_JSON || g.format == CLI_YAML ? get_manifests(&g)
           : g.history                                  ? get_history(&g)
                                                        : get_table(&g);
    ask_fini(&g.ask);
    return code;
}

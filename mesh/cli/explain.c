/* explain.c - `gossamer explain`: which way a request would go, and why not another. */
#include "mesh/cli/ask.h"

#define OUTPUT_BYTES_MAX (4u << 20)

static void
steps_text(const struct tree *list, struct gs_buf *out)
{
    for (size_t i = 0; list && i < list->count; i++) {
        const char *step = ask_text(list->items[i], "step");
        const char *text = ask_text(list->items[i], "text");

        (void)gs_buf_printf(out, "%-8s %s\n", step ? step : "", text ? text : "");
    }
}

static void
endpoints_text(const struct tree *backend, struct gs_buf *out)
{
    const struct tree *list = tree_find(backend, "endpoints");
    const char *panic = ask_text(backend, "panic");

    for (size_t i = 0; list && i < list->count; i++) {
        const char *address = ask_text(list->items[i], "address");
        const char *node = ask_text(list->items[i], "node");
        const char *state = ask_text(list->items[i], "state");
        const char *percent = ask_text(list->items[i], "percent");

        (void)gs_buf_printf(out, "           %s  node %s  %s", address ? address : "?",
                            node ? node : "?", state ? state : "?");
        if (percent) /* told where weights differ */
            (void)gs_buf_printf(out, "  weight %.0f: %.1f %%", ask_number(list->items[i], "weight"),
                                ask_number(list->items[i], "percent"));
        (void)gs_buf_put_str(out, "\n");
    }
    if (panic && strcmp(panic, "true") == 0)
        (void)gs_buf_put_str(out, "           none is healthy: the unhealthy ones are used\n");
}

static void
unused_text(const struct tree *backend, struct gs_buf *out)
{
    const struct tree *list = tree_find(backend, "unused");

    for (size_t i = 0; list && i < list->count; i++) {
        const char *address = ask_text(list->items[i], "address");
        const char *node = ask_text(list->items[i], "node");
        const char *state = ask_text(list->items[i], "state");
        const char *why = ask_text(list->items[i], "why");

        (void)gs_buf_printf(out, "           %s  node %s  %s, not used: %s\n",
                            address ? address : "?", node ? node : "?", state ? state : "?",
                            why ? why : "?");
    }
}

static void
backends_text(const struct tree *list, struct gs_buf *out)
{
    for (size_t i = 0; list && i < list->count; i++) {
        const struct tree *b = list->items[i];
        const char *host = ask_text(b, "host");
        const char *service = ask_text(b, "service");
        const char *ns = ask_text(b, "namespace");
        const char *subset = ask_text(b, "subset");
        const char *problem = ask_text(b, "problem");

        (void)gs_buf_printf(out, "backend  %5.1f %%  ", ask_number(b, "percent"));
        if (service)
            (void)gs_buf_printf(out, "%s.%s", service, ns ? ns : "?");
        else
            (void)gs_buf_put_str(out, host ? host : "?");
        if (subset && subset[0])
            (void)gs_buf_printf(out, " subset %s", subset);
        if (problem)
            (void)gs_buf_printf(out, ": %s", problem);
        (void)gs_buf_put_str(out, "\n");
        endpoints_text(b, out);
        unused_text(b, out);
    }
}

static void
answers_text(const struct tree *list, struct gs_buf *out)
{
    for (size_t i = 0; list && i < list->count; i++) {
        const char *status = ask_text(list->items[i], "status");
        const char *flag = ask_text(list->items[i], "flag");
        const char *why = ask_text(list->items[i], "why");

        (void)gs_buf_printf(out, "answer   %5.1f %%  ", ask_number(list->items[i], "percent"));
        if (status)
            (void)gs_buf_printf(out, "%s %s: %s\n", status, flag ? flag : "", why ? why : "");
        else
            (void)gs_buf_put_str(out, "what the service says\n");
    }
}

static void
print_text(const struct tree *root)
{
    const struct tree *route = tree_find(root, "route");
    const struct tree *rule = route ? tree_find(route, "rule") : NULL;
    const char *timeout = rule ? ask_text(rule, "timeout_ms") : NULL;
    struct gs_buf out;

    gs_buf_init(&out, OUTPUT_BYTES_MAX);
    steps_text(tree_find(root, "explain"), &out);
    if (timeout)
        (void)gs_buf_printf(&out, "timeout  %s ms\n", timeout);
    if (route)
        backends_text(tree_find(rule ? rule : route, "backends"), &out);
    answers_text(tree_find(root, "answers"), &out);
    cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
}

static int
ask_and_print(const char *socket, struct gs_buf *path, enum cli_format format)
{
    struct ask a;
    int code;

    ask_init(&a, socket);
    code = ask_node(&a, "GET", path, GS_SLICE_NONE, ASK_MS);
    if (code == CLI_GO_ON && (a.status != 200 || !a.root)) {
        code = ask_refused(&a, format);
    } else if (code == CLI_GO_ON) {
        if (format == CLI_JSON || format == CLI_YAML)
            cli_print_json(format, a.body);
        else
            print_text(a.root);
        code = CLI_GOOD;
    }
    ask_fini(&a);
    return code;
}

int
cmd_explain(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    struct cli_texts headers = { .count = 0 };
    const char *socket = NULL;
    const struct cli_option table[] = {
        { 'H', "header", CLI_TEXTS, &headers, "'NAME: VALUE'", "a header of the request", { 0 } },
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "explain",
        .operands = "METHOD URL",
        .help = "Say which way a request of an application would go: which service its host\n"
                "means, which rule matches and why earlier ones do not, to which subsets in what\n"
                "shares, and what would be answered. Nothing is sent.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_min = 2,
        .operands_max = 2,
    };
    struct gs_buf path;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    ask_path(&path, "explain");
    ask_param(&path, "method", argv[1]);
    ask_param(&path, "url", argv[2]);
    for (size_t i = 0; i < headers.count; i++)
        ask_param(&path, "header", headers.items[i]);
    code = ask_and_print(socket, &path, format);
    gs_buf_fini(&path);
    return code;
}

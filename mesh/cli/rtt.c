/* rtt.c - `gossamer rtt`: round trips that the node measures by its probes. */
#include "mesh/cli/list.h"

static const struct list_column columns[] = {
    { "NODE", "node", LIST_TEXT, false },   { "ADDRESS", "address", LIST_TEXT, false },
    { "STATE", "state", LIST_TEXT, false }, { "RTT", "rtt_ms", LIST_MS, false },
    { "ZONE", "zone", LIST_TEXT, false },
};

static int
show(struct ask *ask, const char *node, enum cli_format format)
{
    const struct tree *list;
    struct gs_buf path;
    int code;

    ask_path(&path, "rtt");
    ask_param(&path, "node", node);
    code = ask_list(ask, &path, "rtt", &list);
    gs_buf_fini(&path);
    if (code != CLI_GO_ON)
        return code;
    if (format == CLI_JSON || format == CLI_YAML)
        cli_print_json(format, ask->body);
    else if (!list)
        return ask_too_large(ask);
    else if (list->count == 0)
        (void)fprintf(stderr, "no other node is there\n");
    else
        list_print(columns, GS_COUNT(columns), list->items, list->count, format);
    return CLI_GOOD;
}

int
cmd_rtt(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    const char *socket = NULL;
    const struct cli_option table[] = {
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "rtt",
        .operands = "[NODE]",
        .help =
            "Show the round trips from this node to the others, smoothed over its probes. Each\n"
            "is probed once in a while, so in a large mesh some may not be measured yet (-).",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_max = 1,
    };
    struct ask ask;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    ask_init(&ask, socket);
    code = show(&ask, operands > 0 ? argv[1] : NULL, format);
    ask_fini(&ask);
    return code;
}

/* debug.c - `gossamer debug`: a node as those see it who test it. */
#include "mesh/cli/list.h"

static const struct list_column columns[] = {
    { "NODE", "node", LIST_TEXT, false },
    { "WHAT", "what", LIST_TEXT, false },
    { "SINCE", "since", LIST_AGE, false },
    { "ID", "id", LIST_TEXT, true },
};

/* The answer of each of the three: what is blocked now. */
static int
tell_blocks(const struct ask *a, enum cli_format format)
{
    const struct tree *list = a->root ? tree_find(a->root, "blocks") : NULL;

    if (a->status != 200)
        return ask_refused(a, format);
    if (format == CLI_JSON || format == CLI_YAML)
        cli_print_json(format, a->body);
    else if (!list || list->kind != TREE_SEQ)
        return ask_too_large(a);
    else if (list->count == 0)
        (void)fprintf(stderr, "no node is blocked\n");
    else
        list_print(columns, GS_COUNT(columns), list->items, list->count, format);
    return CLI_GOOD;
}

static int
blocks(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    const char *socket = NULL;
    const struct cli_option table[] = {
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "debug blocks",
        .operands = "",
        .help = "List the nodes that this one is cut off from by `gossamer debug block`.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    struct ask ask;
    struct gs_buf path;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    ask_init(&ask, socket);
    ask_path(&path, "debug/blocks");
    code = ask_node(&ask, "GET", &path, GS_SLICE_NONE, ASK_MS);
    gs_buf_fini(&path);
    if (code == CLI_GO_ON)
        code = tell_blocks(&ask, format);
    ask_fini(&ask);
    return code;
}

struct change { /* of what is blocked */
    const char *verb, *socket;
    const char *with; /* a parameter for each; NULL: none */
    enum cli_format format;
};

/* One after the other; the last answer tells them all. */
static int
change(const struct change *ch, char **nodes, int count)
{
    struct ask ask;
    int code = CLI_GO_ON;

    ask_init(&ask, ch->socket);
    for (int i = 0; i < (count > 0 ? count : 1) && code == CLI_GO_ON; i++) {
        struct gs_buf path;

        ask_path(&path, ch->verb);
        ask_param(&path, "node", count > 0 ? nodes[i] : NULL);
        if (ch->with)
            ask_param(&path, ch->with, "true");
        code = ask_node(&ask, "POST", &path, GS_SLICE_NONE, ASK_MS);
        gs_buf_fini(&path);
        if (code == CLI_GO_ON && (ask.status != 200 || i + 1 >= count))
            code = tell_blocks(&ask, ch->format);
    }
    ask_fini(&ask);
    return code;
}

static int
block(int argc, char **argv)
{
    struct change ch = { .verb = "debug/block", .format = CLI_TABLE };
    bool udp_only = false;
    const struct cli_option table[] = {
        { 0, "udp-only", CLI_SWITCH, &udp_only, NULL, "only its gossip datagrams", { 0 } },
        CLI_SOCKET_OPTION(ch.socket),
        CLI_FORMAT_OPTION(ch.format),
    };
    const struct cli_command cmd = {
        .name = "debug block",
        .operands = "NODE...",
        .help =
            "Drop everything between this node and others: gossip, and the connections that\n"
            "requests take. Blocked at both ends, two nodes are partitioned. Only a node that\n"
            "was started with `gossamer run --allow-faults` can be told so; it forgets it when\n"
            "it stops.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_min = 1,
        .operands_max = CLI_TEXTS_MAX,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    ch.with = udp_only ? "udp_only" : NULL;
    return change(&ch, argv + 1, operands);
}

static int
unblock(int argc, char **argv)
{
    struct change ch = { .verb = "debug/unblock", .format = CLI_TABLE };
    bool all = false;
    const struct cli_option table[] = {
        { 0, "all", CLI_SWITCH, &all, NULL, "every node that is blocked", { 0 } },
        CLI_SOCKET_OPTION(ch.socket),
        CLI_FORMAT_OPTION(ch.format),
    };
    const struct cli_command cmd = {
        .name = "debug unblock",
        .operands = "NODE...|--all",
        .help = "Let through again what `gossamer debug block` drops.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_max = CLI_TEXTS_MAX,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    if (all == (operands > 0))
        return cli_fail(CLI_USAGE, "gossamer debug unblock NODE, or --all",
                        all ? "debug unblock: --all leaves no node to be named"
                            : "debug unblock: its operand is missing");
    ch.with = all ? "all" : NULL;
    return change(&ch, argv + 1, operands);
}

/* ---- the log ---- */

static int
tell_log(const struct ask *a, enum cli_format format)
{
    const struct tree *list = a->root ? tree_find(a->root, "log") : NULL;
    const struct tree *row =
        list && list->kind == TREE_SEQ && list->count > 0 ? list->items[0] : NULL;
    const char *level = row ? ask_text(row, "level") : NULL;
    const char *configured = row ? ask_text(row, "configured") : NULL;
    double left_s = row ? ask_number(row, "left_s") : 0;

    if (a->status != 200)
        return ask_refused(a, format);
    if (format == CLI_JSON || format == CLI_YAML || !level || !configured)
        cli_print_json(format == CLI_YAML ? CLI_YAML : CLI_JSON, a->body);
    else if (strcmp(level, configured) == 0)
        (void)printf("the log level is %s, as it is configured\n", level);
    else if (left_s > 0)
        (void)printf("the log level is %s for %.0f s more, then %s\n", level, left_s + 0.5,
                     configured);
    else
        (void)printf("the log level is %s; %s is configured\n", level, configured);
    return CLI_GOOD;
}

static int
set_log(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    const char *socket = NULL, *time = NULL;
    bool reset = false;
    const struct cli_option table[] = {
        { 0, "for", CLI_TEXT, &time, "TIME", "and then as it is configured again", { 0 } },
        { 0, "reset", CLI_SWITCH, &reset, NULL, "as it is configured", { 0 } },
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "debug log",
        .operands = "[error|warn|info|debug]",
        .help = "Show what the node's log tells, or change it while the node runs: until it is\n"
                "changed again or the node is restarted, or with --for 10m until that time is up.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_max = 1,
    };
    struct ask ask;
    struct gs_buf path;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    if ((reset && (operands > 0 || time)) || (time && operands == 0))
        return cli_fail(CLI_USAGE, "gossamer debug log debug --for 10m, or --reset",
                        "debug log: %s",
                        reset ? "--reset leaves nothing to be said" : "which level?");
    ask_init(&ask, socket);
    ask_path(&path, "debug/log");
    ask_param(&path, "level", operands > 0 ? argv[1] : NULL);
    ask_param(&path, "for", time);
    ask_param(&path, "reset", reset ? "true" : NULL);
    code = ask_node(&ask, operands > 0 || reset ? "POST" : "GET", &path, GS_SLICE_NONE, ASK_MS);
    gs_buf_fini(&path);
    if (code == CLI_GO_ON)
        code = tell_log(&ask, format);
    ask_fini(&ask);
    return code;
}

int
cmd_debug(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "block", block, "drop everything between this node and others" },
        { "unblock", unblock, "let it through again" },
        { "blocks", blocks, "list the nodes that are blocked" },
        { "log", set_log, "what the node's log tells, while it runs" },
    };

    return cli_dispatch("gossamer debug", verbs, GS_COUNT(verbs), argc, argv, NULL);
}

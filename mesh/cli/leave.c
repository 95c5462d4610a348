/* leave.c - `gossamer leave`. */
#include "mesh/cli/ask.h"

/* Requests under way end first: timeouts.drain is an hour at the most (schema.def). */
#define LEAVE_MS (3600 * 1000 + ASK_MS)

int
cmd_leave(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    const char *socket = NULL;
    const struct cli_option table[] = {
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "leave",
        .operands = "",
        .help =
            "Let the node finish running requests (timeouts.drain), say goodbye to the mesh and\n"
            "stop. The others send it nothing from the beginning on, list it as left, not as\n"
            "dead, and know its services no more. It joins again when started again. To only\n"
            "restart a node, send it SIGTERM.",
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
    ask_path(&path, "leave");
    code = ask_node(&ask, "POST", &path, GS_SLICE_NONE, LEAVE_MS);
    gs_buf_fini(&path);
    if (code == CLI_GO_ON && ask.status != 200) {
        code = ask_refused(&ask, format);
    } else if (code == CLI_GO_ON) {
        code = CLI_GOOD;
        if (format == CLI_JSON || format == CLI_YAML)
            cli_print_json(format, ask.body);
        else
            (void)printf("%s has left the mesh and stops\n",
                         ask.root ? ask_text(ask.root, "node") : "the node");
    }
    ask_fini(&ask);
    return code;
}

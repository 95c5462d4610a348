/* version.c - `gossamer version`: what this binary is. */
#include <gossamer/json_out.h>

#include "mesh/build_text.h"
#include "mesh/cli/cli.h"

int
cmd_version(int argc, char **argv)
{
    static const char *const headers[] = { "PART", "VERSION" };
    enum cli_format format = CLI_TABLE;
    const struct cli_option table[] = { CLI_FORMAT_OPTION(format) };
    const struct cli_command cmd = {
        .name = "version",
        .operands = "",
        .help = "Print the version of gossamer, the commit it was built from, and its parser.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    const char *const rows[][2] = {
        { "gossamer", build_version() },
        { "commit", build_commit() },
        { "llhttp", build_llhttp() },
    };
    struct cli_table t;
    struct json_out j;
    struct gs_buf out;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    gs_buf_init(&out, 4096);
    if (format == CLI_JSON || format == CLI_YAML) {
        json_init(&j, &out);
        build_json(&j);
        cli_print_json(format, gs_buf_slice(&out));
    } else {
        cli_table_init(&t, headers, GS_COUNT(headers));
        for (size_t i = 0; i < GS_COUNT(rows); i++)
            cli_table_row(&t, rows[i]);
        cli_table_render(&t, cli_colour(stdout), &out);
        cli_table_fini(&t);
        cli_print(gs_buf_slice(&out));
    }
    gs_buf_fini(&out);
    return CLI_GOOD;
}

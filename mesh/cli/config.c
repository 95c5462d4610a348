/* config.c - `gossamer config`: what is in effect, where it came from, and what could be. */
#include "mesh/cli/cli.h"

#define OUTPUT_BYTES_MAX (16u << 20)

static int
show(int argc, char **argv)
{
    struct cli_config options = { 0 };
    enum cli_format format = CLI_YAML;
    bool origin = false;
    const struct cli_option table[] = {
        CLI_CONFIG_OPTIONS(options),
        { 0, "origin", CLI_SWITCH, &origin, NULL, "where each value came from, as a table", { 0 } },
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "config show",
        .operands = "",
        .help = "Print the configuration in effect: defaults, file, environment and flags\n"
                "together. As YAML it is a configuration file; as table or JSON every value has\n"
                "its origin.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    struct config *c;
    struct gs_buf out;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code == CLI_GO_ON)
        code = cli_config_need(&options, &c);
    if (code != CLI_GO_ON)
        return code;
    gs_buf_init(&out, OUTPUT_BYTES_MAX);
    config_show(c,
                format == CLI_JSON              ? CONFIG_SHOW_JSON
                : format == CLI_YAML && !origin ? CONFIG_SHOW_YAML
                                                : CONFIG_SHOW_ORIGIN,
                &out);
    cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
    config_free(c);
    return CLI_GOOD;
}

static void
keys_help(struct gs_buf *out)
{
    (void)gs_buf_put_str(out, "Keys of the configuration file. Those with a variable can be set in "
                              "the environment\nand by --set KEY=VALUE as well; flags override the "
                              "environment, that the file.\n\n");
    config_help(out);
}

int
cmd_config(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "show", show, "print the configuration in effect" },
    };

    return cli_dispatch("gossamer config", verbs, GS_COUNT(verbs), argc, argv, keys_help);
}

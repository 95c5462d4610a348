/* keys.c - `gossamer keys`: keys for gossip.key_file. */
#include <gossamer/rng.h>

#include "mesh/cli/cli.h"

static int
generate(int argc, char **argv)
{
    const struct cli_command cmd = {
        .name = "keys generate",
        .operands = "",
        .help = "Print a new gossip key: a line for gossip.key_file. Every node of a mesh needs\n"
                "the same keys; the first line is used to send, all are accepted.",
    };
    uint8_t key[CONFIG_KEY_BYTES];
    char text[CONFIG_KEY_TEXT];
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    gs_random_bytes(key, sizeof(key));
    config_key_text(key, text);
    cli_print(gs_slice_str(text));
    cli_print(GS_SLICE("\n"));
    explicit_bzero(key, sizeof(key));
    explicit_bzero(text, sizeof(text));
    return CLI_GOOD;
}

int
cmd_keys(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        { "generate", generate, "print a new gossip key" },
    };

    return cli_dispatch("gossamer keys", verbs, GS_COUNT(verbs), argc, argv, NULL);
}

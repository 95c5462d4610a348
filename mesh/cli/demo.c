/* demo.c - `gossamer demo`: what to show and how; mesh/demo/ does it. */
#include <stdlib.h>
#include <unistd.h>

#include "mesh/cli/cli.h"
#include "mesh/demo/serve.h"
#include "mesh/demo/tour.h"

/* GOSSAMER_DEMO_BREAK=v2 makes a promise that cannot be held, so that a test can see exit 1. */
static int
read_break(struct tour_options *o)
{
    const char *what = getenv("GOSSAMER_DEMO_BREAK");

    o->v2_broken = what && strcmp(what, "v2") == 0;
    if (!what || !what[0] || o->v2_broken)
        return CLI_GO_ON;
    return cli_fail(CLI_USAGE, "GOSSAMER_DEMO_BREAK=v2 makes version v2 answer 500",
                    "demo: GOSSAMER_DEMO_BREAK is \"%s\", and only v2 can be broken", what);
}

/* Somebody sits there: not a pipe, and not in the background, where keys cannot be read. */
static bool
is_watched(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

int
cmd_demo(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    struct tour_options o = { .nodes = SCRIPT_NODES };
    bool automatic = false, json = false;
    uint32_t nodes = SCRIPT_NODES, seed = (uint32_t)gs_rng_seed_from_system();
    const struct value_type node_count = { .kind = VALUE_UINT,
                                           .min = SCRIPT_NODES_MIN,
                                           .max = SCRIPT_NODES_MAX };
    const struct value_type any_seed = { .kind = VALUE_UINT, .max = UINT32_MAX };
    const struct cli_option table[] = {
        { 0, "auto", CLI_SWITCH, &automatic, NULL, "do not wait for Enter", { 0 } },
        { 0, "nodes", CLI_VALUE, &nodes, "N", "so many nodes, 3 to 9 (5)", node_count },
        { 0,
          "keep",
          CLI_SWITCH,
          &o.keep,
          NULL,
          "leave the mesh up afterwards, until Ctrl-C",
          { 0 } },
        { 0, "seed", CLI_VALUE, &seed, "N", "which nodes x kills, the same again", any_seed },
        { 0, "json", CLI_SWITCH, &json, NULL, "the same as --auto -o json", { 0 } },
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "demo",
        .operands = "",
        .help = "Show a mesh on this machine: five nodes, services that call each other, clients;\n"
                "then a canary, an instance that fails, a node that is killed, a partition. Needs\n"
                "no configuration and no root, and takes away what it made. Exits 0 only if each\n"
                "step did what it promised.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    int operands;
    int code;

    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return serve_cmd(argc - 1, argv + 1);
    code = cli_parse(&cmd, argc, argv, &operands);
    if (code == CLI_GO_ON)
        code = read_break(&o);
    if (code != CLI_GO_ON)
        return code;
    o.nodes = nodes;
    o.seed = seed;
    o.yaml = format == CLI_YAML;
    o.silent = json || o.yaml || format == CLI_JSON;
    o.by_hand = !automatic && !o.silent && is_watched();
    return tour_run(&o);
}

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

int
cmd_demo(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    struct tour_options o = { .by_hand = false };
    bool automatic = false, json = false;
    const struct cli_option table[] = {
        { 0, "auto", CLI_SWITCH, &automatic, NULL, "do not wait for Enter", { 0 } },
        { 0,
          "keep",
          CLI_SWITCH,
          &o.keep,
          NULL,
          "leave the mesh up afterwards, until Ctrl-C",
          { 0 } },
        { 0, "json", CLI_SWITCH, &json, NULL, "the same as --auto -o json", { 0 } },
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "demo",
        .operands = "",
        .help = "Show a canary: start a node and two versions of a service on this machine, shift\n"
                "requests from one to the other by ordinary manifests, count who answers. Needs\n"
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
    o.yaml = format == CLI_YAML;
    o.silent = json || o.yaml || format == CLI_JSON;
    o.by_hand = !automatic && !o.silent && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    return tour_run(&o);
}

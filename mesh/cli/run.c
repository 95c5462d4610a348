/* run.c - `gossamer run`: load the configuration, decide on threads, run the node. */
#include <inttypes.h>
#include <sched.h>

#include <gossamer/buf.h>
#include <gossamer/limits.h>
#include <gossamer/log.h>

#include "mesh/cli/cli.h"
#include "mesh/config/config.h"
#include "mesh/node_run.h"

#define WORKERS_AUTO_MAX 4 /* more helps only busy nodes, who can say so */

/* Processors that a cgroup's quota pays for, rounded up; 0: no quota. */
static unsigned
cgroup_processors(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    uint64_t quota = 0, period = 0;
    unsigned n = 0;

    if (f) {
        if (fscanf(f, "%" SCNu64 " %" SCNu64, &quota, &period) == 2 && period > 0)
            n = (unsigned)((quota + period - 1) / period);
        fclose(f);
        return n;
    }
    f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re"); /* version 1 */
    if (!f)
        return 0;
    if (fscanf(f, "%" SCNu64, &quota) == 1 && quota > 0 && quota < INT64_MAX) {
        FILE *g = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");

        if (g && fscanf(g, "%" SCNu64, &period) == 1 && period > 0)
            n = (unsigned)((quota + period - 1) / period);
        if (g)
            fclose(g);
    }
    fclose(f);
    return n;
}

static uint32_t
workers_auto(void)
{
    cpu_set_t set;
    unsigned n = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    unsigned quota = cgroup_processors();

    if (quota > 0 && quota < n)
        n = quota;
    if (n > WORKERS_AUTO_MAX)
        n = WORKERS_AUTO_MAX;
    return n > 0 ? n : 1;
}

int
cmd_run(int argc, char **argv)
{
    struct cli_config options = { 0 };
    struct node_run_options o = { 0 };
    uint32_t threads = 0;
    const struct cli_option table[] = {
        CLI_CONFIG_OPTIONS(options),
        { 0,
          "threads",
          CLI_VALUE,
          &threads,
          "N",
          "1: run everything on one thread (default: as proxy.workers says)",
          { .kind = VALUE_UINT, .min = 1, .max = 1 } },
        { 0,
          "allow-faults",
          CLI_SWITCH,
          &o.faults,
          NULL,
          "let gossamer debug block cut it off from other nodes; for tests",
          { 0 } },
    };
    const struct cli_command cmd = {
        .name = "run",
        .operands = "",
        .help = "Run a node in the foreground until SIGTERM or Ctrl-C: the other nodes send it\n"
                "nothing more, running requests finish (timeouts.drain), then it ends. A second\n"
                "one cuts what still runs, a third ends it at once. SIGHUP reads the\n"
                "configuration again.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    struct gs_problems ignored;
    struct config_opts source;
    struct gs_arena arena;
    struct gs_why why = { "" };
    struct config *c;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code == CLI_GO_ON)
        code = cli_config_need(&options, &c);
    if (code != CLI_GO_ON)
        return code;
    gs_arena_init(&arena, NULL, 0, 1024);
    gs_problems_init(&ignored); /* cli_config_need() has told all of them */
    (void)cli_config_opts(&options, &arena, &source, &ignored);
    gs_problems_fini(&ignored);
    o.source = &source;
    o.one_thread = threads == 1;
    o.workers = o.one_thread ? 1 : c->proxy.workers > 0 ? c->proxy.workers : workers_auto();
    gs_log_setup(c->log.level, c->log.format);
    code = CLI_GOOD;
    if (node_run(c, &o, &why) != GS_E_OK)
        code = cli_fail(CLI_REFUSED, NULL, "cannot start node %s: %s", c->node, why.text);
    config_free(c);
    gs_arena_fini(&arena);
    return code;
}

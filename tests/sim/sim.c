/* sim.c - one run, or several seeds of it, for people: ./run sim --scenario chaos --seed 7 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gossamer/slice.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

static const char usage_text[] =
    "usage: ./run sim [--scenario NAME] [--seed S] [--nodes N] [--seconds T]\n"
    "                 [--seeds COUNT] [--without FAULT,FAULT] [--trace] [--packets]\n"
    "                 [--keep-going] [--list]\n"
    "\n"
    "  A run depends on its options alone: the same line gives the same hash, on any machine.\n"
    "  --seeds       so many runs, from --seed upwards; with each that fails, its line\n"
    "  --without     leaves faults of these kinds out; all others strike as they did\n"
    "  --trace       time, node, event, about whom, what it believes, two numbers (boot and\n"
    "                incarnation of a node, generation and clock of a record)\n"
    "  --packets     the same, with every datagram and frame as it is received\n"
    "  --list        scenarios and kinds of faults\n";

struct request {
    struct world_options options;
    uint64_t seeds;
};

static void
list(void)
{
    (void)printf("scenarios:\n");
    for (uint32_t i = 0; i < scenario_count; i++)
        (void)printf("  %-10s %s (%" PRIu32 " nodes, %" PRIu32 " s)\n", scenarios[i].name,
                     scenarios[i].about, scenarios[i].hosts, scenarios[i].seconds);
    (void)printf("faults:\n ");
    for (unsigned f = 0; f < FAULTS; f++)
        (void)printf(" %s", fault_name((enum fault)f));
    (void)printf("\n");
}

static void
usage_error(const char *what, const char *value)
{
    (void)fprintf(stderr, "sim: %s '%s'\n%s", what, value, usage_text);
    exit(2);
}

static uint64_t
number(const char *option, const char *text, uint64_t max)
{
    uint64_t n;

    if (!gs_slice_to_u64(gs_slice_str(text), &n) || n > max)
        usage_error(option, text);
    return n;
}

static uint32_t
masks(const char *text)
{
    struct gs_slice rest = gs_slice_str(text);
    struct gs_slice part;
    uint32_t masked = 0;

    while (gs_slice_cut(&rest, ',', &part)) {
        char name[32];
        enum fault f;

        (void)snprintf(name, sizeof(name), "%.*s", GS_SLICE_FMT(part));
        f = fault_find(name);
        if (f == FAULTS)
            usage_error("there is no fault", name);
        masked |= 1u << f;
    }
    return masked;
}

static void
take_option(struct request *r, int option)
{
    struct world_options *o = &r->options;

    switch (option) {
    case 'c':
        o->scenario = scenario_find(optarg);
        if (!o->scenario)
            usage_error("there is no scenario", optarg);
        break;
    case 's':
        o->seed = number("--seed", optarg, UINT64_MAX);
        break;
    case 'S':
        r->seeds = number("--seeds", optarg, UINT32_MAX);
        break;
    case 'n':
        o->hosts = (uint32_t)number("--nodes", optarg, SIM_HOSTS_MAX);
        if (o->hosts < 2)
            usage_error("--nodes", optarg);
        break;
    case 't':
        o->seconds = (uint32_t)number("--seconds", optarg, UINT32_MAX);
        break;
    case 'w':
        o->masked = masks(optarg);
        break;
    case 'T':
    case 'P':
        o->trace = option == 'T' ? TRACE_EVENTS : TRACE_PACKETS;
        break;
    case 'k':
        o->keep_going = true;
        break;
    case 'l':
        list();
        exit(0);
    case 'h':
        (void)fputs(usage_text, stdout);
        exit(0);
    default:
        (void)fputs(usage_text, stderr);
        exit(2);
    }
}

static struct request
read_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "scenario", required_argument, NULL, 'c' }, { "seed", required_argument, NULL, 's' },
        { "seeds", required_argument, NULL, 'S' },    { "nodes", required_argument, NULL, 'n' },
        { "seconds", required_argument, NULL, 't' },  { "without", required_argument, NULL, 'w' },
        { "trace", no_argument, NULL, 'T' },          { "packets", no_argument, NULL, 'P' },
        { "keep-going", no_argument, NULL, 'k' },     { "list", no_argument, NULL, 'l' },
        { "help", no_argument, NULL, 'h' },           { 0 },
    };
    struct request r = {
        .options = { .scenario = scenario_find("chaos"), .seed = 1, .out = stdout }, .seeds = 1
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
        take_option(&r, option);
    if (optind < argc)
        usage_error("what is", argv[optind]);
    return r;
}

static double
seconds_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
run_one(const struct world_options *o)
{
    double start = seconds_now();
    struct world *w = scenario_run(o);
    bool failed = w->oracle.failed;

    scenario_summary(w, seconds_now() - start, stdout);
    if (o->scenario->figures)
        o->scenario->figures(w, stdout);
    (void)fflush(stdout);
    world_free(w);
    return !failed;
}

int
main(int argc, char **argv)
{
    struct request r = read_options(argc, argv);
    uint64_t failed = 0;

    for (uint64_t i = 0; i < r.seeds; i++) {
        failed += !run_one(&r.options);
        r.options.seed++;
    }
    if (r.seeds > 1)
        (void)printf("%" PRIu64 " runs, %" PRIu64 " failed\n", r.seeds, failed);
    return failed > 0;
}

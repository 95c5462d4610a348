/* stat.c - `gossamer stat`. */
#include "mesh/cli/list.h"

int
cmd_stat(int argc, char **argv)
{
    static const struct list_column columns[] = {
        { "SERVICE", "service", LIST_TEXT, false },
        { "NAMESPACE", "namespace", LIST_TEXT, false },
        { "SUBSET", "subset", LIST_TEXT, false },
        { "DIRECTION", "direction", LIST_TEXT, false },
        { "REQUESTS", "requests", LIST_TEXT, false },
        { "FAILED", "failed", LIST_TEXT, false },
        { "SUCCESS", "success_rate", LIST_PERCENT, false },
        { "RPS", "rps", LIST_RATE, false },
        { "P50", "p50_ms", LIST_MS, false },
        { "P95", "p95_ms", LIST_MS, false },
        { "P99", "p99_ms", LIST_MS, false },
        { "NODE", "node", LIST_TEXT, true },
        { "PORT", "port", LIST_TEXT, true },
        { "ACTIVE", "active", LIST_TEXT, true },
        { "RETRIES", "retries", LIST_TEXT, true },
        { "CODES", "codes", LIST_ITEMS, true },
        { "FLAGS", "flags", LIST_ITEMS, true },
    };
    static const struct list_verb verb = {
        .name = "stat",
        .operands = "[SERVICE]",
        .help = "Golden figures of each service and subset. Requests, failures and codes count\n"
                "from the start of the node; success, rate and latency are of the last seconds.",
        .columns = columns,
        .column_count = GS_COUNT(columns),
        .empty = "there were no requests yet",
    };

    return list_verb(&verb, argc, argv);
}

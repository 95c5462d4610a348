/* endpoints.c - `gossamer endpoints`. */
#include "mesh/cli/list.h"

int
cmd_endpoints(int argc, char **argv)
{
    static const struct list_column columns[] = {
        { "SERVICE", "service", LIST_TEXT, false },
        { "NAMESPACE", "namespace", LIST_TEXT, false },
        { "PORT", "port", LIST_TEXT, false },
        { "SUBSETS", "subsets", LIST_ITEMS, false },
        { "ADDRESS", "address", LIST_TEXT, false },
        { "NODE", "node", LIST_TEXT, false },
        { "STATE", "state", LIST_TEXT, false },
        { "ACTIVE", "active", LIST_TEXT, false },
        { "ZONE", "zone", LIST_TEXT, true },
        { "EWMA", "ewma_ms", LIST_MS, true },
        { "LABELS", "labels", LIST_ITEMS, true },
        { "WEIGHT", "weight", LIST_TEXT, true },
        { "DRAINED BY", "drained_by", LIST_TEXT, true },
        { "MAINTENANCE", "maintenance", LIST_ITEMS, true },
    };
    static const struct list_verb verb = {
        .name = "endpoints",
        .operands = "[SERVICE]",
        .help = "List where services are: each instance, its state, and how busy it is.",
        .columns = columns,
        .column_count = GS_COUNT(columns),
        .empty = "there are no endpoints: gossamer services says whether there are services",
    };

    return list_verb(&verb, argc, argv);
}

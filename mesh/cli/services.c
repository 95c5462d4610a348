/* services.c - `gossamer services`. */
#include "mesh/cli/list.h"

int
cmd_services(int argc, char **argv)
{
    static const struct list_column columns[] = {
        { "SERVICE", "service", LIST_TEXT, false },  { "NAMESPACE", "namespace", LIST_TEXT, false },
        { "PORT", "port", LIST_TEXT, false },        { "PROTOCOL", "protocol", LIST_TEXT, false },
        { "HEALTHY", "healthy", LIST_TEXT, false },  { "ENDPOINTS", "endpoints", LIST_TEXT, false },
        { "SUBSETS", "subsets", LIST_ITEMS, false }, { "POLICY", "policy", LIST_TEXT, false },
    };
    static const struct list_verb verb = {
        .name = "services",
        .operands = "[SERVICE]",
        .help = "List the services of the mesh: their endpoints, subsets, and what routes them.",
        .columns = columns,
        .column_count = GS_COUNT(columns),
        .empty = "there are no services: name some in the node's configuration (services:)",
    };

    return list_verb(&verb, argc, argv);
}

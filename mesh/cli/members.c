/* members.c - `gossamer members`. */
#include "mesh/cli/list.h"

int
cmd_members(int argc, char **argv)
{
    static const struct list_column columns[] = {
        { "NAME", "name", LIST_TEXT, false },
        { "ADDRESS", "address", LIST_TEXT, false },
        { "STATE", "state", LIST_TEXT, false },
        { "SINCE", "since", LIST_AGE, false },
        { "RTT", "rtt_ms", LIST_MS, false },
        { "INCARNATION", "incarnation", LIST_TEXT, false },
        { "VERSION", "version", LIST_TEXT, false },
        { "SERVICES", "services", LIST_TEXT, false },
        { "CONFIG", "config", LIST_TEXT, false },
        { "ID", "id", LIST_TEXT, true },
    };
    static const struct list_verb verb = {
        .name = "members",
        .operands = "",
        .help = "List the nodes of the mesh, and which configuration each routes by.",
        .columns = columns,
        .column_count = GS_COUNT(columns),
        .empty = "there are no members",
    };

    return list_verb(&verb, argc, argv);
}

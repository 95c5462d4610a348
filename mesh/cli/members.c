/* members.c - `gossamer members`. */
#include "mesh/cli/list.h"

/* Two nodes of one name cannot be told apart by people, though the mesh can. */
static void
warn_of_twins(const struct tree *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *name = ask_text(list->items[i], "name");
        const char *twin = ask_text(list->items[i], "twin");
        bool told = false;

        if (!name || !twin || strcmp(twin, "true") != 0)
            continue;
        for (size_t k = 0; k < i && !told; k++) {
            const char *former = ask_text(list->items[k], "name");
            const char *other = ask_text(list->items[k], "twin");

            told = former && other && strcmp(former, name) == 0 && strcmp(other, "true") == 0;
        }
        if (!told)
            (void)fprintf(stderr,
                          "warning: more than one node is called %s: give each its own name "
                          "(node:); -o wide shows their ids\n",
                          name);
    }
}

int
cmd_members(int argc, char **argv)
{
    static const struct list_column columns[] = {
        { "NAME", "name", LIST_TEXT, false },
        { "ADDRESS", "address", LIST_TEXT, false },
        { "STATE", "state", LIST_TEXT, false },
        { "SINCE", "since", LIST_AGE, false },
        { "RESTARTING", "restarting", LIST_TEXT, true },
        { "RTT", "rtt_ms", LIST_MS, false },
        { "INCARNATION", "incarnation", LIST_TEXT, true },
        { "VERSION", "version", LIST_TEXT, false },
        { "SERVICES", "services", LIST_TEXT, false },
        { "ZONE", "zone", LIST_TEXT, false },
        { "DRAINED", "drained_since", LIST_AGE, false },
        { "MAINTENANCE", "maintenance", LIST_ITEMS, true },
        { "CONFIG", "config", LIST_TEXT, true },
        { "INBOUND", "inbound", LIST_TEXT, true },
        { "ID", "id", LIST_TEXT, true },
    };
    static const struct list_verb verb = {
        .name = "members",
        .operands = "",
        .help = "List the nodes of the mesh as this node sees them. A node that stopped without a\n"
                "goodbye is dead, and is asked again now and then; one that left is not. DRAINED: "
                "how long\n"
                "an operator has wanted no new requests there (gossamer drain).",
        .columns = columns,
        .column_count = GS_COUNT(columns),
        .empty = "there are no members",
        .after = warn_of_twins,
    };

    return list_verb(&verb, argc, argv);
}

/* main.c - the verbs. A new one is a row here and a file in cli/. */
#include "mesh/cli/cli.h"

static const struct cli_verb verbs[] = {
    { "run", cmd_run, "run a node" },
    { "demo", cmd_demo, "show a mesh of five nodes on this machine, and what it survives" },
    { "check", cmd_check, "look at machine, node and mesh: what is wrong, and what to type next" },
    { "analyze", cmd_analyze, "tell what is wrong with manifests, or with what the node holds" },
    { "apply", cmd_apply, "put routes and subsets into effect" },
    { "get", cmd_get, "show routes and subsets, and whether they are in effect" },
    { "delete", cmd_delete, "take them out of effect" },
    { "split", cmd_split, "share the requests for a service between its subsets" },
    { "drain", cmd_drain, "send no new requests to a node, a service or an instance" },
    { "undrain", cmd_undrain, "send them there again" },
    { "weight", cmd_weight, "give an instance a greater or smaller share than others" },
    { "rollback", cmd_rollback, "write what a former version of an object said" },
    { "explain", cmd_explain, "say which way a request would go, and why" },
    { "services", cmd_services, "list services" },
    { "endpoints", cmd_endpoints, "list where services are, and their state" },
    { "stat", cmd_stat, "requests, failures and latency of services" },
    { "members", cmd_members, "list the nodes of the mesh" },
    { "rtt", cmd_rtt, "round trips from this node to the others" },
    { "events", cmd_events,
      "what happened in the mesh: nodes that came and went, changes of policy" },
    { "leave", cmd_leave, "let a node say goodbye to the mesh, and stop" },
    { "config", cmd_config, "show the configuration in effect; its help lists every key" },
    { "keys", cmd_keys, "make keys for gossip" },
    { "debug", cmd_debug,
      "look into a node: its log, or what becomes of a mesh that it is cut off from" },
    { "completion", cmd_completion, "print what makes a shell complete all this" },
    { "man", cmd_man, "print the manual, for man -l -" },
    { "version", cmd_version, "print what this binary is" },
};

int
main(int argc, char **argv)
{
    return cli_finish(cli_dispatch("gossamer", verbs, GS_COUNT(verbs), argc, argv, NULL));
}

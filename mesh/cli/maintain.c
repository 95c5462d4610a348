/* maintain.c - `gossamer drain`, `undrain` and `weight`: what is wanted of a node or of endpoints
 * for a while. What the target means the node knows. */
#include <stdlib.h>
#include <unistd.h>

#include <gossamer/json_out.h>
#include <gossamer/limits.h>

#include "mesh/cli/change.h"

#define TARGETS                                                                                    \
    "NODE, SERVICE[.NS][:PORT], or some of its\n"                                                  \
    "instances: SERVICE/ADDRESS:PORT[@NODE], SERVICE/NODE."

struct maintain {
    struct change change;
    const char *reason;
    bool node, service;
};

/* Whoever types, for those who will wonder: nobody is authenticated by it. */
static const char *
operator_name(char out[MAINT_TEXT_MAX])
{
    static const char *const variables[] = { "SUDO_USER", "LOGNAME", "USER" };
    char host[128] = "";
    const char *user = NULL;

    for (size_t i = 0; i < GS_COUNT(variables) && (!user || !user[0]); i++)
        user = getenv(variables[i]);
    if (!user || !user[0])
        return NULL;
    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    (void)snprintf(out, MAINT_TEXT_MAX, "%.100s%s%s", user, host[0] ? "@" : "", host);
    return out;
}

static void
write_request(const struct maintain *m, const char *target, const char *weight, bool told,
              struct gs_buf *out)
{
    char name[MAINT_TEXT_MAX];
    struct json_out j;

    json_init(&j, out);
    json_obj(&j);
    json_kstr(&j, "target", target);
    if (m->change.ns)
        json_kstr(&j, "namespace", m->change.ns);
    if (m->node || m->service)
        json_kstr(&j, "as", m->node ? "node" : "service");
    if (weight)
        json_ku64(&j, "weight", strtoul(weight, NULL, 10));
    if (told && m->reason)
        json_kstr(&j, "reason", m->reason);
    if (told && operator_name(name))
        json_kstr(&j, "by", name);
    json_obj_end(&j);
}

/* verb: also of the path. */
static int
maintain(const char *verb, struct maintain *m, const char *target, const char *weight)
{
    struct gs_buf path, body;
    uint64_t v;
    int code;

    if (m->node && m->service)
        return cli_fail(CLI_USAGE, NULL, "%s: a target is a node or a service, not both", verb);
    if (weight && (!gs_slice_to_u64(gs_slice_str(weight), &v) || v > MAINT_WEIGHT_MAX))
        return cli_fail(CLI_USAGE, "100 is the ordinary, 0 takes no new requests at all",
                        "weight: \"%s\" is no percentage of 0 to %d", weight, MAINT_WEIGHT_MAX);
    gs_buf_init(&body, ADMIN_BODY_MAX);
    ask_path(&path, verb);
    write_request(m, target, weight, strcmp(verb, "undrain") != 0, &body);
    code = change_request(&m->change, "POST", &path, gs_buf_slice(&body));
    gs_buf_fini(&body);
    gs_buf_fini(&path);
    return code;
}

/* Rows of a table, not code. */
/* clang-format off */
#define TARGET_OPTIONS(m)                                                                          \
    { 0, "node", CLI_SWITCH, &(m).node, NULL, "the target is a node", { 0 } },                     \
    { 0, "service", CLI_SWITCH, &(m).service, NULL, "the target is a service", { 0 } }
#define REASON_OPTION(m)                                                                           \
    { 0, "reason", CLI_TEXT, &(m).reason, "TEXT", "why, for whoever looks at it later", { 0 } }
/* clang-format on */

int
cmd_drain(int argc, char **argv)
{
    struct maintain m = { .change = CHANGE_DEFAULTS };
    const struct cli_option table[] = { REASON_OPTION(m), TARGET_OPTIONS(m),
                                        CHANGE_OPTIONS(m.change) };
    const struct cli_command cmd = {
        .name = "drain",
        .operands = "TARGET",
        .help =
            "Send no new requests to a target, from any node: " TARGETS "\n"
            "Requests under way end as they would. A drained endpoint is used again only while\n"
            "no better one is left; of a service that is drained as a whole every request is\n"
            "answered 503, which takes --force. A drained node goes on to serve its own\n"
            "applications. It holds, over restarts too, until undrain. On the drained node\n"
            "gossamer endpoints shows how many requests are still ACTIVE.\n"
            "--force: also what nobody knows yet, and what leaves nobody for the requests.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_min = 1,
        .operands_max = 1,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    return code != CLI_GO_ON ? code : maintain("drain", &m, argv[1], NULL);
}

int
cmd_undrain(int argc, char **argv)
{
    struct maintain m = { .change = CHANGE_DEFAULTS };
    const struct cli_option table[] = { TARGET_OPTIONS(m), CHANGE_OPTIONS(m.change) };
    const struct cli_command cmd = {
        .name = "undrain",
        .operands = "TARGET",
        .help =
            "Send requests again to what was drained: " TARGETS "\n"
            "Of several things that were drained each is undone by its own words: gossamer get\n"
            "Maintenance -A lists them.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_min = 1,
        .operands_max = 1,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    return code != CLI_GO_ON ? code : maintain("undrain", &m, argv[1], NULL);
}

int
cmd_weight(int argc, char **argv)
{
    struct maintain m = { .change = CHANGE_DEFAULTS };
    const struct cli_option table[] = { REASON_OPTION(m), CHANGE_OPTIONS(m.change) };
    const struct cli_command cmd = {
        .name = "weight",
        .operands = "SERVICE/INSTANCE PERCENT",
        .help = "Give an instance a share of the requests for its service that is greater or\n"
                "smaller than others': 100 is the ordinary, which ends it, 10 a tenth of that, 0\n"
                "nothing at all, be there nobody else. SERVICE/ADDRESS:PORT[@NODE], or\n"
                "SERVICE/NODE for all its instances there. It holds until it is changed.\n"
                "--force: also what nobody knows yet, and what leaves nobody for the requests.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_min = 2,
        .operands_max = 2,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    return code != CLI_GO_ON ? code : maintain("weight", &m, argv[1], argv[2]);
}

/* check.c - `gossamer check`: every finding about the configuration, and whether the node is up.
 * Findings are what was asked for, so they go to standard output. */
#include <unistd.h>

#include <gossamer/json_out.h>

#include "mesh/cli/cli.h"

#define OUTPUT_BYTES_MAX (4u << 20)
#define READY_TIMEOUT_MS 2000

struct check {
    struct gs_problems problems;
    struct config *config; /* NULL: refused */
    const char *socket;    /* NULL: no default, none given */
    const char *node;      /* what it says of itself */
    struct gs_why why;     /* why it is not ready, if it is not */
    const char *file;
    struct gs_arena arena;
};

static void
check_keys(struct check *c)
{
    struct config_keys keys = { 0 };

    if (!c->config || !c->config->gossip.key_file)
        return;
    if (config_load_keys(c->config->gossip.key_file, &keys, &c->problems) == GS_E_OK)
        config_keys_fini(&keys);
}

static void
check_node(struct check *c, const char *option)
{
    struct cli_answer answer;
    gs_err e;

    /* --socket, GOSSAMER_SOCKET, what the configuration says, the default. */
    if (!option && c->config && !config_env(environ, "GOSSAMER_SOCKET"))
        option = c->config->admin.socket;
    c->socket = cli_socket(option, &c->arena);
    if (!c->socket) {
        c->node = "unknown";
        return;
    }
    e = cli_http(c->socket, "GET", "/ready", GS_SLICE_NONE, READY_TIMEOUT_MS, &answer, &c->why);
    if (e == GS_E_NOT_FOUND) {
        c->node = "not running";
    } else if (e != GS_E_OK) {
        c->node = "no answer";
    } else {
        c->node = answer.status == 200 ? "ready" : "not ready";
        (void)snprintf(c->why.text, sizeof(c->why.text), "status %u", answer.status);
        gs_buf_fini(&answer.body);
    }
}

/* The file that was read, or could not be; NULL: the default one, which is not there. */
static const char *
file_of(struct check *c, const struct cli_config *options)
{
    struct config_paths paths;

    if (c->config || options->file)
        return c->config ? c->config->file : options->file;
    config_paths_get(geteuid(), environ, &c->arena, &paths);
    return paths.file && access(paths.file, F_OK) == 0 ? paths.file : NULL;
}

static void
render_json(const struct check *c, struct gs_buf *out)
{
    struct json_out j;

    json_init(&j, out);
    json_obj(&j);
    cli_problems_json(&j, &c->problems);
    json_kstr(&j, "file", c->file);
    json_key(&j, "node");
    json_obj(&j);
    json_kstr(&j, "socket", c->socket);
    json_kstr(&j, "state", c->node);
    json_kstr(&j, "why", strcmp(c->node, "ready") == 0 ? NULL : c->why.text);
    json_obj_end(&j);
    json_obj_end(&j);
}

static void
render_text(const struct check *c, struct gs_buf *out)
{
    size_t errors = c->problems.errors;
    size_t warnings = c->problems.warnings;

    cli_problems_print(&c->problems, out);
    (void)gs_buf_printf(out, "configuration: %s: %zu error%s, %zu warning%s\n",
                        c->file ? c->file : "no file, the defaults", errors, errors == 1 ? "" : "s",
                        warnings, warnings == 1 ? "" : "s");
    (void)gs_buf_printf(out, "node: %s%s%s%s%s%s\n", c->node, c->socket ? " at " : "",
                        c->socket ? c->socket : "", c->why.text[0] ? " (" : "", c->why.text,
                        c->why.text[0] ? ")" : "");
}

int
cmd_check(int argc, char **argv)
{
    struct cli_config options = { 0 };
    enum cli_format format = CLI_TABLE;
    const char *socket = NULL;
    const struct cli_option table[] = {
        CLI_CONFIG_OPTIONS(options),
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "check",
        .operands = "",
        .help = "Check the configuration (file, environment and flags together), tell everything\n"
                "that is wrong with it or worth knowing, and whether the node is up. Exit status\n"
                "1 if there are errors.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    struct check c = { 0 };
    struct gs_buf out;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    gs_problems_init(&c.problems);
    gs_arena_init(&c.arena, NULL, 0, 1024);
    gs_buf_init(&out, OUTPUT_BYTES_MAX);
    c.config = cli_config_load(&options, &c.problems);
    c.file = file_of(&c, &options);
    check_keys(&c);
    check_node(&c, socket);
    if (format == CLI_JSON || format == CLI_YAML) {
        render_json(&c, &out);
        cli_print_json(format, gs_buf_slice(&out));
    } else {
        render_text(&c, &out);
        cli_print(gs_buf_slice(&out));
    }
    code = c.problems.errors > 0 ? CLI_REFUSED : CLI_GOOD;
    gs_buf_fini(&out);
    config_free(c.config);
    gs_arena_fini(&c.arena);
    gs_problems_fini(&c.problems);
    return code;
}

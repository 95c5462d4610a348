/* check.c - `gossamer check`: every finding about the configuration, whether the node is up, and
 * how it stands with its mesh. Findings are what was asked for, so they go to standard output. */
#include <unistd.h>

#include <gossamer/json_out.h>

#include "mesh/cli/ask.h"
#include "mesh/config/codes.h"
#include "mesh/config/config_apply.h"
#include "mesh/config/json.h"
#include "mesh/keys.h"

#define OUTPUT_BYTES_MAX (4u << 20)
#define READY_TIMEOUT_MS 2000

struct check {
    struct gs_problems problems;
    struct config *config; /* NULL: refused */
    const char *socket;    /* NULL: no default, none given */
    const char *node;      /* what it says of itself */
    struct gs_why why;     /* why it is not ready, if it is not */
    const char *file;
    const char *keys, *keys_path; /* where the gossip's keys are from; NULL: not known */
    struct {                      /* as the node sees it */
        bool asked;
        unsigned alive, suspect, dead, left;
        bool open, twins;
    } mesh;
    struct gs_arena arena;
};

static void
load_keys(struct check *c, const char *path)
{
    struct config_keys keys = { 0 };

    if (config_load_keys(path, &keys, &c->problems) == GS_E_OK)
        config_keys_fini(&keys);
}

static void
tell_missing(struct check *c, const char *path)
{
    const struct schema_row *row = schema_find("gossip.join");
    const struct config_origin *o = config_origin_of(c->config, row);
    char text[256];

    (void)gs_problems_add(&c->problems, GS_SEV_ERROR, CODE_CONFIG_KEYS,
                          o->source == CONFIG_FILE ? c->config->file : o->name, o->line, o->column,
                          row->path, "%s", keys_missing_text(path, text));
}

static void
check_keys(struct check *c)
{
    char path[KEYS_PATH_MAX];

    if (!c->config)
        return;
    switch (keys_find(c->config, path)) {
    case KEYS_GIVEN:
        c->keys = "gossip.key_file";
        load_keys(c, path);
        break;
    case KEYS_KEPT:
        c->keys = "state_dir";
        if (access(path, F_OK) == 0) /* else it is somebody else's to look at */
            load_keys(c, path);
        break;
    case KEYS_MADE:
        c->keys = "made at the first start";
        break;
    case KEYS_MISSING:
        c->keys = "missing";
        tell_missing(c, path);
        break;
    }
    c->keys_path = gs_arena_strdup(&c->arena, gs_slice_str(path));
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

/* ---- the mesh ---- */

static void
count_member(struct check *c, const struct tree *member)
{
    const char *state = ask_text(member, "state");
    const char *twin = ask_text(member, "twin");

    c->mesh.alive += state && strcmp(state, "alive") == 0;
    c->mesh.suspect += state && strcmp(state, "suspect") == 0;
    c->mesh.dead += state && strcmp(state, "dead") == 0;
    c->mesh.left += state && strcmp(state, "left") == 0;
    c->mesh.twins = c->mesh.twins || (twin && strcmp(twin, "true") == 0);
}

/* Quietly: that the node does not answer is told already. */
static void
check_mesh(struct check *c)
{
    struct gs_problems problems;
    const struct tree *list;
    struct cli_answer answer;
    struct tree *root = NULL;
    struct gs_why why;

    if (!c->socket || cli_http(c->socket, "GET", "/api/v1/members", GS_SLICE_NONE, READY_TIMEOUT_MS,
                               &answer, &why) != GS_E_OK)
        return;
    gs_problems_init(&problems);
    if (answer.status == 200 &&
        tree_parse_json(gs_buf_slice(&answer.body), NULL, &c->arena, &root, &problems) == GS_E_OK) {
        const char *standing = ask_text(root, "standing");

        list = tree_find(root, "members");
        c->mesh.asked = standing && list && list->kind == TREE_SEQ;
        c->mesh.open = standing && strcmp(standing, "open") == 0;
        for (size_t i = 0; c->mesh.asked && i < list->count; i++)
            count_member(c, list->items[i]);
    }
    gs_problems_fini(&problems);
    gs_buf_fini(&answer.body);
}

/* ---- telling ---- */

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
    json_key(&j, "gossip");
    json_obj(&j);
    json_kstr(&j, "keys", c->keys);
    json_kstr(&j, "keys_file", c->keys_path);
    json_obj_end(&j);
    json_key(&j, "mesh");
    if (c->mesh.asked) {
        json_obj(&j);
        json_kstr(&j, "standing", c->mesh.open ? "open" : "closed");
        json_ku64(&j, "alive", c->mesh.alive);
        json_ku64(&j, "suspect", c->mesh.suspect);
        json_ku64(&j, "dead", c->mesh.dead);
        json_ku64(&j, "left", c->mesh.left);
        json_kbool(&j, "twins", c->mesh.twins);
        json_obj_end(&j);
    } else {
        json_nil(&j);
    }
    json_obj_end(&j);
}

static void
render_mesh(const struct check *c, struct gs_buf *out)
{
    if (c->keys)
        (void)gs_buf_printf(out, "gossip keys: %s (%s)\n", c->keys_path, c->keys);
    if (!c->mesh.asked)
        return;
    (void)gs_buf_printf(out, "mesh: %s; %u alive, %u suspect, %u dead, %u left\n",
                        c->mesh.open ? "open" : "closed, its policy is not known here yet",
                        c->mesh.alive, c->mesh.suspect, c->mesh.dead, c->mesh.left);
    if (c->mesh.twins)
        (void)gs_buf_put_str(out,
                             "mesh: two nodes have the same name: give each its own (node:)\n");
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
    render_mesh(c, out);
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
        .help =
            "Check the configuration (file, environment and flags together), tell everything\n"
            "that is wrong with it or worth knowing, whether the node is up, and how it stands\n"
            "with its mesh. Exit status 1 if there are errors.",
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
    check_mesh(&c);
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

/* check.c - `gossamer check`: this binary, the configuration, and what the node says of itself and
 * of its mesh, one line each. The lines are what was asked for, so they go to standard output.
 *
 *     check_machine.c ─▶ binary, machine (--pre)   ┐
 *     config_load, keys ─▶ configuration           ├─▶ lines ─▶ text, or JSON
 *     GET /ready, /api/v1/check ─▶ node, mesh, ... ┘ */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/json_out.h>

#include "mesh/build_text.h"
#include "mesh/check_lines.h"
#include "mesh/cli/ask.h"
#include "mesh/cli/check_machine.h"
#include "mesh/config/codes.h"
#include "mesh/config/config_apply.h"
#include "mesh/config/json.h"
#include "mesh/keys.h"

#define OUTPUT_BYTES_MAX (4u << 20)
#define READY_TIMEOUT_MS 2000
#define CHECK_TIMEOUT_MS 10000
#define WAIT_TURN_MS 200
#define WAIT_MS_MAX 86400000

enum asked { ASKED_NOT, ASKED_UNREACHABLE, ASKED_ANSWERED };

struct check {
    struct cli_config options;
    const char *socket_option;
    bool pre, ascii;
    enum cli_format format;
    uint64_t wait_ms;

    /* of one look */
    struct check_lines lines;
    struct gs_problems problems;
    struct config *config; /* NULL: refused */
    const char *socket;    /* NULL: no default, none given */
    const char *node;      /* what it says of itself */
    struct gs_why why;     /* why it is not ready, if it is not */
    enum asked asked;
    const char *file;
    const char *keys, *keys_path; /* where the gossip's keys are from; NULL: not known */
    struct {                      /* as the node sees it */
        bool asked;
        unsigned alive, suspect, dead, left;
        bool open, twins;
    } mesh;
    struct gs_arena arena;
};

/* ---- the configuration ---- */

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

/* "FILE:LINE:COLUMN: error GS0011: field: message", as every verb says it. */
static void
put_problem(struct check *c, const struct gs_problem *p)
{
    struct gs_buf text;
    struct gs_slice rest, first;
    enum check_result result = p->severity == GS_SEV_ERROR     ? CHECK_ERROR
                               : p->severity == GS_SEV_WARNING ? CHECK_WARNING
                                                               : CHECK_OK;

    gs_buf_init(&text, OUTPUT_BYTES_MAX);
    gs_problem_print(p, &text);
    rest = gs_buf_slice(&text);
    (void)gs_slice_cut(&rest, '\n', &first);
    check_put(&c->lines, "configuration", p->field ? p->field : p->code, result,
              result == CHECK_OK ? NULL
              : p->hint          ? p->hint
                                 : "gossamer config --help",
              "%.*s", GS_SLICE_FMT(first));
    gs_buf_fini(&text);
}

static void
check_config(struct check *c)
{
    size_t errors, warnings;

    c->config = cli_config_load(&c->options, &c->problems);
    c->file = file_of(c, &c->options);
    check_keys(c);
    errors = c->problems.errors;
    warnings = c->problems.warnings;
    if (errors == 0)
        check_put(&c->lines, "configuration", "file", CHECK_OK, NULL,
                  "%s: %zu errors, %zu warning%s", c->file ? c->file : "no file, the defaults",
                  errors, warnings, warnings == 1 ? "" : "s");
    for (size_t i = 0; i < c->problems.count; i++)
        put_problem(c, &c->problems.items[i]);
    if (c->problems.dropped > 0)
        check_put(&c->lines, "configuration", "more", CHECK_ERROR, "gossamer check",
                  "%zu more findings are not shown: mend the first ones", c->problems.dropped);
    if (c->keys && errors == 0)
        check_put(&c->lines, "configuration", "gossip-keys", CHECK_OK, NULL, "gossip keys: %s (%s)",
                  c->keys_path, c->keys);
}

/* ---- the node ---- */

static void
put_unreachable(struct check *c, gs_err e)
{
    const char *hint = e == GS_E_NOT_FOUND ? "gossamer run"
                       : e == GS_E_DENIED  ? "sudo gossamer check"
                                           : "gossamer check --wait 30s";

    c->asked = ASKED_UNREACHABLE;
    if (!c->socket)
        check_put(&c->lines, "node", "reachable", CHECK_ERROR, "gossamer check --socket PATH",
                  "no home is known, so there is no default socket");
    else
        check_put(&c->lines, "node", "reachable", CHECK_ERROR, hint, "the node %s at %s (%s)",
                  e == GS_E_NOT_FOUND ? "is not running" : "does not answer", c->socket,
                  c->why.text);
}

static void
check_reachable(struct check *c)
{
    const char *option = c->socket_option;
    struct cli_answer answer;
    gs_err e;

    /* --socket, GOSSAMER_SOCKET, what the configuration says, the default. */
    if (!option && c->config && !config_env(environ, "GOSSAMER_SOCKET"))
        option = c->config->admin.socket;
    c->socket = cli_socket(option, &c->arena);
    if (!c->socket) {
        c->node = "unknown";
        put_unreachable(c, GS_E_NOT_FOUND);
        return;
    }
    e = cli_http(c->socket, "GET", "/ready", GS_SLICE_NONE, READY_TIMEOUT_MS, &answer, &c->why);
    if (e != GS_E_OK) {
        c->node = e == GS_E_NOT_FOUND ? "not running" : "no answer";
        put_unreachable(c, e);
        return;
    }
    c->asked = ASKED_ANSWERED;
    c->node = answer.status == 200 ? "ready" : "not ready";
    (void)snprintf(c->why.text, sizeof(c->why.text), "status %u", answer.status);
    gs_buf_fini(&answer.body);
    check_put(&c->lines, "node", "reachable", CHECK_OK, NULL, "the node answers at %s: %s",
              c->socket, c->node);
}

/* What the node looked at itself. An unknown result is an error: better told than lost. */
static void
take_line(struct check *c, const struct tree *at)
{
    const char *group = ask_text(at, "group"), *name = ask_text(at, "name");
    const char *message = ask_text(at, "message"), *hint = ask_text(at, "hint");
    const char *text = ask_text(at, "result");
    enum check_result result = CHECK_OK;

    while (result < CHECK_ERROR && (!text || strcmp(text, check_result_name(result)) != 0))
        result++;
    if (!group || !name || !message)
        return;
    if (result == CHECK_OK)
        hint = NULL;
    else if (!hint)
        hint = "gossamer version";
    check_put(&c->lines, group, name, result, hint, "%s", message);
}

static void
take_versions(struct check *c, const struct tree *root)
{
    const char *version = ask_text(root, "version"), *commit = ask_text(root, "commit");

    if (!version || !commit)
        return;
    if (strcmp(version, build_version()) != 0 || strcmp(commit, build_commit()) != 0)
        check_put(&c->lines, "node", "version", CHECK_WARNING, "gossamer version",
                  "the node is gossamer %s, commit %s, and this command another", version, commit);
    else
        check_put(&c->lines, "node", "version", CHECK_OK, NULL, "the node is the same gossamer %s",
                  version);
}

static void
put_no_answer(struct check *c)
{
    if (strcmp(c->node, "ready") != 0)
        check_put(&c->lines, "node", "ready", CHECK_ERROR, "gossamer members",
                  "the node is not ready: %s", c->why.text);
    check_put(&c->lines, "node", "answers", CHECK_WARNING, "gossamer version",
              "it does not say how it is; it may be of another version than this command");
}

static void
check_node(struct check *c)
{
    struct gs_problems problems;
    struct cli_answer answer;
    const struct tree *list = NULL;
    struct tree *root = NULL;
    struct gs_why why;

    if (c->asked != ASKED_ANSWERED)
        return;
    if (cli_http(c->socket, "GET", "/api/v1/check", GS_SLICE_NONE, CHECK_TIMEOUT_MS, &answer,
                 &why) != GS_E_OK) {
        put_no_answer(c);
        return;
    }
    gs_problems_init(&problems);
    if (answer.status == 200 &&
        tree_parse_json(gs_buf_slice(&answer.body), NULL, &c->arena, &root, &problems) == GS_E_OK)
        list = tree_find(root, "check");
    if (root)
        ask_clean(root);
    if (list && list->kind == TREE_SEQ) {
        take_versions(c, root);
        for (size_t i = 0; i < list->count; i++)
            take_line(c, list->items[i]);
    } else {
        put_no_answer(c);
    }
    gs_problems_fini(&problems);
    gs_buf_fini(&answer.body);
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
    check_lines_json(&c->lines, &j);
    json_obj_end(&j);
}

struct mark {
    const char *utf8, *ascii, *colour;
};

static const struct mark marks[] = {
    [CHECK_OK] = { "\u221a", "[ok]", "32" },
    [CHECK_WARNING] = { "\u203c", "[!!]", "33" },
    [CHECK_ERROR] = { "\u00d7", "[xx]", "31" },
};

/* The first of the three that is set decides, as for every program. */
static bool
is_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (size_t i = 0; i < GS_COUNT(names); i++) {
        const char *text = config_env(environ, names[i]);

        if (text)
            return strcasestr(text, "utf-8") || strcasestr(text, "utf8");
    }
    return false;
}

static void
render_mark(enum check_result r, bool ascii, bool colour, struct gs_buf *out)
{
    const struct mark *m = &marks[r];

    if (colour)
        (void)gs_buf_printf(out, "\033[%sm%s\033[0m ", m->colour, ascii ? m->ascii : m->utf8);
    else
        (void)gs_buf_printf(out, "%s ", ascii ? m->ascii : m->utf8);
}

static void
render_heading(const char *group, struct gs_buf *out)
{
    (void)gs_buf_printf(out, "%s%s\n", out->len > 0 ? "\n" : "", group);
    for (size_t i = 0; group[i]; i++)
        (void)gs_buf_put_str(out, "-");
    (void)gs_buf_put_str(out, "\n");
}

/* By group, in the order in which groups first came up. */
static void
render_text(const struct check *c, struct gs_buf *out)
{
    bool colour = cli_colour(stdout);
    bool ascii = c->ascii || !is_utf8();
    size_t errors = check_count(&c->lines, CHECK_ERROR);
    size_t warnings = check_count(&c->lines, CHECK_WARNING);

    for (size_t i = 0; i < c->lines.count; i++) {
        const char *group = c->lines.items[i].group;
        bool told = false;

        for (size_t k = 0; k < i && !told; k++)
            told = strcmp(c->lines.items[k].group, group) == 0;
        if (told)
            continue;
        render_heading(group, out);
        for (size_t k = i; k < c->lines.count; k++) {
            const struct check_line *at = &c->lines.items[k];

            if (strcmp(at->group, group) != 0)
                continue;
            render_mark(at->result, ascii, colour, out);
            (void)gs_buf_printf(out, "%s\n", at->message);
            if (at->hint)
                (void)gs_buf_printf(out, "    hint: %s\n", at->hint);
        }
    }
    (void)gs_buf_put_str(out, "\n");
    render_mark(errors > 0     ? CHECK_ERROR
                : warnings > 0 ? CHECK_WARNING
                               : CHECK_OK,
                ascii, colour, out);
    (void)gs_buf_printf(out, "%zu error%s, %zu warning%s\n", errors, errors == 1 ? "" : "s",
                        warnings, warnings == 1 ? "" : "s");
}

/* ---- looking ---- */

static void
look(struct check *c)
{
    gs_problems_init(&c->problems);
    gs_arena_init(&c->arena, NULL, 0, 1024);
    check_lines_init(&c->lines);
    c->node = "not asked";
    c->asked = ASKED_NOT;
    check_binary(&c->lines);
    check_config(c);
    if (c->pre) {
        if (c->config)
            check_machine(&c->lines, c->config);
        return;
    }
    check_reachable(c);
    check_node(c);
    check_mesh(c);
}

static void
forget(struct check *c)
{
    config_free(c->config);
    check_lines_fini(&c->lines);
    gs_arena_fini(&c->arena);
    gs_problems_fini(&c->problems);
    c->config = NULL;
    c->keys = c->keys_path = c->file = c->socket = NULL;
    c->why.text[0] = '\0';
    c->mesh.asked = c->mesh.open = c->mesh.twins = false;
    c->mesh.alive = c->mesh.suspect = c->mesh.dead = c->mesh.left = 0;
}

static int
outcome(const struct check *c)
{
    size_t errors = check_count(&c->lines, CHECK_ERROR);

    if (c->asked == ASKED_UNREACHABLE)
        return errors == 1 ? CLI_UNREACHABLE : CLI_REFUSED;
    return errors > 0 ? CLI_REFUSED : CLI_GOOD;
}

static uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Until there is no error, or the time is up. */
static int
look_until_good(struct check *c)
{
    const struct timespec turn = { .tv_nsec = WAIT_TURN_MS * 1000000 };
    uint64_t until_ms = now_ms() + c->wait_ms;
    int code;

    for (;;) {
        look(c);
        code = outcome(c);
        if (code == CLI_GOOD || c->wait_ms == 0)
            return code;
        if (now_ms() >= until_ms)
            return CLI_TIMEOUT;
        forget(c);
        (void)nanosleep(&turn, NULL);
    }
}

static void
tell(const struct check *c)
{
    struct gs_buf out;

    gs_buf_init(&out, OUTPUT_BYTES_MAX);
    if (c->format == CLI_JSON || c->format == CLI_YAML) {
        render_json(c, &out);
        cli_print_json(c->format, gs_buf_slice(&out));
    } else {
        render_text(c, &out);
        cli_print(gs_buf_slice(&out));
    }
    gs_buf_fini(&out);
}

int
cmd_check(int argc, char **argv)
{
    struct check c = { .format = CLI_TABLE };
    const struct cli_option table[] = {
        CLI_CONFIG_OPTIONS(c.options),
        { 0, "pre", CLI_SWITCH, &c.pre, NULL, "before a node is started: could one be?", { 0 } },
        { 0,
          "wait",
          CLI_VALUE,
          &c.wait_ms,
          "TIME",
          "until nothing is wrong, for so long at the most",
          { .kind = VALUE_DURATION, .min = 1, .max = WAIT_MS_MAX } },
        { 0, "ascii", CLI_SWITCH, &c.ascii, NULL, "[ok] [!!] [xx] for the marks", { 0 } },
        CLI_SOCKET_OPTION(c.socket_option),
        CLI_FORMAT_OPTION(c.format),
    };
    const struct cli_command cmd = {
        .name = "check",
        .operands = "",
        .help =
            "Look at the configuration (file, environment and flags together), and ask the node\n"
            "how it is and how it stands with its mesh; each thing that is not well comes with a\n"
            "command to type next. With --pre no node is asked, but whether one could be started.\n"
            "Exit status: 0 when nothing is wrong (warnings are no errors), 1 when something is,\n"
            "3 when only the node cannot be reached, 4 when --wait ran out.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    code = look_until_good(&c);
    tell(&c);
    forget(&c);
    return code;
}

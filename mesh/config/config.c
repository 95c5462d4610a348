/* config.c - loading: defaults, then the file, then the environment, then flags; then what only
 * the whole can show. Nothing stops at the first mistake. */
#include "mesh/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>
#include <gossamer/limits.h>

#include "mesh/config/codes.h"
#include "mesh/config/config_apply.h"
#include "mesh/config/config_file.h"
#include "mesh/config/config_rules.h"

#define CONFIG_ARENA_BYTES 16384
#define HOSTNAME_BYTES 256

static const char env_prefix[] = "GOSSAMER_";

/* ---- the file ---- */

/* Whole documents count: an empty file is a good one. */
static void
apply_file(const struct config_apply *a, struct config *c, struct gs_slice text)
{
    struct gs_arena arena;
    struct tree_docs docs;

    gs_arena_init(&arena, NULL, 0, CONFIG_ARENA_BYTES);
    if (tree_parse_yaml(text, a->file, &arena, &docs, a->problems) != GS_E_OK)
        goto out;
    if (docs.count > 1)
        (void)gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_FILE, a->file,
                              docs.docs[1]->line, docs.docs[1]->column, NULL,
                              "a second document: the configuration of a node is one");
    if (docs.count > 0)
        config_apply_tree(a, c, docs.docs[0]);
out:
    gs_arena_fini(&arena);
}

/* named: by the operator, so it has to be there. */
static void
read_file(struct config_apply *a, struct config *c, const char *path, const char *named)
{
    struct gs_buf text;
    struct gs_why why;
    gs_err e;

    if (!path)
        return;
    gs_buf_init(&text, TREE_TEXT_MAX);
    a->file = gs_arena_strdup(a->arena, gs_slice_str(path));
    e = config_file_read(path, a->again ? CONFIG_FILE_REGULAR : CONFIG_FILE_ANY, &text, &why);
    if (e == GS_E_OK) {
        c->file = a->file;
        apply_file(a, c, gs_buf_slice(&text));
    } else if (e != GS_E_NOT_FOUND || named) {
        struct gs_problem *item = gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_FILE,
                                                  a->file, 0, 0, NULL, "%s", why.text);

        if (e == GS_E_NOT_FOUND)
            gs_problem_hint(a->problems, item, "without -c the defaults are enough to start");
    }
    gs_buf_fini(&text);
}

/* ---- environment and flags ---- */

/* A variable that is nearly one of ours was meant to be one. Others are let be: the prefix is used
 * by tests, and by Kubernetes for a service that happens to be called gossamer. */
static void
warn_variable(const struct config_apply *a, const char *variable)
{
    char name[SCHEMA_PATH_MAX + 16];
    size_t len = strcspn(variable, "=");
    struct gs_problem *item;

    for (size_t i = 0; i < schema_count; i++) {
        const char *known[1];

        if (schema_in_list(&schema_rows[i]))
            continue;
        known[0] = schema_env_name(&schema_rows[i], name);
        if (strlen(name) == len && strncmp(name, variable, len) == 0)
            return;
        if (!gs_did_you_mean(variable, len, known, 1))
            continue;
        for (size_t k = i + 1; k < schema_count; k++) { /* is it exactly a later one? */
            char later[SCHEMA_PATH_MAX + 16];

            if (!schema_in_list(&schema_rows[k]) &&
                strlen(schema_env_name(&schema_rows[k], later)) == len &&
                strncmp(later, variable, len) == 0)
                return;
        }
        item = gs_problems_add(a->problems, GS_SEV_WARNING, CODE_CONFIG_UNKNOWN, NULL, 0, 0, NULL,
                               "environment variable %.*s sets nothing", (int)len, variable);
        gs_problem_hint(a->problems, item, "did you mean %s?", name);
        return;
    }
}

static void
apply_env(const struct config_apply *a, struct config *c, char *const *env)
{
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        struct config_origin origin = { .source = CONFIG_ENV };
        char name[SCHEMA_PATH_MAX + 16];
        const char *value;

        if (schema_in_list(row))
            continue;
        value = config_env(env, schema_env_name(row, name));
        if (!value)
            continue;
        origin.name = gs_arena_strdup(a->arena, gs_slice_str(name));
        config_apply_text(a, c, row, &origin, gs_slice_str(value));
    }
    for (; env && *env; env++) {
        if (strncmp(*env, env_prefix, sizeof(env_prefix) - 1) == 0)
            warn_variable(a, *env);
    }
}

static void
unknown_flag(const struct config_apply *a, const struct config_flag *flag)
{
    struct gs_problem *item =
        gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_UNKNOWN, flag->name, 0, 0, NULL,
                        "unknown key \"%s\"", flag->path);
    const char *meant = NULL;

    for (size_t i = 0; i < schema_count && !meant; i++) {
        const char *path = schema_rows[i].path;

        if (!schema_in_list(&schema_rows[i]))
            meant = gs_did_you_mean(flag->path, strlen(flag->path), &path, 1);
    }
    if (meant)
        gs_problem_hint(a->problems, item, "did you mean \"%s\"?", meant);
    else
        gs_problem_hint(a->problems, item, "gossamer config --help lists the keys");
}

static void
apply_flags(const struct config_apply *a, struct config *c, const struct config_opts *opts)
{
    for (size_t i = 0; i < opts->flag_count; i++) {
        const struct config_flag *flag = &opts->flags[i];
        const struct schema_row *row = schema_find(flag->path);
        struct config_origin origin = { .source = CONFIG_FLAG };

        if (!row) {
            unknown_flag(a, flag);
            continue;
        }
        if (schema_in_list(row)) {
            (void)gs_problems_add(a->problems, GS_SEV_ERROR, CODE_CONFIG_UNKNOWN, flag->name, 0, 0,
                                  row->path, "lists are set in the file only");
            continue;
        }
        origin.name = gs_arena_strdup(a->arena, gs_slice_str(flag->name));
        config_apply_text(a, c, row, &origin, gs_slice_str(flag->value));
    }
}

gs_err
config_flag_parse(const char *text, struct gs_arena *arena, struct config_flag *out,
                  struct gs_why *why)
{
    struct gs_slice rest = gs_slice_str(text);
    struct gs_slice path = GS_SLICE("");

    if (!gs_slice_cut(&rest, '=', &path) || !rest.ptr || path.len == 0)
        return gs_refuse(why, GS_E_INVALID, "\"%s\" is not PATH=VALUE, such as log.level=debug",
                         text);
    *out = (struct config_flag){
        .name = "--set",
        .path = gs_arena_strdup(arena, path),
        .value = gs_arena_strdup(arena, rest),
    };
    return GS_E_OK;
}

/* ---- what is found out ---- */

/* The host name as a node name; NULL if it cannot be one. */
static const char *
hostname(struct gs_arena *arena)
{
    struct value_type host = { .kind = VALUE_HOST, .min = 1, .max = 253 };
    struct value_fault fault;
    char name[HOSTNAME_BYTES];
    const char *valid;

    if (gethostname(name, sizeof(name)) != 0)
        return NULL;
    name[sizeof(name) - 1] = '\0';
    for (char *at = name; *at; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
    if (value_parse(&host, gs_slice_str(name), arena, &valid, &fault) != GS_E_OK)
        return NULL;
    return valid;
}

/* The path as a default of its row, NULL if the row would refuse it. */
static const char *
usable(const char *row_path, const char *text)
{
    const struct schema_row *row = schema_find(row_path);

    GS_ASSERT(row);
    return text && strlen(text) <= row->value.max ? text : NULL;
}

/* Defaults that follow from other values, now that file, environment and flags had their say. */
static void
settle(struct config *c)
{
    const struct schema_row *tcp = schema_find("services[].instances[].health.tcp");

    GS_ASSERT(tcp);
    for (size_t i = 0; i < c->services.count; i++) {
        struct config_service *s = &c->services.items[i];

        if (!s->ns)
            s->ns = c->ns;
        for (size_t n = 0; n < s->instances.count; n++) {
            struct config_instance *in = &s->instances.items[n];

            if (!config_is_given(in, tcp))
                in->health.tcp = !in->health.http;
        }
    }
    for (size_t i = 0; i < c->external.count; i++) {
        if (!c->external.items[i].ns)
            c->external.items[i].ns = c->ns;
    }
}

/* ---- the door ---- */

gs_err
config_load(const struct config_opts *opts, struct config **out, struct gs_problems *problems)
{
    struct config *c = gs_zalloc(sizeof(*c));
    struct config_apply a = { .arena = &c->arena, .problems = problems, .again = opts->again };
    size_t errors_before = problems->errors;
    struct config_paths paths;

    gs_arena_init(&c->arena, NULL, 0, CONFIG_ARENA_BYTES);
    config_paths_get(opts->uid, opts->env, &c->arena, &paths);
    a.hostname = hostname(&c->arena);
    a.state = usable("state_dir", paths.state_dir);
    a.socket = usable("admin.socket", paths.socket);
    config_apply_defaults(&a, SCHEMA_CONFIG, c);
    read_file(&a, c, opts->file ? opts->file : paths.file, opts->file);
    apply_env(&a, c, opts->env);
    apply_flags(&a, c, opts);
    settle(c);
    config_rules_check(c, problems);
    if (problems->errors > errors_before) {
        config_free(c);
        return GS_E_INVALID;
    }
    *out = c;
    return GS_E_OK;
}

void
config_free(struct config *c)
{
    if (!c)
        return;
    config_free(c->taken);
    gs_arena_fini(&c->arena);
    gs_free(c);
}

bool
config_given(const struct config *c, const char *path)
{
    const struct schema_row *row = schema_find(path);

    GS_ASSERT(row);
    GS_ASSERT(row->object == SCHEMA_CONFIG);
    return config_is_given(c, row);
}

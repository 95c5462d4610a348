/* cli_config.c - the configuration as a verb's options ask for it. */
#include "mesh/cli/cli.h"

#include <unistd.h>

#include "mesh/config/codes.h"

#define FINDINGS_BYTES_MAX (1u << 20)

/* --set and --node as flags of the configuration; false when one cannot be read. */
static bool
collect(const struct cli_config *o, struct gs_arena *arena, struct config_flag *flags,
        size_t *count, struct gs_problems *problems)
{
    struct gs_why why;
    bool good = true;

    *count = 0;
    for (size_t i = 0; i < o->sets.count; i++) {
        if (config_flag_parse(o->sets.items[i], arena, &flags[*count], &why) == GS_E_OK) {
            ++*count;
            continue;
        }
        good = false;
        (void)gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_VALUE, "--set", 0, 0, NULL, "%s",
                              why.text);
    }
    if (o->node)
        flags[(*count)++] = (struct config_flag){ "--node", "node", o->node };
    return good;
}

bool
cli_config_opts(const struct cli_config *o, struct gs_arena *arena, struct config_opts *out,
                struct gs_problems *problems)
{
    struct config_flag *flags = gs_arena_zalloc(arena, (CLI_TEXTS_MAX + 1) * sizeof(*flags));

    *out = (struct config_opts){
        .file = o->file,
        .uid = geteuid(),
        .env = environ,
        .flags = flags,
    };
    return collect(o, arena, flags, &out->flag_count, problems);
}

struct config *
cli_config_load(const struct cli_config *o, struct gs_problems *problems)
{
    struct config *c = NULL;
    struct config_opts opts;
    struct gs_arena arena;
    bool good;

    gs_arena_init(&arena, NULL, 0, 1024);
    good = cli_config_opts(o, &arena, &opts, problems);
    if (config_load(&opts, &c, problems) != GS_E_OK || !good) {
        config_free(c);
        c = NULL;
    }
    gs_arena_fini(&arena);
    return c;
}

int
cli_config_need(const struct cli_config *o, struct config **out)
{
    struct gs_problems problems;
    struct config *c;
    struct gs_buf text;

    gs_problems_init(&problems);
    gs_buf_init(&text, FINDINGS_BYTES_MAX);
    c = cli_config_load(o, &problems);
    for (size_t i = 0; i < problems.count; i++) { /* notes are for `check` */
        if (problems.items[i].severity != GS_SEV_NOTE)
            gs_problem_print(&problems.items[i], &text);
    }
    if (text.len > 0)
        (void)fwrite(text.ptr, 1, text.len, stderr);
    gs_buf_fini(&text);
    gs_problems_fini(&problems);
    if (!c)
        return CLI_REFUSED;
    *out = c;
    return CLI_GO_ON;
}

/* cli.c - finding the verb, and telling what went wrong. */
#include "mesh/cli/cli.h"

#include <errno.h>
#include <stdarg.h>

#include <gossamer/json_out.h>

#include "mesh/admin.h"

#define HELP_BYTES_MAX (1u << 20)
#define VERBS_MAX 64

/* ---- errors ---- */

int
cli_fail(enum cli_exit code, const char *next, const char *fmt, ...)
{
    struct gs_buf text;
    va_list ap;

    gs_buf_init(&text, HELP_BYTES_MAX);
    (void)gs_buf_put_str(&text, "gossamer: ");
    va_start(ap, fmt);
    (void)gs_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (next)
        (void)gs_buf_printf(&text, "\n  hint: %s", next);
    (void)gs_buf_put_str(&text, "\n");
    (void)fflush(stdout); /* both on one screen: in the order they were said */
    (void)fwrite(text.ptr, 1, text.len, stderr);
    gs_buf_fini(&text);
    return code;
}

void
cli_problems_print(const struct gs_problems *p, struct gs_buf *out)
{
    for (size_t i = 0; i < p->count; i++)
        gs_problem_print(&p->items[i], out);
    if (p->dropped > 0)
        (void)gs_buf_printf(out, "%zu more findings are not shown\n", p->dropped);
}

static void
problems_list(struct json_out *j, const char *key, const struct gs_problems *p,
              enum gs_severity severity)
{
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].severity == severity)
            admin_problem_json(j, &p->items[i]);
    }
    json_arr_end(j);
}

void
cli_problems_json(struct json_out *j, const struct gs_problems *p)
{
    problems_list(j, "errors", p, GS_SEV_ERROR);
    problems_list(j, "warnings", p, GS_SEV_WARNING);
    problems_list(j, "notes", p, GS_SEV_NOTE);
    if (p->dropped > 0)
        json_ku64(j, "dropped", p->dropped);
}

/* ---- verbs ---- */

static void
usage(const char *prefix, const struct cli_verb *verbs, size_t count, struct gs_buf *out)
{
    (void)gs_buf_printf(out, "usage: %s VERB [OPTION...]\n\n", prefix);
    for (size_t i = 0; i < count; i++)
        (void)gs_buf_printf(out, "  %-12s %s\n", verbs[i].name, verbs[i].help);
    (void)gs_buf_printf(out, "\n%s VERB --help tells more about each.\n", prefix);
}

static const struct cli_verb *
find(const struct cli_verb *verbs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static int
unknown(const char *prefix, const struct cli_verb *verbs, size_t count, const char *name)
{
    const char *names[VERBS_MAX];
    const char *meant;
    char next[128];

    GS_ASSERT(count <= VERBS_MAX);
    for (size_t i = 0; i < count; i++)
        names[i] = verbs[i].name;
    if (name[0] == '-')
        return cli_fail(CLI_USAGE, NULL, "%s comes before the verb: options stand behind it", name);
    meant = gs_did_you_mean(name, strlen(name), names, count);
    if (meant)
        (void)snprintf(next, sizeof(next), "did you mean %s %s?", prefix, meant);
    else
        (void)snprintf(next, sizeof(next), "%s --help lists the verbs", prefix);
    return cli_fail(CLI_USAGE, next, "there is no verb \"%s\"", name);
}

static int
help(const char *prefix, const struct cli_verb *verbs, size_t count,
     void (*more)(struct gs_buf *out))
{
    struct gs_buf text;

    gs_buf_init(&text, HELP_BYTES_MAX);
    usage(prefix, verbs, count, &text);
    if (more) {
        (void)gs_buf_put_str(&text, "\n");
        more(&text);
    }
    cli_print(gs_buf_slice(&text));
    gs_buf_fini(&text);
    return CLI_GOOD;
}

static struct {
    const struct cli_verb *verbs;
    size_t count;
} top; /* of main.c: who is asked for first */

static void
visit(const char *under, const struct cli_verb *verbs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        char word[64];
        char *words[] = { word, NULL };

        if (name && strcmp(verbs[i].name, name) != 0)
            continue;
        (void)snprintf(word, sizeof(word), "%s", verbs[i].name);
        cli_visiting->verb(cli_visiting, under, &verbs[i]);
        (void)verbs[i].run(1, words);
    }
}

void
cli_visit(struct cli_visitor *v, const char *name)
{
    GS_ASSERT(!cli_visiting);
    cli_visiting = v;
    visit("", top.verbs, top.count, name);
    cli_visiting = NULL;
}

int
cli_dispatch(const char *prefix, const struct cli_verb *verbs, size_t count, int argc, char **argv,
             void (*more)(struct gs_buf *out))
{
    const struct cli_verb *verb;
    struct gs_buf text;

    if (cli_visiting) {
        visit(strchr(prefix, ' ') + 1, verbs, count, NULL);
        return CLI_GOOD;
    }
    if (!top.verbs) {
        top.verbs = verbs;
        top.count = count;
    }
    if (argc < 2) {
        gs_buf_init(&text, HELP_BYTES_MAX);
        usage(prefix, verbs, count, &text);
        (void)fwrite(text.ptr, 1, text.len, stderr);
        gs_buf_fini(&text);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(prefix, verbs, count, more);
    if (strcmp(argv[1], "help") == 0) {
        char ask[] = "--help";
        char *words[] = { argc > 2 ? argv[2] : NULL, ask, NULL };

        if (argc == 2)
            return help(prefix, verbs, count, more);
        verb = find(verbs, count, argv[2]);
        return verb ? verb->run(2, words) : unknown(prefix, verbs, count, argv[2]);
    }
    verb = find(verbs, count, argv[1]);
    return verb ? verb->run(argc - 1, argv + 1) : unknown(prefix, verbs, count, argv[1]);
}

int
cli_finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return cli_fail(CLI_REFUSED, NULL, "cannot write the output: %s", strerror(errno));
}

/* rollback.c - `gossamer rollback`: what a former version said, written as a new one. An ordinary
 * apply of that version's manifest, which is refused if the object was changed meanwhile. */
#include <gossamer/limits.h>

#include "mesh/cli/change.h"
#include "mesh/cli/files.h"

struct rollback {
    struct change change;
    const char *kind, *name, *to;
    struct ask ask;
};

static void
object_path(const struct rollback *r, struct gs_buf *path)
{
    ask_path(path, "objects");
    ask_segment(path, r->kind);
    ask_segment(path, r->change.ns ? r->change.ns : "-");
    ask_segment(path, r->name);
}

static bool
is_deleted(const struct tree *version)
{
    const char *state = ask_text(version, "state");

    return state && strcmp(state, "deleted") == 0;
}

static bool
is_conflict(const struct tree *version)
{
    const char *flag = ask_text(version, "conflict");

    return flag && strcmp(flag, "true") == 0;
}

/* The one meant by --to, in full or as its beginning; else the last one before the present that
 * counted. NULL: told. */
static const char *
choose(const struct rollback *r, const struct tree *list)
{
    const char *found = NULL;

    for (size_t i = r->to ? 0 : 1; i < list->count; i++) {
        const char *version = ask_text(list->items[i], "version");

        if (!version || is_deleted(list->items[i]) || (!r->to && is_conflict(list->items[i])))
            continue;
        if (!r->to)
            return version;
        if (strncmp(version, r->to, strlen(r->to)) != 0)
            continue;
        if (found) {
            (void)cli_fail(CLI_USAGE, "type more of it", "rollback: several versions begin with %s",
                           r->to);
            return NULL;
        }
        found = version;
    }
    if (!found)
        (void)cli_fail(CLI_REFUSED, "gossamer get KIND NAME --history lists what is kept",
                       "rollback: %s %s has no %s%s", r->kind, r->name,
                       r->to ? "version " : "former version", r->to ? r->to : "");
    return found;
}

static int
read_history(struct rollback *r, const struct tree **list)
{
    struct gs_buf path;
    int code;

    object_path(r, &path);
    ask_param(&path, "history", "true");
    code = ask_list(&r->ask, &path, "history", list);
    gs_buf_fini(&path);
    return code == CLI_GO_ON && !*list ? ask_too_large(&r->ask) : code;
}

static int
read_version(struct rollback *r, const char *version)
{
    struct gs_buf path;
    int code;

    object_path(r, &path);
    ask_param(&path, "version", version);
    code = ask_node(&r->ask, "GET", &path, GS_SLICE_NONE, ASK_MS);
    gs_buf_fini(&path);
    return code == CLI_GO_ON && r->ask.status != 200 ? ask_refused(&r->ask, r->change.format)
                                                     : code;
}

static int
roll_back(struct rollback *r)
{
    const struct tree *list = NULL;
    const char *version;
    struct gs_buf path;
    int code = read_history(r, &list);

    if (code != CLI_GO_ON)
        return code;
    version = choose(r, list);
    if (!version)
        return r->to ? CLI_USAGE : CLI_REFUSED;
    if (!r->change.if_version)
        r->change.if_version =
            is_deleted(list->items[0]) ? "0" : ask_text(list->items[0], "version");
    code = read_version(r, version);
    if (code != CLI_GO_ON)
        return code;
    ask_path(&path, "apply");
    ask_param(&path, "namespace", r->change.ns);
    ask_param(&path, "settle", "true");
    code = change_request(&r->change, "POST", &path, r->ask.body);
    gs_buf_fini(&path);
    return code;
}

int
cmd_rollback(int argc, char **argv)
{
    struct rollback r = { .change = CHANGE_DEFAULTS };
    const struct cli_option table[] = {
        { 0,
          "to",
          CLI_TEXT,
          &r.to,
          "VERSION",
          "to this one, or whichever begins so (default: the one before the present)",
          { 0 } },
        CHANGE_OPTIONS(r.change),
    };
    const struct cli_command cmd = {
        .name = "rollback",
        .operands = "KIND NAME",
        .help =
            "Write what a former version of an object said as its new version. It is checked\n"
            "and confirmed as any change, and refused (exit 5) if somebody changes the object\n"
            "meanwhile. An object that was deleted comes back. gossamer get KIND NAME --history\n"
            "lists the versions that are kept.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_min = 2,
        .operands_max = 2,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    r.kind = argv[1];
    r.name = argv[2];
    ask_init(&r.ask, r.change.socket);
    code = roll_back(&r);
    ask_fini(&r.ask);
    return code;
}

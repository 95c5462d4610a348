/* events.c - `gossamer events`: what happened in the mesh, for people a line each as in the log. */
#include <math.h>
#include <time.h>

#include <gossamer/limits.h>

#include "mesh/cli/ask.h"
#include "mesh/config/json.h"

#define EVENT_COLUMN 16
#define LINE_BYTES_MAX 65536

struct events {
    enum cli_format format;
    bool follow;
    int code; /* to end with */
};

/* ---- for people ---- */

static void
put_time(struct gs_buf *out, double seconds)
{
    double whole = floor(seconds);
    time_t t = (time_t)whole;
    char text[32];
    struct tm tm;

    if (!localtime_r(&t, &tm) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return;
    (void)gs_buf_printf(out, "%s.%03d", text, (int)((seconds - whole) * 1000));
}

/* A text of somebody else's must not steer the terminal. */
static void
put_text(struct gs_buf *out, struct gs_slice text)
{
    bool quote = text.len == 0;

    for (size_t i = 0; i < text.len; i++)
        quote = quote || (unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == '"';
    if (quote)
        (void)gs_buf_put(out, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        size_t control = gs_slice_control(gs_slice_from(text, i));

        if (c == '"' || c == '\\')
            (void)gs_buf_printf(out, "\\%c", c);
        else if (c == '\n')
            (void)gs_buf_put(out, "\\n", 2);
        else if (control > 0)
            (void)gs_buf_printf(out, "\\x%02x", (uint8_t)text.ptr[i += control - 1]);
        else
            (void)gs_buf_put(out, &text.ptr[i], 1);
    }
    if (quote)
        (void)gs_buf_put(out, "\"", 1);
}

static void
print_event(const struct tree *event)
{
    const char *name = ask_text(event, "event");
    struct gs_buf out;

    gs_buf_init(&out, LINE_BYTES_MAX);
    put_time(&out, ask_number(event, "time"));
    (void)gs_buf_printf(&out, "  %-*s", EVENT_COLUMN, name ? name : "?");
    for (size_t i = 0; i < event->count; i++) {
        struct gs_slice key = event->pairs[i].key;
        const struct tree *value = event->pairs[i].value;

        if (value->kind != TREE_SCALAR || gs_slice_eq(key, GS_SLICE("time")) ||
            gs_slice_eq(key, GS_SLICE("event")))
            continue;
        (void)gs_buf_printf(&out, " %.*s=", GS_SLICE_FMT(key));
        put_text(&out, value->text);
    }
    (void)gs_buf_put(&out, "\n", 1);
    cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
}

/* ---- following ---- */

/* The last line of an answer that the node ends is about the answer itself. */
static bool
is_last(struct events *e, const struct tree *event)
{
    const char *name = ask_text(event, "event");

    if (!name)
        return false;
    if (strcmp(name, "events.cut") == 0) {
        e->code = cli_fail(CLI_REFUSED, "gossamer events -f goes on from here",
                           "events: %s events were lost: they came faster than they were read",
                           ask_text(event, "lost") ? ask_text(event, "lost") : "some");
        return true;
    }
    if (strcmp(name, "events.end") != 0)
        return false;
    (void)fprintf(stderr, "the node stops\n");
    return true;
}

static void
on_line(void *arg, struct gs_slice line)
{
    struct events *e = arg;
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree *event = NULL;

    gs_arena_init(&arena, NULL, 0, 4096);
    gs_problems_init(&problems);
    if (tree_parse_json(line, NULL, &arena, &event, &problems) != GS_E_OK)
        event = NULL;
    if (!event || event->kind != TREE_MAP || !is_last(e, event)) {
        if (event && event->kind == TREE_MAP && (e->format == CLI_TABLE || e->format == CLI_WIDE)) {
            print_event(event);
        } else {
            cli_print(e->format == CLI_YAML ? GS_SLICE("- ") : GS_SLICE(""));
            cli_print(line);
            cli_print(GS_SLICE("\n"));
        }
    }
    (void)fflush(stdout);
    gs_problems_fini(&problems);
    gs_arena_fini(&arena);
}

static int
follow(struct events *e, struct ask *ask)
{
    struct cli_answer answer;
    struct gs_why why = { "" };
    struct gs_buf path;
    gs_err error;

    if (!ask->socket)
        return cli_fail(CLI_UNREACHABLE, "--socket PATH or GOSSAMER_SOCKET names it",
                        "there is no default admin socket: no home directory is known");
    ask_path(&path, "events");
    ask_param(&path, "follow", "1");
    error = cli_http_follow(ask->socket, gs_buf_cstr(&path), on_line, e, &answer, &why);
    gs_buf_fini(&path);
    if (error != GS_E_OK)
        return cli_unreachable(error, ask->socket, &why);
    gs_buf_fini(&answer.body);
    if (answer.status != 200)
        return cli_fail(CLI_REFUSED, NULL, "events: the node answered with status %u",
                        answer.status);
    return e->code;
}

static int
list(const struct events *e, struct ask *ask)
{
    const struct tree *all;
    struct gs_buf path;
    int code;

    ask_path(&path, "events");
    code = ask_list(ask, &path, "events", &all);
    gs_buf_fini(&path);
    if (code != CLI_GO_ON)
        return code;
    if (e->format == CLI_JSON || e->format == CLI_YAML)
        cli_print_json(e->format, ask->body);
    else if (!all)
        return ask_too_large(ask);
    else if (all->count == 0)
        (void)fprintf(stderr, "nothing has happened since the node was started\n");
    for (size_t i = 0; all && e->format != CLI_JSON && e->format != CLI_YAML && i < all->count; i++)
        print_event(all->items[i]);
    return CLI_GOOD;
}

int
cmd_events(int argc, char **argv)
{
    struct events e = { .code = CLI_GOOD };
    const char *socket = NULL;
    const struct cli_option table[] = {
        { 'f', "follow", CLI_SWITCH, &e.follow, NULL, "go on with those that come", { 0 } },
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(e.format),
    };
    const struct cli_command cmd = {
        .name = "events",
        .operands = "",
        .help =
            "Show the last 256 events of the mesh as the node saw them: nodes that came, went or\n"
            "are suspected, policy and notes that arrived, edits that were lost. With -f, json\n"
            "is one object a line.",
        .options = table,
        .option_count = GS_COUNT(table),
    };
    struct ask ask;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    _Static_assert(JOURNAL_MAX == 256, "named in the help");
    if (code != CLI_GO_ON)
        return code;
    ask_init(&ask, socket);
    ask.verbatim = true; /* put_text */
    code = e.follow ? follow(&e, &ask) : list(&e, &ask);
    ask_fini(&ask);
    return code;
}

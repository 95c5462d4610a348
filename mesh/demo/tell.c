/* tell.c - text and JSON of the demo. */
#include "mesh/demo/tell.h"

#include <stdio.h>

#include <gossamer/json_out.h>

#include "mesh/cli/cli.h"
#include "mesh/demo/hand.h"

#define TEXT_BYTES_MAX 65536
#define SENTENCE_BYTES_MAX 512

enum colour { PLAIN, BOLD, RED, GREEN };

/* ---- pieces ---- */

/* Line ends around the text stay uncoloured: they belong to no line. */
static void
say(struct tour *t, enum colour colour, const char *text)
{
    static const char *const codes[] = { "", "\x1b[1m", "\x1b[31m", "\x1b[32m" };
    bool coloured = t->screen.colour && colour != PLAIN;
    size_t before = strspn(text, "\n");
    size_t len = strlen(text + before);
    size_t after = len > 0 && text[before + len - 1] == '\n' ? 1 : 0;

    (void)gs_buf_printf(&t->text, "%.*s%s%.*s%s%s", (int)before, text,
                        coloured ? codes[colour] : "", (int)(len - after), text + before,
                        coloured ? "\x1b[0m" : "", after ? "\n" : "");
}

/* A sentence, indented; on a terminal it breaks between words. Bytes are taken for characters: too
 * short a line is no harm. */
static void
say_sentence_in(struct tour *t, enum colour colour, const char *text)
{
    size_t room = t->screen.live && t->screen.columns > 20 ? t->screen.columns - 3 : SIZE_MAX;
    size_t len = strlen(text);
    char line[SENTENCE_BYTES_MAX];

    GS_ASSERT(len + 4 <= sizeof(line));
    while (len > room) {
        size_t cut = room;

        while (cut > 0 && text[cut] != ' ')
            cut--;
        if (cut == 0)
            break; /* a word that is longer than the line */
        (void)snprintf(line, sizeof(line), "  %.*s\n", (int)cut, text);
        say(t, colour, line);
        text += cut + 1;
        len -= cut + 1;
    }
    (void)snprintf(line, sizeof(line), "  %s\n", text);
    say(t, colour, line);
}

static void
say_sentence(struct tour *t, const char *text)
{
    say_sentence_in(t, PLAIN, text);
}

static void
flush(struct tour *t)
{
    GS_ASSERT(!t->text.failed);
    screen_say(&t->screen, gs_buf_slice(&t->text));
    gs_buf_clear(&t->text);
}

void
tell_line(struct tour *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)gs_buf_vprintf(&t->text, fmt, ap);
    va_end(ap);
    (void)gs_buf_put_str(&t->text, "\n");
    flush(t);
}

/* ---- before the steps ---- */

void
tell_start(struct tour *t)
{
    const struct stage *s = &t->stage;
    struct gs_addr outbound = ground_port(&s->ground, 1, PORT_OUTBOUND);
    char moved[256], a[GS_ADDR_TEXT];

    ground_moved(&s->ground, moved, sizeof(moved));
    if (t->o->silent && moved[0])
        (void)fprintf(stderr, "gossamer: demo: %s\n", moved);
    say(t, BOLD, "gossamer demo");
    (void)gs_buf_printf(&t->text, "   %u nodes on 127.0.0.%u-%u, %u instances of 4 services\n",
                        s->node_count, s->ground.first, s->ground.first + s->node_count - 1,
                        s->service_count);
    if (moved[0])
        (void)gs_buf_printf(&t->text, "  moved      %s\n", moved);
    (void)gs_buf_printf(&t->text,
                        "  clients    %u requests a second for http://" SCRIPT_ENTRY
                        "/ through %s\n"
                        "  services   " SCRIPT_ENTRY " asks planner, which asks " SCRIPT_SEARCH
                        " and " SCRIPT_SERVICE " (v1, v2)\n"
                        "  directory  %s\n",
                        TOUR_PACE, gs_addr_text(&outbound, a), s->ground.dir);
    flush(t);
}

/* ---- one step ---- */

void
tell_step(struct tour *t, const struct script_step *step)
{
    char title[256];

    (void)snprintf(title, sizeof(title), "\n[%u/%d] %s\n", step->chapter, SCRIPT_CHAPTERS,
                   step->title);
    say(t, BOLD, title);
    flush(t);
}

static void
say_changes(struct tour *t, const char *changes)
{
    struct gs_slice rest = gs_slice_str(changes);
    struct gs_slice line;
    char text[256];

    while (rest.len > 0 && gs_slice_cut(&rest, '\n', &line)) {
        (void)snprintf(text, sizeof(text), "    %.*s\n", GS_SLICE_FMT(line));
        say(t, line.ptr[0] == '-' ? RED : line.ptr[0] == '+' ? GREEN : PLAIN, text);
    }
}

/* The DestinationRule stays as it is, so it is no part of the comparison. */
void
tell_manifest(struct tour *t, unsigned node, const char *path)
{
    const char *former = gs_buf_cstr(&t->former);
    const char *rest = strstr(former, "\n---\n");
    struct gs_buf changes;

    (void)gs_buf_printf(&t->text, "  n%u: apply -f %s\n", node, path);
    gs_buf_init(&changes, TEXT_BYTES_MAX);
    script_changes(rest ? rest + 5 : former, gs_buf_cstr(&t->manifest), &changes);
    say_changes(t, gs_buf_cstr(&changes));
    gs_buf_fini(&changes);
    flush(t);
}

void
tell_result(struct tour *t, const struct result *r)
{
    bool held = result_held(r);
    char what[400], line[420];

    if (r->saw[0])
        say_sentence(t, r->saw);
    if (held)
        result_promised(r, what, sizeof(what));
    else
        result_broken(r, what, sizeof(what));
    (void)snprintf(line, sizeof(line), "%s: %s", held ? "held" : "NOT held", what);
    say_sentence_in(t, held ? GREEN : RED, line);
    (void)gs_buf_put_str(&t->text, "  by hand:\n");
    hand_step(t, r->step, &t->text);
    flush(t);
}

/* ---- the table ---- */

static struct load_count
clients(struct tour *t)
{
    struct load_count c = t->clients;

    if (t->load)
        load_total(t->load, &c);
    return c;
}

static void
say_table(struct tour *t, unsigned width)
{
    struct load_count c = clients(t);

    view_render(&t->view, width, t->screen.colour, &t->text);
    (void)gs_buf_printf(&t->text, "clients  %llu requests, %llu failed, p99 %.1f ms\n",
                        (unsigned long long)c.ended, (unsigned long long)c.failed,
                        (double)gs_hist_quantile_us(&c.latency, 0.99) / 1000);
}

void
tell_table(struct tour *t)
{
    if (t->screen.live)
        return;
    view_refresh(&t->view, &t->stage);
    (void)gs_buf_put_str(&t->text, "\n");
    say_table(t, t->screen.columns);
    flush(t);
}

void
tell_block(struct tour *t)
{
    if (!t->screen.live)
        return;
    GS_ASSERT(t->text.len == 0);
    (void)gs_buf_put_str(&t->text, "\n");
    say_table(t, t->screen.columns - 1);
    say(t, BOLD, t->prompt);
    screen_block(&t->screen, gs_buf_slice(&t->text));
    gs_buf_clear(&t->text);
}

/* ---- afterwards ---- */

void
tell_more(struct tour *t, bool stays)
{
    say(t, BOLD, "\nThe second five minutes");
    (void)gs_buf_printf(&t->text, "%s\n",
                        stays ? "" : " (gossamer demo --keep leaves the mesh up for them)");
    hand_more(t, &t->text);
    if (stays && !t->o->by_hand)
        say(t, BOLD, "\nThe mesh is up for you to try, until Ctrl-C.\n");
    flush(t);
}

void
tell_end(struct tour *t)
{
    char line[400];
    bool held = true;

    if (t->count == 0)
        return;
    say(t, BOLD, "\nWhat you saw\n");
    for (size_t i = 0; i < t->count; i++) {
        const struct result *r = &t->results[i];

        held = held && result_held(r);
        (void)snprintf(line, sizeof(line), "%-10s %s %s", r->step->name,
                       result_held(r) ? "held:" : "NOT held:", r->saw);
        say_sentence(t, line);
    }
    say(t, held ? GREEN : RED,
        !held                      ? "Not every promise held.\n"
        : t->count == SCRIPT_STEPS ? "Every promise held.\n"
                                   : "Every promise so far held.\n");
    flush(t);
}

void
tell_child(struct tour *t, const struct gs_why *why)
{
    struct gs_slice log = gs_slice_str(t->stage.said);

    (void)gs_buf_printf(&t->text, "%s; the end of its log:\n", why->text);
    (void)gs_buf_put_slice(&t->text, log);
    if (!gs_slice_ends(log, GS_SLICE("\n")))
        (void)gs_buf_put_str(&t->text, "\n");
    if (!t->screen.live) {
        (void)fflush(stdout);
        (void)fwrite(t->text.ptr, 1, t->text.len, stderr);
        gs_buf_clear(&t->text);
    }
    flush(t);
}

/* ---- JSON ---- */

static void
node_json(struct tour *t, unsigned number, struct json_out *j)
{
    const struct view_node *v = &t->view.nodes[number - 1];
    const struct stage_node *n = stage_node(&t->stage, number);
    struct gs_addr outbound = ground_port(&t->stage.ground, number, PORT_OUTBOUND);
    struct gs_addr admin = ground_port(&t->stage.ground, number, PORT_ADMIN);
    char text[GS_ADDR_TEXT], state[32];

    json_obj(j);
    json_kstr(j, "node", n->name);
    json_kstr(j, "outbound", gs_addr_text(&outbound, text));
    json_kstr(j, "admin", gs_addr_text(&admin, text));
    json_kstr(j, "socket", n->socket);
    json_kstr(j, "state", view_state(&t->view, number, state));
    json_ku64(j, "peers", v->peers);
    json_kstr(j, "config", v->policy.version[0] ? v->policy.version : NULL);
    json_kdouble(j, "rps", v->rps);
    json_kdouble(j, "success_rate", v->success);
    json_kdouble(j, "p99_ms", v->p99_ms);
    json_kdouble(j, "cpu_percent", v->cpu_percent);
    json_ku64(j, "rss_bytes", v->rss_bytes);
    json_obj_end(j);
}

static void
clients_json(struct tour *t, struct json_out *j)
{
    struct load_count c = clients(t);

    json_key(j, "clients");
    json_obj(j);
    json_ku64(j, "requests", c.ended);
    json_ku64(j, "failed", c.failed);
    json_kdouble(j, "p99_ms", (double)gs_hist_quantile_us(&c.latency, 0.99) / 1000);
    json_obj_end(j);
}

void
tell_json(struct tour *t, const char *error)
{
    struct json_out j;

    GS_ASSERT(t->text.len == 0);
    json_init(&j, &t->text);
    json_obj(&j);
    json_key(&j, "demo");
    json_arr(&j);
    for (size_t i = 0; i < t->count; i++)
        result_json(&t->results[i], &j);
    json_arr_end(&j);
    json_key(&j, "nodes");
    json_arr(&j);
    for (unsigned i = 1; t->view.count > 0 && i <= t->stage.node_count; i++)
        node_json(t, i, &j);
    json_arr_end(&j);
    clients_json(t, &j);
    json_kdouble(&j, "ready_ms", t->ready_ms);
    json_ku64(&j, "seed", t->o->seed);
    if (error)
        json_kstr(&j, "error", error);
    json_obj_end(&j);
    GS_ASSERT(!t->text.failed);
    cli_print_json(t->o->yaml ? CLI_YAML : CLI_JSON, gs_buf_slice(&t->text));
    gs_buf_clear(&t->text);
}

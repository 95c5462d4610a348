/* tell.c - text and JSON of the demo. */
#include "mesh/demo/tell.h"

#include <errno.h>
#include <stdio.h>

#include <gossamer/json_out.h>

#include "mesh/cli/cli.h"
#include "mesh/demo/stage.h"

#define TEXT_BYTES_MAX 65536
#define BAR_WIDTH 40

enum colour { PLAIN, BOLD, RED, GREEN };

void
tell_init(struct tell *t, const struct tour_options *o)
{
    *t = (struct tell){ .o = o, .colour = cli_colour(stdout) };
    gs_buf_init(&t->out, TEXT_BYTES_MAX);
}

void
tell_fini(struct tell *t)
{
    gs_buf_fini(&t->out);
}

/* ---- pieces ---- */

/* Line ends around the text stay uncoloured: they belong to no line. */
static void
say(struct tell *t, enum colour colour, const char *text)
{
    static const char *const codes[] = { "", "\x1b[1m", "\x1b[31m", "\x1b[32m" };
    bool coloured = t->colour && colour != PLAIN;
    size_t before = strspn(text, "\n");
    size_t len = strlen(text + before);
    size_t after = len > 0 && text[before + len - 1] == '\n' ? 1 : 0;

    (void)gs_buf_printf(&t->out, "%.*s%s%.*s%s%s", (int)before, text, coloured ? codes[colour] : "",
                        (int)(len - after), text + before, coloured ? "\x1b[0m" : "",
                        after ? "\n" : "");
}

static void
write_out(struct tell *t)
{
    if (fflush(stdout) != 0 && t->error == 0)
        t->error = errno;
}

static void
flush(struct tell *t)
{
    GS_ASSERT(!t->out.failed);
    if (!t->o->silent) {
        cli_print(gs_buf_slice(&t->out));
        write_out(t);
    }
    gs_buf_clear(&t->out);
}

static void
say_bar(struct tell *t, const char *name, unsigned count, unsigned all)
{
    unsigned width = all > 0 ? (count * BAR_WIDTH + all / 2) / all : 0;
    char bar[BAR_WIDTH + 1];

    if (count > 0 && width == 0)
        width = 1;
    memset(bar, '#', width);
    bar[width] = '\0';
    (void)gs_buf_printf(&t->out, "    %-8s %-*s %5u  %5.1f %%\n", name, BAR_WIDTH, bar, count,
                        all > 0 ? 100.0 * count / all : 0);
}

static void
say_failed(struct tell *t, unsigned failed)
{
    char line[128];

    (void)snprintf(line, sizeof(line), "    %-8s %-*s %5u\n", "failed", BAR_WIDTH, "", failed);
    say(t, failed > 0 ? RED : PLAIN, line);
}

/* ---- before the steps ---- */

static void
say_place(struct tell *t, const char *name, const struct gs_addr *at, const char *what)
{
    char a[GS_ADDR_TEXT];

    (void)gs_buf_printf(&t->out, "  %-9s %-16s %s\n", name, gs_addr_text(at, a), what);
}

void
tell_start(struct tell *t, struct stage *s)
{
    const char *moved = stage_moved(s);

    if (t->o->silent && moved)
        (void)fprintf(stderr, "gossamer: demo: taken ports: %s\n", moved);
    say(t, BOLD, "gossamer demo");
    (void)gs_buf_put_str(&t->out, "   one node and two versions of a service \"" SCRIPT_SERVICE
                                  "\", all on this machine\n\n");
    say_place(t, "outbound", &s->ports[PORT_OUTBOUND], "where applications call the mesh");
    say_place(t, "admin", &s->ports[PORT_ADMIN], "/live /ready /metrics");
    say_place(t, "tools v1", &s->ports[PORT_V1], "the service as it is");
    say_place(t, "tools v2", &s->ports[PORT_V2], "its new version");
    (void)gs_buf_printf(&t->out, "  %-9s %s\n", "socket", s->socket);
    if (moved)
        (void)gs_buf_printf(&t->out, "  taken ports: %s\n", moved);
    (void)gs_buf_printf(&t->out, "  ready after %llu ms\n", (unsigned long long)s->ready_ms);
    flush(t);
}

void
tell_prompt(struct tell *t)
{
    if (t->o->by_hand)
        say(t, BOLD, "\nEnter: next step   Ctrl-C: end ");
    flush(t);
}

void
tell_stopped(struct tell *t)
{
    say(t, PLAIN, t->o->by_hand ? "\n" : ""); /* the prompt stands there, and maybe ^C */
    flush(t);
}

/* ---- one step ---- */

static void
say_changes(struct tell *t, const char *changes)
{
    struct gs_slice rest = gs_slice_str(changes);
    struct gs_slice line;
    char text[256];

    while (rest.len > 0 && gs_slice_cut(&rest, '\n', &line)) {
        (void)snprintf(text, sizeof(text), "    %.*s\n", GS_SLICE_FMT(line));
        say(t, line.ptr[0] == '-' ? RED : line.ptr[0] == '+' ? GREEN : PLAIN, text);
    }
}

/* The whole of the first; of those after it what differs. The DestinationRule stays as it is, so
 * it is no part of the comparison. */
void
tell_manifest(struct tell *t, const struct script_step *step, const char *path, const char *former,
              const char *manifest)
{
    const char *rest = strstr(former, "\n---\n");
    struct gs_buf changes;
    char title[256];

    (void)snprintf(title, sizeof(title), "\n[%d/%d] %s\n", (int)(step - script_steps) + 1,
                   SCRIPT_STEPS, step->title);
    say(t, BOLD, title);
    (void)gs_buf_printf(&t->out, "  %s\n", path);
    gs_buf_init(&changes, TEXT_BYTES_MAX);
    script_changes(rest ? rest + 5 : former, manifest, &changes);
    say_changes(t, gs_buf_cstr(&changes));
    gs_buf_fini(&changes);
    flush(t);
}

void
tell_applied(struct tell *t, const struct tour_result *r)
{
    if (r->refused[0])
        (void)gs_buf_printf(&t->out, "  not in effect after %.1f ms: %s\n", r->apply_ms,
                            r->refused);
    else
        (void)gs_buf_printf(
            &t->out, "  applied in %.1f ms: on disk, and every worker routes by it\n", r->apply_ms);
    flush(t);
}

static void
say_verdict(struct tell *t, const struct tour_result *r)
{
    say(t, r->held ? GREEN : RED, r->held ? "  held" : "  NOT held");
    (void)gs_buf_printf(&t->out, ": v1 %u %%, v2 %u %% within %.0f points%s; none failed%s",
                        100 - r->step->share_v2, r->step->share_v2, TOUR_POINTS,
                        r->shares ? "" : " (no)", r->none_failed ? "" : " (no)");
    if (r->step->matches_header)
        (void)gs_buf_printf(&t->out, "; with the header all to v2%s", r->tagged ? "" : " (no)");
    (void)gs_buf_printf(&t->out, "; applied within %.0f ms%s\n", TOUR_APPLY_MS,
                        r->in_time ? "" : " (no)");
}

void
tell_counts(struct tell *t, const struct tour_result *r)
{
    const struct load_count *plain = &r->load.plain;
    const struct load_count *tagged = &r->load.tagged;

    (void)gs_buf_printf(&t->out, "  %d requests", TOUR_REQUESTS);
    if (r->step->matches_header)
        (void)gs_buf_printf(&t->out, " without and %d with the header", TOUR_TAGGED);
    (void)gs_buf_printf(&t->out, ", %d connections, %.2f s\n", TOUR_CONNECTIONS,
                        (double)r->load.took_us / 1e6);
    say_bar(t, "v1", plain->v1, TOUR_REQUESTS);
    say_bar(t, "v2", plain->v2, TOUR_REQUESTS);
    if (r->step->matches_header) {
        (void)gs_buf_put_str(&t->out, "    with \"" SCRIPT_HEADER ": " SCRIPT_HEADER_VALUE "\"\n");
        say_bar(t, "v1", tagged->v1, TOUR_TAGGED);
        say_bar(t, "v2", tagged->v2, TOUR_TAGGED);
    }
    say_failed(t, plain->failed + tagged->failed);
    if (r->load.failure[0])
        (void)gs_buf_printf(&t->out, "             the first: %s\n", r->load.failure);
    say_verdict(t, r);
    flush(t);
}

/* ---- afterwards ---- */

/* As a shell takes it: TMPDIR and the program's place may hold anything. */
static void
say_word(struct tell *t, const char *text)
{
    const char *plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+:@%,=";

    if (text[strspn(text, plain)] == '\0') {
        (void)gs_buf_put_str(&t->out, text);
        return;
    }
    (void)gs_buf_put_str(&t->out, "'");
    for (; *text; text++) {
        if (*text == '\'')
            (void)gs_buf_put_str(&t->out, "'\\'");
        (void)gs_buf_put(&t->out, text, 1);
    }
    (void)gs_buf_put_str(&t->out, "'");
}

static void
say_verb(struct tell *t, struct stage *s, const char *verb)
{
    (void)gs_buf_put_str(&t->out, "  ");
    say_word(t, s->program);
    (void)gs_buf_printf(&t->out, " %s --socket ", verb);
    say_word(t, s->socket);
}

static void
say_command(struct tell *t, struct stage *s, const char *verb, const char *more)
{
    say_verb(t, s, verb);
    (void)gs_buf_printf(&t->out, "%s%s\n", more[0] ? " " : "", more);
}

static void
say_steps(struct tell *t, struct stage *s)
{
    char name[64];

    for (size_t i = 0; i < SCRIPT_STEPS; i++) {
        (void)snprintf(name, sizeof(name), "%s.yaml", script_steps[i].name);
        say_verb(t, s, "apply");
        (void)gs_buf_put_str(&t->out, " -f ");
        say_word(t, stage_path(s, name));
        (void)gs_buf_put_str(&t->out, "\n");
    }
    (void)gs_buf_put_str(&t->out, "or without a file\n");
    say_command(t, s, "split", SCRIPT_SERVICE " v1=75 v2=25");
}

static void
say_looks(struct tell *t, struct stage *s)
{
    char a[GS_ADDR_TEXT];

    (void)gs_addr_text(&s->ports[PORT_OUTBOUND], a);
    (void)gs_buf_printf(&t->out,
                        "call it as an application does\n"
                        "  curl -H 'Host: " SCRIPT_SERVICE "' http://%s/search\n"
                        "  curl -x http://%s http://" SCRIPT_SERVICE "/search\n"
                        "  curl -H 'Host: " SCRIPT_SERVICE "' -H '" SCRIPT_HEADER
                        ": " SCRIPT_HEADER_VALUE "' http://%s/search\n"
                        "and see what became of it\n",
                        a, a, a);
    say_command(t, s, "stat", "");
    say_command(t, s, "endpoints", "");
    say_command(t, s, "get", "-o yaml");
    say_command(t, s, "explain", "GET http://" SCRIPT_SERVICE "/search");
    (void)gs_buf_printf(&t->out, "  curl http://%s/metrics\n",
                        gs_addr_text(&s->ports[PORT_ADMIN], a));
}

void
tell_end(struct tell *t, struct stage *s, bool held)
{
    bool stays = t->o->by_hand || t->o->keep;

    say(t, held ? GREEN : RED, held ? "\nEvery promise held.\n" : "\nNot every promise held.\n");
    (void)gs_buf_printf(&t->out, "\nEach step by hand%s:\n",
                        stays ? "" : " (gossamer demo --keep leaves the mesh up to try it)");
    say_steps(t, s);
    say_looks(t, s);
    if (stays)
        say(t, BOLD,
            t->o->by_hand ? "\nThe mesh is up for you to try. Enter or Ctrl-C: end "
                          : "\nThe mesh is up for you to try, until Ctrl-C.\n");
    flush(t);
}

/* ---- JSON ---- */

static void
counts_json(struct json_out *j, const char *key, const struct load_count *c)
{
    unsigned all = c->v1 + c->v2 + c->failed;

    json_key(j, key);
    json_obj(j);
    json_ku64(j, "requests", all);
    json_ku64(j, "v1", c->v1);
    json_ku64(j, "v2", c->v2);
    json_ku64(j, "failed", c->failed);
    json_kdouble(j, "v1_percent", all > 0 ? 100.0 * c->v1 / all : 0);
    json_kdouble(j, "v2_percent", all > 0 ? 100.0 * c->v2 / all : 0);
    json_obj_end(j);
}

static void
promised_json(struct json_out *j, const struct script_step *step)
{
    json_key(j, "promised");
    json_obj(j);
    json_kdouble(j, "apply_ms_below", TOUR_APPLY_MS);
    json_ku64(j, "failed", 0);
    json_ku64(j, "v1_percent", 100 - step->share_v2);
    json_ku64(j, "v2_percent", step->share_v2);
    json_kdouble(j, "within_points", TOUR_POINTS);
    if (step->matches_header)
        json_ku64(j, "with_header_v2_percent", 100);
    json_obj_end(j);
}

static void
result_json(struct json_out *j, const struct tour_result *r)
{
    json_obj(j);
    json_kstr(j, "step", r->step->name);
    promised_json(j, r->step);
    json_key(j, "measured");
    json_obj(j);
    json_kdouble(j, "apply_ms", r->apply_ms);
    if (r->refused[0])
        json_kstr(j, "refused", r->refused);
    counts_json(j, "plain", &r->load.plain);
    if (r->step->matches_header)
        counts_json(j, "with_header", &r->load.tagged);
    json_kdouble(j, "seconds", (double)r->load.took_us / 1e6);
    if (r->load.failure[0])
        json_kstr(j, "first_failure", r->load.failure);
    json_obj_end(j);
    json_kbool(j, "held", r->held);
    json_obj_end(j);
}

static void
place_json(struct json_out *j, const char *key, const struct gs_addr *at)
{
    char a[GS_ADDR_TEXT];

    json_kstr(j, key, at->family != 0 ? gs_addr_text(at, a) : NULL);
}

void
tell_json(struct tell *t, struct stage *s, const struct tour_result *results, size_t count,
          const char *error)
{
    struct json_out j;

    GS_ASSERT(t->out.len == 0);
    json_init(&j, &t->out);
    json_obj(&j);
    json_key(&j, "demo");
    json_arr(&j);
    for (size_t i = 0; i < count; i++)
        result_json(&j, &results[i]);
    json_arr_end(&j);
    place_json(&j, "outbound", &s->ports[PORT_OUTBOUND]);
    place_json(&j, "admin", &s->ports[PORT_ADMIN]);
    json_kstr(&j, "socket", s->socket);
    json_ku64(&j, "ready_ms", s->ready_ms);
    if (error)
        json_kstr(&j, "error", error);
    json_obj_end(&j);
    GS_ASSERT(!t->out.failed);
    cli_print_json(t->o->yaml ? CLI_YAML : CLI_JSON, gs_buf_slice(&t->out));
    write_out(t);
    gs_buf_clear(&t->out);
}

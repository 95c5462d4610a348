/* stage.c - processes, and the files they are started with; see stage.h. */
#include "mesh/demo/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gossamer/buf.h>
#include <gossamer/json_out.h>
#include <gossamer/rng.h>

#include "mesh/config/config.h"
#include "mesh/demo/serve.h"

#define PATIENCE_US 2000000 /* all children together; a node's drain is at most 1 s */
#define LISTEN_US 1000000   /* for services to begin; longer is no failure yet */
#define LISTEN_STEP_MS 3
#define LOG_SHOWN_BYTES 2000
#define CONFIG_BYTES_MAX 65536
#define WORDS_MAX 24

/* ---- files ---- */

const char *
stage_path(struct stage *s, const char *name)
{
    GS_ASSERT(s->ground.dir[0]);
    return gs_arena_printf(&s->arena, "%s/%s", s->ground.dir, name);
}

gs_err
stage_write(struct stage *s, const char *path, struct gs_slice text, struct gs_why *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len;

    GS_ASSERT(s->ground.dir[0]);
    if (fd >= 0)
        good = close(fd) == 0 && good;
    return good ? GS_E_OK : gs_refuse(why, GS_E_IO, "cannot write %s: %s", path, strerror(errno));
}

/* The end of a file, in whole lines; NUL behind it. */
static void
read_tail(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)size - 1 ? end - (off_t)(size - 1) : 0;
    ssize_t n = end < 0 ? -1 : pread(fd, out, size - 1, from);
    const char *line;

    if (fd >= 0)
        (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    line = from > 0 ? strchr(out, '\n') : NULL;
    if (line)
        memmove(out, line + 1, strlen(line + 1) + 1);
}

static gs_err
write_key(struct stage *s, struct gs_why *why)
{
    uint8_t key[CONFIG_KEY_BYTES];
    char text[CONFIG_KEY_TEXT + 1];
    gs_err e;

    gs_random_bytes(key, sizeof(key));
    config_key_text(key, text);
    memcpy(text + strlen(text), "\n", 2);
    e = stage_write(s, stage_path(s, "gossip.key"), gs_slice_str(text), why);
    explicit_bzero(key, sizeof(key));
    explicit_bzero(text, sizeof(text));
    return e;
}

/* ---- a node's configuration ---- */

static void
put_quoted(struct gs_buf *out, const char *text)
{
    struct json_out j;

    json_init(&j, out);
    json_str(&j, text); /* YAML reads it as JSON does, whatever the directory is called */
}

static void
put_services(struct stage *s, const struct stage_node *n, struct gs_buf *out)
{
    const char *open = NULL; /* versions of one service stand next to each other in the script */
    char a[GS_ADDR_TEXT];

    (void)gs_buf_put_str(out, "services:\n");
    for (unsigned i = 0; i < s->service_count; i++) {
        const struct stage_service *v = &s->services[i];

        if (v->node != n->number)
            continue;
        if (!open || strcmp(open, v->app->service) != 0)
            (void)gs_buf_printf(out,
                                "  - name: %s\n    port: 80\n    protocol: http\n"
                                "    instances:\n",
                                v->app->service);
        open = v->app->service;
        (void)gs_buf_printf(out,
                            "      - { address: %s, labels: { version: %s },"
                            " health: { http: /healthz, interval: 1s } }\n",
                            gs_addr_text(&v->at, a), v->app->version);
    }
}

static void
put_config(struct stage *s, const struct stage_node *n, struct gs_buf *out)
{
    struct gs_addr ports[GROUND_PORTS], first;
    char a[GS_ADDR_TEXT], b[GS_ADDR_TEXT];

    GS_ASSERT(n->number >= 1);
    for (unsigned i = 0; i < GROUND_PORTS; i++)
        ports[i] = ground_port(&s->ground, n->number, i);
    first = ground_port(&s->ground, 1, PORT_GOSSIP);
    (void)gs_buf_printf(out, "node: %s\nstate_dir: ", n->name);
    put_quoted(out, stage_path(s, gs_arena_printf(&s->arena, "%s/state", n->name)));
    (void)gs_buf_printf(out, "\nproxy: { outbound: %s, inbound: %s, workers: 1 }\n",
                        gs_addr_text(&ports[PORT_OUTBOUND], a),
                        gs_addr_text(&ports[PORT_INBOUND], b));
    (void)gs_buf_printf(out, "gossip:\n  bind: %s\n", gs_addr_text(&ports[PORT_GOSSIP], a));
    if (n->number > 1) /* the first one founds the mesh */
        (void)gs_buf_printf(out, "  join: [%s]\n", gs_addr_text(&first, a));
    (void)gs_buf_put_str(out, "  key_file: ");
    put_quoted(out, stage_path(s, "gossip.key"));
    (void)gs_buf_printf(out,
                        "\nadmin:\n  listen: %s\n  socket: ", gs_addr_text(&ports[PORT_ADMIN], a));
    put_quoted(out, n->socket);
    (void)gs_buf_put_str(out, "\nidentity: { mode: off }\ntimeouts: { drain: 1s }\n");
    put_services(s, n, out);
}

static gs_err
write_config(struct stage *s, const struct stage_node *n, struct gs_why *why)
{
    struct gs_buf out;
    gs_err e;

    if (mkdir(n->dir, 0700) != 0 && errno != EEXIST)
        return gs_refuse(why, GS_E_IO, "cannot make %s: %s", n->dir, strerror(errno));
    gs_buf_init(&out, CONFIG_BYTES_MAX);
    put_config(s, n, &out);
    GS_ASSERT(!out.failed);
    e = stage_write(s, n->config, gs_buf_slice(&out), why);
    gs_buf_fini(&out);
    return e;
}

/* ---- who is where ---- */

static void
assign(struct stage *s)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        struct stage_node *n = &s->nodes[i];

        *n = (struct stage_node){ .number = i + 1 };
        n->name = gs_arena_printf(&s->arena, "n%u", i + 1);
        n->dir = stage_path(s, n->name);
        n->config = gs_arena_printf(&s->arena, "%s/gossamer.yaml", n->dir);
        n->socket = gs_arena_printf(&s->arena, "%s/admin.sock", n->dir);
        n->child.name = gs_arena_printf(&s->arena, "node %s", n->name);
        n->child.log = gs_arena_printf(&s->arena, "%s/node.log", n->dir);
    }
    s->service_count = 0;
    for (unsigned node = 1; node <= s->node_count; node++) {
        for (unsigned i = 0; i < SCRIPT_APPS; i++) {
            const struct script_app *app = &script_apps[i];
            struct stage_service *v = &s->services[s->service_count];

            if (!script_hosts(app, node))
                continue;
            GS_ASSERT(s->service_count < STAGE_SERVICES_MAX);
            *v = (struct stage_service){ .app = app, .node = node };
            v->at = ground_app(&s->ground, node, app);
            v->child.name =
                gs_arena_printf(&s->arena, "%s %s of n%u", app->service, app->version, node);
            v->child.log = gs_arena_printf(&s->arena, "%s/%s-%s.log", s->nodes[node - 1].dir,
                                           app->service, app->version);
            s->service_count++;
        }
    }
}

struct stage_node *
stage_node(struct stage *s, unsigned number)
{
    GS_ASSERT(number >= 1);
    GS_ASSERT(number <= s->node_count);
    return &s->nodes[number - 1];
}

struct stage_service *
stage_service(struct stage *s, const struct script_app *app, unsigned node)
{
    for (unsigned i = 0; i < s->service_count; i++) {
        if (s->services[i].app == app && s->services[i].node == node)
            return &s->services[i];
    }
    GS_UNREACHABLE("script_hosts says who is there");
}

/* ---- processes ---- */

/* GOSSAMER_* would override the node's configuration: the children get none of it. */
static char **
child_env(struct stage *s)
{
    size_t count = 0, n = 0;
    char **env;

    while (environ[count])
        count++;
    env = gs_arena_alloc(&s->arena, (count + 1) * sizeof(*env));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "GOSSAMER_", 9) != 0)
            env[n++] = environ[i];
    }
    env[n] = NULL;
    return env;
}

static gs_err
start_child(struct stage *s, struct child *c, const char *const *words, struct gs_why *why)
{
    char *argv[WORDS_MAX + 1];
    size_t n = 0;

    for (; words[n]; n++) {
        GS_ASSERT(n < WORDS_MAX);
        argv[n] = (char *)(uintptr_t)gs_arena_strdup(&s->arena, gs_slice_str(words[n]));
    }
    argv[n] = NULL;
    return child_start(c,
                       &(struct child_start){
                           "/proc/self/exe",
                           argv,
                           child_env(s),
                           &s->watch.former,
                       },
                       why);
}

static gs_err
start_service(struct stage *s, struct stage_service *v, struct gs_why *why)
{
    struct gs_addr outbound = ground_port(&s->ground, v->node, PORT_OUTBOUND);
    char at[GS_ADDR_TEXT], via[GS_ADDR_TEXT];
    const char *words[WORDS_MAX + 1] = { "gossamer",
                                         "demo",
                                         "serve",
                                         "--name",
                                         v->app->service,
                                         "--version",
                                         v->app->version,
                                         "--node",
                                         s->nodes[v->node - 1].name,
                                         "--listen",
                                         gs_addr_text(&v->at, at),
                                         "--latency=0" };
    size_t n = 12;

    if (v->app->calls[0]) {
        words[n++] = "--via";
        words[n++] = gs_addr_text(&outbound, via);
    }
    for (unsigned i = 0; i < SCRIPT_CALLS_MAX && v->app->calls[i]; i++) {
        words[n++] = "--call";
        words[n++] = v->app->calls[i];
    }
    if (s->v2_broken && strcmp(v->app->version, "v2") == 0)
        words[n++] = "--status=500";
    GS_ASSERT(n <= WORDS_MAX);
    return start_child(s, &v->child, words, why);
}

static gs_err
start_node(struct stage *s, struct stage_node *n, struct gs_why *why)
{
    const char *const words[] = { "gossamer", "run", "-c", n->config, "--allow-faults", NULL };

    GS_ASSERT(n->child.pid == 0);
    n->down = false;
    return start_child(s, &n->child, words, why);
}

/* ---- how are they? ---- */

void
stage_said(struct stage *s, const struct child *c)
{
    read_tail(c->log, s->said, sizeof(s->said));
}

static gs_err
ended(struct stage *s, struct child *c, struct gs_why *why)
{
    child_ending(c, why);
    c->over = false;
    stage_said(s, c);
    return strstr(s->said, "cannot listen on") ? GS_E_IN_USE : GS_E_IO;
}

gs_err
stage_check(struct stage *s, struct gs_why *why)
{
    for (unsigned i = 0; i < s->node_count; i++) {
        if (child_over(&s->nodes[i].child)) {
            s->nodes[i].down = true;
            return ended(s, &s->nodes[i].child, why);
        }
    }
    for (unsigned i = 0; i < s->service_count; i++) {
        if (child_over(&s->services[i].child))
            return ended(s, &s->services[i].child, why);
    }
    return GS_E_OK;
}

bool
stage_listens(const struct stage *s)
{
    char log[LOG_SHOWN_BYTES];

    for (unsigned i = 0; i < s->service_count; i++) {
        read_tail(s->services[i].child.log, log, sizeof(log));
        if (!strstr(log, SERVE_LISTENS))
            return false;
    }
    return true;
}

bool
stage_last_said(const struct child *c, const char *words)
{
    char log[LOG_SHOWN_BYTES];
    size_t len;
    const char *line;

    GS_ASSERT(words[0]);
    read_tail(c->log, log, sizeof(log));
    len = strlen(log);
    if (len == 0 || log[len - 1] != '\n')
        return false;
    log[len - 1] = '\0';
    line = strrchr(log, '\n');
    return strstr(line ? line : log, words) != NULL;
}

void
stage_kill(struct stage *s, unsigned node)
{
    struct stage_node *n = stage_node(s, node);

    child_signal(&n->child, SIGKILL);
    (void)child_reap(&n->child, 0); /* had it ended by itself, stage_check tells */
    n->down = true;
}

gs_err
stage_return(struct stage *s, unsigned node, struct gs_why *why)
{
    struct stage_node *n = stage_node(s, node);

    GS_ASSERT(n->down);
    return start_node(s, n, why);
}

/* ---- up and down ---- */

static void
reap(struct stage *s, struct child *c, uint64_t until_us, gs_err *e, struct gs_why *why)
{
    if (!child_reap(c, until_us) && *e == GS_E_OK)
        *e = ended(s, c, why);
}

/* All at once, nodes first: while they drain, the services still answer. */
gs_err
stage_down(struct stage *s, struct gs_why *why)
{
    uint64_t until_us = watch_now_us() + PATIENCE_US;
    gs_err e = GS_E_OK;

    for (unsigned i = 0; i < s->node_count; i++)
        child_signal(&s->nodes[i].child, SIGTERM);
    for (unsigned i = 0; i < s->node_count; i++)
        reap(s, &s->nodes[i].child, until_us, &e, why);
    for (unsigned i = 0; i < s->service_count; i++)
        child_signal(&s->services[i].child, SIGTERM);
    for (unsigned i = 0; i < s->service_count; i++)
        reap(s, &s->services[i].child, until_us, &e, why);
    return e;
}

static const char *
find_program(struct gs_arena *arena)
{
    char exe[PATH_MAX], here[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    size_t len;

    if (n <= 0)
        return "gossamer";
    exe[n] = '\0';
    len = getcwd(here, sizeof(here)) ? strlen(here) : 0;
    if (len > 1 && strncmp(exe, here, len) == 0 && exe[len] == '/')
        return gs_arena_printf(arena, ".%s", exe + len);
    return gs_arena_strdup(arena, gs_slice_str(exe));
}

void
stage_init(struct stage *s, unsigned nodes, bool v2_broken)
{
    *s = (struct stage){ .v2_broken = v2_broken, .node_count = nodes };
    gs_arena_init(&s->arena, NULL, 0, 4096);
    ground_init(&s->ground, nodes);
    watch_start(&s->watch);
    s->program = find_program(&s->arena);
}

/* A node that checks a service too early looks again only after a second. */
static void
wait_for_services(struct stage *s)
{
    uint64_t until_us = watch_now_us() + LISTEN_US;

    while (!stage_listens(s) && watch_now_us() < until_us &&
           !watch_sleep(&s->watch, LISTEN_STEP_MS))
        continue;
}

static gs_err
start_all(struct stage *s, struct gs_why *why)
{
    gs_err e = ground_find(&s->ground, why);

    if (e == GS_E_OK)
        assign(s);
    for (unsigned i = 0; e == GS_E_OK && i < s->node_count; i++) {
        e = write_config(s, &s->nodes[i], why);
        (void)unlink(s->nodes[i].child.log); /* of a former try */
    }
    for (unsigned i = 0; i < s->service_count; i++)
        (void)unlink(s->services[i].child.log);
    for (unsigned i = 0; e == GS_E_OK && i < s->service_count; i++)
        e = start_service(s, &s->services[i], why);
    if (e == GS_E_OK)
        wait_for_services(s);
    s->began_us = watch_now_us();
    for (unsigned i = 0; e == GS_E_OK && i < s->node_count; i++)
        e = start_node(s, &s->nodes[i], why);
    return e;
}

gs_err
stage_up(struct stage *s, struct gs_why *why)
{
    gs_err e = ground_make_dir(&s->ground, why);

    if (e == GS_E_OK)
        e = write_key(s, why);
    return e == GS_E_OK ? start_all(s, why) : e;
}

gs_err
stage_again(struct stage *s, struct gs_why *why)
{
    (void)stage_down(s, why); /* those that could not have their port have ended, too */
    (void)snprintf(s->ground.taken, sizeof(s->ground.taken), "somebody took a port first");
    return start_all(s, why);
}

void
stage_fini(struct stage *s)
{
    for (unsigned i = 0; i < s->node_count; i++)
        GS_ASSERT(s->nodes[i].child.pid == 0);
    for (unsigned i = 0; i < s->service_count; i++)
        GS_ASSERT(s->services[i].child.pid == 0);
    ground_fini(&s->ground);
    watch_end(&s->watch);
    gs_arena_fini(&s->arena);
}

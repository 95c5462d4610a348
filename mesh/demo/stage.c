/* stage.c - see stage.h. Ports are looked for first and bound by the children afterwards; if
 * somebody takes one in between, the child says so and all begins anew with other ports. */
#include "mesh/demo/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gossamer/buf.h>
#include <gossamer/json_out.h>
#include <gossamer/listener.h>
#include <gossamer/rng.h>

#include "mesh/cli/cli.h"
#include "mesh/config/json.h"
#include "mesh/demo/serve.h"

#define TRIES_MAX 8
#define RETRY_PORTS                                                                                \
    1000 /* a retry looks anywhere among so many: two demos must not retry in step */
#define PORTS_TRIED_MAX 400
#define READY_MS 20000
#define READY_STEP_MS 5
#define ASK_TIMEOUT_MS 2000
#define NODE_PATIENCE_MS 3000 /* its drain is 1 s */
#define SERVICE_PATIENCE_MS 1000
#define SOCKET_PATH_MAX 107
#define LOG_SHOWN_BYTES 2000
#define CONFIG_BYTES_MAX 65536

static const struct {
    const char *name;
    uint16_t usual;
} ports[STAGE_PORTS] = {
    [PORT_OUTBOUND] = { "outbound", 4140 }, [PORT_INBOUND] = { "inbound", 4143 },
    [PORT_GOSSIP] = { "gossip", 4190 },     [PORT_ADMIN] = { "admin", 4191 },
    [PORT_V1] = { "tools v1", 9001 },       [PORT_V2] = { "tools v2", 9002 },
};

/* ---- the directory ---- */

const char *
stage_path(struct stage *s, const char *name)
{
    return gs_arena_printf(&s->arena, "%s/%s", s->dir, name);
}

static gs_err
make_dir(struct stage *s, struct gs_why *why)
{
    const char *tmp = getenv("TMPDIR");
    char full[PATH_MAX], path[PATH_MAX + 32];

    if (!tmp || !tmp[0] || !realpath(tmp, full))
        (void)snprintf(full, sizeof(full), "/tmp");
    (void)snprintf(path, sizeof(path), "%s/gossamer-demo-XXXXXX", full);
    if (strlen(path) + strlen("/admin.sock") > SOCKET_PATH_MAX)
        (void)snprintf(path, sizeof(path), "/tmp/gossamer-demo-XXXXXX");
    if (!mkdtemp(path))
        return gs_refuse(why, GS_E_IO,
                         "cannot make a directory %s: %s; set TMPDIR to one you may "
                         "write to",
                         path, strerror(errno));
    s->dir = gs_arena_strdup(&s->arena, gs_slice_str(path));
    s->socket = stage_path(s, "admin.sock");
    return GS_E_OK;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    (void)(kind == FTW_DP ? rmdir(path) : unlink(path));
    return 0; /* go on: what is left makes the last rmdir fail */
}

static void
remove_dir(struct stage *s)
{
    if (s->dir)
        (void)nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    s->dir = NULL;
}

gs_err
stage_write(struct stage *s, const char *path, struct gs_slice text, struct gs_why *why)
{
    FILE *f = fopen(path, "we");
    bool good;

    GS_ASSERT(s->dir != NULL);
    good = f && fwrite(text.ptr, 1, text.len, f) == text.len;
    if (f)
        good = fclose(f) == 0 && good;
    return good ? GS_E_OK : gs_refuse(why, GS_E_IO, "cannot write %s: %s", path, strerror(errno));
}

/* ---- ports ---- */

/* This port or one of the next. Returns a socket that holds it meanwhile, or -1. */
static int
hold_port(uint16_t from, struct gs_addr *out)
{
    struct gs_addr a = { .family = 4, .port = from, .ip = { 127, 0, 0, 1 } };
    struct gs_why why;

    for (int i = 0; i < PORTS_TRIED_MAX; i++, a.port++) {
        int fd = gs_listen_tcp(&a, false, &why);

        if (fd >= 0) {
            *out = a;
            return fd;
        }
    }
    return -1;
}

static gs_err
find_ports(struct stage *s, int tries, struct gs_why *why)
{
    int held[STAGE_PORTS];
    struct gs_rng rng;
    size_t n = 0;

    gs_rng_init(&rng, gs_rng_seed_from_system());
    for (; n < STAGE_PORTS; n++) {
        uint32_t off = tries > 0 ? gs_rng_below(&rng, RETRY_PORTS) : 0;

        held[n] = hold_port((uint16_t)(ports[n].usual + off), &s->ports[n]);
        if (held[n] < 0)
            break;
    }
    for (size_t i = 0; i < n; i++)
        (void)close(held[i]);
    if (n == STAGE_PORTS)
        return GS_E_OK;
    return gs_refuse(why, GS_E_IN_USE, "no port of 127.0.0.1 from %u on is free for %s",
                     ports[n].usual, ports[n].name);
}

const char *
stage_moved(struct stage *s)
{
    const char *text = NULL;

    for (size_t i = 0; i < STAGE_PORTS; i++) {
        if (s->ports[i].port == ports[i].usual || i == PORT_INBOUND || i == PORT_GOSSIP)
            continue; /* nobody listens at these two in this version */
        text = gs_arena_printf(&s->arena, "%s%s%s is at %u instead of %u", text ? text : "",
                               text ? ", " : "", ports[i].name, s->ports[i].port, ports[i].usual);
    }
    return text;
}

/* ---- the node's configuration ---- */

static void
quoted(struct gs_buf *out, const char *text)
{
    struct json_out j;

    json_init(&j, out);
    json_str(&j, text); /* YAML reads it as JSON does, whatever TMPDIR is called */
}

static void
config_instance_line(const struct stage *s, const char *version, enum stage_port port,
                     struct gs_buf *out)
{
    char a[GS_ADDR_TEXT];

    (void)gs_buf_printf(out,
                        "      - { address: %s, labels: { version: %s },"
                        " health: { http: /healthz, interval: 200ms } }\n",
                        gs_addr_text(&s->ports[port], a), version);
}

static gs_err
write_config(struct stage *s, const char *path, struct gs_why *why)
{
    char a[GS_ADDR_TEXT], b[GS_ADDR_TEXT];
    struct gs_buf out;
    gs_err e;

    gs_buf_init(&out, CONFIG_BYTES_MAX);
    (void)gs_buf_put_str(&out, "node: demo\nstate_dir: ");
    quoted(&out, stage_path(s, "state"));
    (void)gs_buf_printf(&out, "\nproxy: { outbound: %s, inbound: %s }\n",
                        gs_addr_text(&s->ports[PORT_OUTBOUND], a),
                        gs_addr_text(&s->ports[PORT_INBOUND], b));
    (void)gs_buf_printf(&out, "gossip: { bind: %s }\n", gs_addr_text(&s->ports[PORT_GOSSIP], a));
    (void)gs_buf_printf(&out,
                        "admin:\n  listen: %s\n  socket: ", gs_addr_text(&s->ports[PORT_ADMIN], a));
    quoted(&out, s->socket);
    (void)gs_buf_put_str(&out, "\nidentity: { mode: off }\ntimeouts: { drain: 1s }\n"
                               "services:\n  - name: tools\n    port: 80\n    protocol: http\n"
                               "    instances:\n");
    config_instance_line(s, "v1", PORT_V1, &out);
    config_instance_line(s, "v2", PORT_V2, &out);
    GS_ASSERT(!out.failed);
    e = stage_write(s, path, gs_buf_slice(&out), why);
    gs_buf_fini(&out);
    return e;
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
start_child(struct stage *s, enum stage_child which, const char *const *words, struct gs_why *why)
{
    static const char *const names[] = { "tools v1", "tools v2", "node" };
    static const char *const logs[] = { "tools-v1.log", "tools-v2.log", "node.log" };
    struct child *c = &s->children[which];
    char *argv[12];
    size_t n = 0;

    for (; words[n]; n++) {
        GS_ASSERT(n + 1 < GS_COUNT(argv));
        argv[n] = (char *)(uintptr_t)gs_arena_strdup(&s->arena, gs_slice_str(words[n]));
    }
    argv[n] = NULL;
    *c = (struct child){ .name = names[which], .log = stage_path(s, logs[which]) };
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
start_version(struct stage *s, enum stage_child which, enum stage_port port, const char *version,
              struct gs_why *why)
{
    char address[GS_ADDR_TEXT];
    bool broken = s->v2_broken && which == CHILD_V2;
    const char *words[] = { "gossamer",
                            "demo",
                            "serve",
                            "--listen",
                            gs_addr_text(&s->ports[port], address),
                            "--version",
                            version,
                            broken ? "--status=500" : NULL,
                            NULL };

    return start_child(s, which, words, why);
}

static gs_err
start_children(struct stage *s, struct gs_why *why)
{
    const char *config = stage_path(s, "gossamer.yaml");
    const char *const node[] = { "gossamer", "run", "-c", config, NULL };
    gs_err e = write_config(s, config, why);

    if (e == GS_E_OK)
        e = start_version(s, CHILD_V1, PORT_V1, "v1", why);
    if (e == GS_E_OK)
        e = start_version(s, CHILD_V2, PORT_V2, "v2", why);
    if (e == GS_E_OK)
        e = start_child(s, CHILD_NODE, node, why);
    return e;
}

/* The node first: while it drains, its services still answer. */
static void
stop_children(struct stage *s)
{
    child_terminate(&s->children[CHILD_NODE]);
    child_reap(&s->children[CHILD_NODE], NODE_PATIENCE_MS);
    child_terminate(&s->children[CHILD_V1]);
    child_terminate(&s->children[CHILD_V2]);
    child_reap(&s->children[CHILD_V1], SERVICE_PATIENCE_MS);
    child_reap(&s->children[CHILD_V2], SERVICE_PATIENCE_MS);
}

/* The end of a file, NUL behind it. */
static void
read_tail(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)size - 1 ? end - (off_t)(size - 1) : 0;
    ssize_t n = end < 0 ? -1 : pread(fd, out, size - 1, from);

    if (fd >= 0)
        (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
}

static gs_err
ended(struct child *c, struct gs_why *why)
{
    char log[LOG_SHOWN_BYTES];

    child_ending(c, why);
    read_tail(c->log, log, sizeof(log));
    if (strstr(log, "cannot listen on"))
        return GS_E_IN_USE;
    (void)fprintf(stderr, "%s", log);
    return GS_E_IO;
}

gs_err
stage_check(struct stage *s, struct gs_why *why)
{
    for (size_t i = 0; i < STAGE_CHILDREN; i++) {
        if (child_over(&s->children[i]))
            return ended(&s->children[i], why);
    }
    return GS_E_OK;
}

/* ---- ready? ---- */

static size_t
count_healthy(struct gs_slice json)
{
    struct gs_problems problems;
    struct gs_arena arena;
    struct tree *root;
    const struct tree *list;
    size_t healthy = 0;

    gs_problems_init(&problems);
    gs_arena_init(&arena, NULL, 0, 4096);
    if (tree_parse_json(json, NULL, &arena, &root, &problems) == GS_E_OK) {
        list = tree_find(root, "endpoints");
        for (size_t i = 0; list && i < list->count; i++) {
            const struct tree *state = tree_find(list->items[i], "state");

            healthy += state && gs_slice_eq(state->text, GS_SLICE("healthy"));
        }
    }
    gs_arena_fini(&arena);
    gs_problems_fini(&problems);
    return healthy;
}

static bool
is_listening(const struct child *c)
{
    char log[LOG_SHOWN_BYTES];

    read_tail(c->log, log, sizeof(log));
    return strstr(log, SERVE_LISTENS) != NULL;
}

/* That the endpoints are healthy is not enough: somebody else's service may answer at a port that
 * ours could not have. */
static bool
is_ready(const struct stage *s)
{
    struct cli_answer answer;
    struct gs_why why;
    bool ready;

    if (!is_listening(&s->children[CHILD_V1]) || !is_listening(&s->children[CHILD_V2]))
        return false;
    if (cli_http(s->socket, "GET", "/api/v1/endpoints", GS_SLICE_NONE, ASK_TIMEOUT_MS, &answer,
                 &why) != GS_E_OK)
        return false;
    ready = answer.status == 200 && count_healthy(gs_buf_slice(&answer.body)) == 2;
    gs_buf_fini(&answer.body);
    return ready;
}

static gs_err
wait_ready(struct stage *s, struct gs_why *why)
{
    uint64_t began = watch_now_us();
    gs_err e;

    while ((e = stage_check(s, why)) == GS_E_OK && !is_ready(s)) {
        if (watch_sleep(&s->watch, READY_STEP_MS))
            return gs_refuse(why, GS_E_CLOSED, "stopped");
        if (watch_now_us() - began > READY_MS * 1000u)
            return gs_refuse(why, GS_E_TIMEOUT, "node and services were not ready within %u s",
                             READY_MS / 1000u);
    }
    s->ready_ms = (watch_now_us() - began) / 1000;
    return e;
}

/* ---- up and down ---- */

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
stage_init(struct stage *s, bool v2_broken)
{
    *s = (struct stage){ .v2_broken = v2_broken };
    gs_arena_init(&s->arena, NULL, 0, 4096);
    watch_start(&s->watch);
    s->program = find_program(&s->arena);
}

gs_err
stage_up(struct stage *s, struct gs_why *why)
{
    gs_err e = make_dir(s, why);

    for (int tries = 0; e == GS_E_OK || e == GS_E_IN_USE; tries++) {
        if (tries == TRIES_MAX)
            return e;
        if ((e = find_ports(s, tries, why)) != GS_E_OK)
            return e;
        e = start_children(s, why);
        if (e == GS_E_OK)
            e = wait_ready(s, why);
        if (e == GS_E_OK)
            return e;
        stop_children(s);
    }
    return e;
}

void
stage_fini(struct stage *s)
{
    stop_children(s);
    remove_dir(s);
    watch_end(&s->watch);
    gs_arena_fini(&s->arena);
}

/* ground.c - see ground.h. Ports are looked for first and bound by the children afterwards; another
 * demo is kept away meanwhile by a claim, anybody else is noticed when a child cannot have its
 * port. */
#include "mesh/demo/ground.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include <gossamer/listener.h>

#define FIRST_USUAL 11
#define LAST_MAX 250
#define SHIFT_STEP 100
#define SHIFT_MAX 1000
#define SOCKET_PATH_MAX 107 /* of sun_path */
#define DIR_NAME "/gossamer-demo-XXXXXX"
#define LONGEST_IN_DIR "/n9/admin.sock"

static const uint16_t usual[GROUND_PORTS] = {
    [PORT_OUTBOUND] = 4140,
    [PORT_INBOUND] = 4143,
    [PORT_GOSSIP] = 4190,
    [PORT_ADMIN] = 4191,
};

/* ---- the directory ---- */

/* True if there is one and what will be in it has room for its path. */
static bool
is_usable(const char *parent, char *out, size_t size)
{
    char full[PATH_MAX];

    if (!parent || !parent[0] || !realpath(parent, full) || access(full, W_OK | X_OK) != 0)
        return false;
    if (strlen(full) + strlen(DIR_NAME LONGEST_IN_DIR) > SOCKET_PATH_MAX ||
        strlen(full) + sizeof(DIR_NAME) > size)
        return false;
    (void)snprintf(out, size, "%s" DIR_NAME, full);
    return true;
}

gs_err
ground_make_dir(struct ground *g, struct gs_why *why)
{
    char path[sizeof(g->dir)];

    GS_ASSERT(!g->dir[0]);
    if (!is_usable(getenv("TMPDIR"), path, sizeof(path)) &&
        !is_usable(getenv("XDG_RUNTIME_DIR"), path, sizeof(path)))
        (void)snprintf(path, sizeof(path), "/tmp" DIR_NAME);
    if (!mkdtemp(path))
        return gs_refuse(why, GS_E_IO,
                         "cannot make a directory %s: %s; set TMPDIR to one you may write to", path,
                         strerror(errno));
    GS_ASSERT(strlen(path) + strlen(LONGEST_IN_DIR) <= SOCKET_PATH_MAX);
    memcpy(g->dir, path, sizeof(path));
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

/* ---- addresses ---- */

static struct gs_addr
address(unsigned last, uint16_t port)
{
    GS_ASSERT(last >= FIRST_USUAL);
    GS_ASSERT(last <= LAST_MAX);
    return (struct gs_addr){ .family = 4, .port = port, .ip = { 127, 0, 0, (uint8_t)last } };
}

struct gs_addr
ground_port(const struct ground *g, unsigned node, enum ground_port port)
{
    GS_ASSERT(node >= 1);
    GS_ASSERT(node <= g->nodes);
    return address(g->first + node - 1, (uint16_t)(usual[port] + g->shift));
}

struct gs_addr
ground_app(const struct ground *g, unsigned node, const struct script_app *app)
{
    GS_ASSERT(node >= 1);
    GS_ASSERT(node <= g->nodes);
    return address(g->first + node - 1, (uint16_t)(app->port + g->shift));
}

/* No file, gone with this process, and per network as the addresses are. */
static int
claim(unsigned last)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int len = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "gossamer-demo-127.0.0.%u", last);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    GS_ASSERT(len > 0);
    GS_ASSERT((size_t)len < sizeof(un.sun_path) - 1);
    if (fd >= 0 &&
        bind(fd, (struct sockaddr *)&un,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static void
let_go(struct ground *g)
{
    for (unsigned i = 0; i < SCRIPT_NODES_MAX; i++) {
        if (g->claims[i] >= 0)
            (void)close(g->claims[i]);
        g->claims[i] = -1;
    }
}

static bool
is_free_udp(const struct gs_addr *a)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(a, &sa);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool free = fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0;

    if (fd >= 0)
        (void)close(fd);
    return free;
}

static bool
is_free(const struct gs_addr *a, bool udp)
{
    struct gs_why why;
    int fd = gs_listen_tcp(a, false, &why);

    if (fd < 0)
        return false;
    (void)close(fd);
    return !udp || is_free_udp(a);
}

static void
note_taken(struct ground *g, const struct gs_addr *a)
{
    char text[GS_ADDR_TEXT];

    if (!g->taken[0]) /* the first says enough */
        (void)snprintf(g->taken, sizeof(g->taken), "%s is taken", gs_addr_text(a, text));
}

static bool
is_free_node(struct ground *g, unsigned last)
{
    struct gs_addr a;

    for (unsigned i = 0; i < GROUND_PORTS + SCRIPT_APPS; i++) {
        uint16_t port = i < GROUND_PORTS ? usual[i] : script_apps[i - GROUND_PORTS].port;

        a = address(last, (uint16_t)(port + g->shift));
        if (!is_free(&a, i == PORT_GOSSIP)) {
            note_taken(g, &a);
            return false;
        }
    }
    return true;
}

/* As many in a row, from this one on. *next: where to go on looking if not. */
static bool
take(struct ground *g, unsigned first, unsigned *next)
{
    for (unsigned i = 0; i < g->nodes; i++) {
        g->claims[i] = claim(first + i);
        if (g->claims[i] >= 0 && is_free_node(g, first + i))
            continue;
        if (g->claims[i] < 0 && !g->taken[0])
            (void)snprintf(g->taken, sizeof(g->taken), "127.0.0.%u is taken by another demo",
                           first + i);
        let_go(g);
        *next = first + i + 1;
        return false;
    }
    g->first = first;
    GS_ASSERT(g->first + g->nodes - 1 <= LAST_MAX);
    return true;
}

gs_err
ground_find(struct ground *g, struct gs_why *why)
{
    unsigned from = g->first == 0 ? FIRST_USUAL : g->first + g->nodes;

    let_go(g);
    for (; g->shift <= SHIFT_MAX; g->shift += SHIFT_STEP, from = FIRST_USUAL) {
        for (unsigned first = from; first + g->nodes - 1 <= LAST_MAX;) {
            if (take(g, first, &first))
                return GS_E_OK;
        }
    }
    return gs_refuse(why, GS_E_IN_USE,
                     "no %u addresses from 127.0.0.%u on have their ports free: "
                     "%s",
                     g->nodes, FIRST_USUAL, g->taken);
}

void
ground_moved(const struct ground *g, char *out, size_t size)
{
    int n;

    out[0] = '\0';
    if (!g->taken[0])
        return;
    n = snprintf(out, size, "%s, so the nodes are on 127.0.0.%u-%u", g->taken, g->first,
                 g->first + g->nodes - 1);
    GS_ASSERT(n > 0);
    if (g->shift > 0 && (size_t)n < size)
        (void)snprintf(out + n, size - (size_t)n, " with %u added to each port", g->shift);
}

/* ---- life ---- */

void
ground_init(struct ground *g, unsigned nodes)
{
    GS_ASSERT(nodes >= SCRIPT_NODES_MIN);
    GS_ASSERT(nodes <= SCRIPT_NODES_MAX);
    *g = (struct ground){ .nodes = nodes };
    for (unsigned i = 0; i < SCRIPT_NODES_MAX; i++)
        g->claims[i] = -1;
}

void
ground_fini(struct ground *g)
{
    if (g->dir[0])
        (void)nftw(g->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    g->dir[0] = '\0';
    let_go(g);
}

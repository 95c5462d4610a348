/* check_node.c - a process and its surroundings: disk, descriptors, log, faults; and what it lets
 * whom do. */
#include "mesh/check_parts.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include <gossamer/buf.h>
#include <gossamer/problem.h>

#include "mesh/config/config.h"
#include "mesh/faults.h"
#include "mesh/log_level.h"
#include "mesh/node.h"
#include "mesh/node_reload.h"

#define GROUP "node"
#define DESCRIPTORS_LOW 1024 /* a request takes two, and one is often for keeping */

/* ---- the process ---- */

static void
put_ready(struct check_lines *l, const struct node *n)
{
    const char *name = n->config->node;

    switch ((enum node_phase)n->phase.state) {
    case NODE_READY:
        check_put(l, GROUP, "ready", CHECK_OK, NULL, "node %s is ready", name);
        break;
    case NODE_CLOSED:
        check_put(l, GROUP, "ready", CHECK_ERROR, "gossamer members",
                  "node %s is closed: it does not know the policy of the mesh yet, and no node "
                  "that knows it has answered",
                  name);
        break;
    case NODE_DRAINING:
        check_put(l, GROUP, "ready", CHECK_ERROR, "gossamer check --wait 30s",
                  "node %s is stopping", name);
        break;
    }
}

static size_t
open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t count = 0;

    while (d && readdir(d))
        count++;
    if (d)
        (void)closedir(d);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the folder's own */
}

static void
put_descriptors(struct check_lines *l)
{
    struct rlimit most;
    size_t used = open_descriptors();

    if (getrlimit(RLIMIT_NOFILE, &most) != 0)
        return;
    if (most.rlim_cur == RLIM_INFINITY ||
        (most.rlim_cur >= DESCRIPTORS_LOW && used < most.rlim_cur / 5 * 4))
        check_put(l, GROUP, "descriptors", CHECK_OK, NULL, "%zu of %llu descriptors are in use",
                  used, (unsigned long long)most.rlim_cur);
    else
        check_put(l, GROUP, "descriptors", CHECK_WARNING, "ulimit -n 65536",
                  "%zu of %llu descriptors are in use, which is few for connections; raise the "
                  "limit where the node is started (LimitNOFILE= in a unit)",
                  used, (unsigned long long)most.rlim_cur);
}

/* The file and what runs may differ since then. */
static void
put_reload(struct check_lines *l, const struct node *n)
{
    const char *file = n->config->file ? n->config->file : "the configuration";
    struct reload_last last;
    uint64_t ago_s;

    if (!node_reload_last(n->reload, &last)) {
        check_put(l, GROUP, "reload", CHECK_OK, NULL, "%s was read at the start", file);
        return;
    }
    ago_s = (node_wall_ms() - last.wall_ms) / 1000;
    if (last.result != RELOAD_REJECTED)
        check_put(l, GROUP, "reload", CHECK_OK, NULL, "%s was read again %" PRIu64 " s ago: %s",
                  file, ago_s, node_reload_result_name(last.result));
    else
        check_put(l, GROUP, "reload", CHECK_ERROR,
                  last.error->hint ? last.error->hint : "mend the file and send SIGHUP again",
                  "the last reload, %" PRIu64 " s ago, changed nothing: %s:%u:%u: %s%s%s%s", ago_s,
                  last.error->file ? last.error->file : file, last.error->line, last.error->column,
                  last.error->field ? last.error->field : "", last.error->field ? ": " : "",
                  last.error->message, last.errors > 1 ? ", and more" : "");
}

static void
put_log(struct check_lines *l, const struct node *n)
{
    struct log_level_now now = log_level_now(n->log);
    const char *level = log_level_name(now.level);
    char until[64] = "";

    if (now.left_ms > 0)
        (void)snprintf(until, sizeof(until), ", for %" PRIu64 " s more", now.left_ms / 1000 + 1);
    if (now.level != now.configured)
        check_put(l, GROUP, "log", CHECK_WARNING, "gossamer debug log --reset",
                  "the log level is %s%s, not %s as it is configured", level, until,
                  log_level_name(now.configured));
    else if (now.level == GS_LOG_DEBUG)
        check_put(l, GROUP, "log", CHECK_WARNING, "gossamer debug log info",
                  "the log level is debug: it tells each thing that goes on, and takes its time");
    else
        check_put(l, GROUP, "log", CHECK_OK, NULL, "the log level is %s", level);
}

static void
put_faults(struct check_lines *l, const struct node *n)
{
    size_t count = faults_count(n->faults);
    struct check_names names = { .count = 0 };

    if (!n->faults)
        return;
    for (size_t i = 0; i < count; i++)
        check_names_add(&names, "%s", faults_at(n->faults, i)->name);
    if (count > 0)
        check_put(l, GROUP, "faults", CHECK_WARNING, "gossamer debug unblock --all",
                  "it is cut off from %s by gossamer debug block", check_names_text(&names));
    else
        check_put(l, GROUP, "faults", CHECK_WARNING, "gossamer debug blocks",
                  "it was started with --allow-faults: who may open its socket can cut it off");
}

/* ---- the disk ---- */

/* FILE.bad.TIME: what could not be used at some start, and is kept to be looked at. */
static void
put_set_aside(struct check_lines *l, const char *dir)
{
    struct check_names names = { .count = 0 };
    DIR *d = opendir(dir);
    const struct dirent *e;
    char hint[512];

    while (d && (e = readdir(d))) {
        if (strstr(e->d_name, ".bad."))
            check_names_add(&names, "%.100s", e->d_name);
    }
    if (d)
        (void)closedir(d);
    if (names.count == 0)
        return;
    (void)snprintf(hint, sizeof(hint), "rm %.400s/*.bad.*", dir);
    check_put(l, GROUP, "state-set-aside", CHECK_WARNING, hint,
              "what could not be used was set aside: %s; the node went on with what others know, "
              "and once they were looked at they can go",
              check_names_text(&names));
}

static void
put_state(struct check_lines *l, const struct node *n)
{
    const char *dir = n->config->state_dir;
    const char *trouble = persist_trouble(n->persist);
    char hint[512];

    (void)snprintf(hint, sizeof(hint), "df -h %.400s", dir);
    if (trouble)
        check_put(l, GROUP, "state", CHECK_ERROR, hint,
                  "%s; changes are refused until it can be, and it is tried again with each",
                  trouble);
    else
        check_put(l, GROUP, "state", CHECK_OK, NULL, "what it knows is saved in %s", dir);
    put_set_aside(l, dir);
}

/* ---- who may do what ---- */

static bool
is_loopback(const struct gs_addr *a)
{
    static const uint8_t v6[16] = { [15] = 1 };

    return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, v6, sizeof(v6)) == 0;
}

static void
put_identity(struct check_lines *l, const struct config *c)
{
    char addr[GS_ADDR_TEXT], hint[128];

    if (c->identity.mode != CONFIG_IDENTITY_OFF)
        return;
    (void)gs_addr_text(&c->proxy.inbound, addr);
    (void)snprintf(hint, sizeof(hint), "ss -Htln sport = :%u", c->proxy.inbound.port);
    if (c->proxy.mode == CONFIG_PROXY_OFF)
        check_put(l, "security", "identity", CHECK_OK, NULL,
                  "identity is off, and no other node can call this one");
    else if (is_loopback(&c->proxy.inbound))
        check_put(l, "security", "identity", CHECK_OK, NULL,
                  "identity is off; only this machine reaches %s", addr);
    else
        check_put(l, "security", "identity", CHECK_WARNING, hint,
                  "identity is off: requests between nodes are neither encrypted nor "
                  "authenticated, and whoever reaches %s can call the services of this node and "
                  "read what nodes tell each other (rows PEER of the admin API); let only members "
                  "reach it",
                  addr);
}

static void
put_outbound(struct check_lines *l, const struct config *c)
{
    char addr[GS_ADDR_TEXT];

    if (c->proxy.mode == CONFIG_PROXY_OFF)
        return;
    (void)gs_addr_text(&c->proxy.outbound, addr);
    if (is_loopback(&c->proxy.outbound))
        check_put(l, "security", "outbound", CHECK_OK, NULL,
                  "only this machine calls the mesh through %s", addr);
    else
        check_put(l, "security", "outbound", CHECK_WARNING,
                  "gossamer run --set proxy.outbound=127.0.0.1:4140",
                  "whoever reaches %s can call every service of the mesh", addr);
}

void
check_node_put(struct check_lines *l, const struct node *n)
{
    put_ready(l, n);
    put_state(l, n);
    put_descriptors(l);
    put_reload(l, n);
    put_log(l, n);
    put_faults(l, n);
}

void
check_security_put(struct check_lines *l, const struct node *n)
{
    put_identity(l, n->config);
    put_outbound(l, n->config);
}

/* check_machine.c - can a node be started here? */
#include "mesh/cli/check_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <gossamer/buf.h>
#include <gossamer/gossip_loop.h>
#include <gossamer/limits.h>
#include <gossamer/listener.h>

#include "mesh/build_text.h"
#include "mesh/config/config.h"
#include "mesh/port_owner.h"

#define GROUP "machine"
#define PATH_BYTES 4096
#define DESCRIPTORS_GOOD 4096
#define BACKLOG_GOOD 1024
#define DISK_FREE_BYTES (64u << 20) /* mesh.state twice, and a log */

void
check_binary(struct check_lines *l)
{
    check_put(l, "binary", "version", CHECK_OK, NULL, "gossamer %s, commit %s, %s", build_version(),
              build_commit(), build_llhttp());
}

/* ---- the kernel and its limits ---- */

static void
check_kernel(struct check_lines *l)
{
    struct utsname u;
    unsigned major = 0, minor = 0;

    if (uname(&u) != 0)
        return;
    if (sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
        (major > 4 || (major == 4 && minor >= 5)))
        check_put(l, GROUP, "kernel", CHECK_OK, NULL, "%s %s", u.sysname, u.release);
    else
        check_put(l, GROUP, "kernel", CHECK_WARNING, "uname -r",
                  "%s %s is older than what this was tried on (4.5)", u.sysname, u.release);
}

static void
check_limits(struct check_lines *l)
{
    struct rlimit most;
    FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
    unsigned backlog = 0;

    if (getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < DESCRIPTORS_GOOD)
        check_put(l, GROUP, "descriptors", CHECK_WARNING, "ulimit -n 65536",
                  "a process here may open %llu files; each connection is one",
                  (unsigned long long)most.rlim_cur);
    else
        check_put(l, GROUP, "descriptors", CHECK_OK, NULL, "a process here may open %llu files",
                  (unsigned long long)most.rlim_cur);
    if (f && fscanf(f, "%u", &backlog) == 1 && backlog < BACKLOG_GOOD)
        check_put(l, GROUP, "backlog", CHECK_WARNING, "sysctl -w net.core.somaxconn=4096",
                  "of connections that come at once only %u may wait (net.core.somaxconn)",
                  backlog);
    if (f)
        (void)fclose(f);
}

/* ---- folders and files ---- */

/* The folder itself, or the nearest above that is there. */
static void
nearest(const char *path, char out[PATH_BYTES])
{
    (void)snprintf(out, PATH_BYTES, "%s", path);
    while (access(out, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        char *slash = strrchr(out, '/');

        if (!slash || slash == out) {
            (void)snprintf(out, PATH_BYTES, "%s", slash ? "/" : ".");
            return;
        }
        *slash = '\0';
    }
}

/* True if a node could make and write files in it. */
static bool
check_folder(struct check_lines *l, const char *name, const char *dir, const char *key)
{
    char at[PATH_BYTES], hint[PATH_BYTES + 64];
    struct stat st;

    nearest(dir, at);
    if (stat(at, &st) == 0 && !S_ISDIR(st.st_mode)) {
        (void)snprintf(hint, sizeof(hint), "ls -ld %s", at);
        check_put(l, GROUP, name, CHECK_ERROR, hint, "%s is no folder", at);
        return false;
    }
    if (access(at, W_OK | X_OK) == 0) {
        check_put(l, GROUP, name, CHECK_OK, NULL, "%s %s", dir,
                  strcmp(at, dir) == 0 ? "can be written" : "can be made");
        return true;
    }
    (void)snprintf(hint, sizeof(hint), "gossamer run --set %s=PATH", key);
    check_put(l, GROUP, name, CHECK_ERROR, hint, "%s cannot be %s by this user: %s: %s", dir,
              strcmp(at, dir) == 0 ? "written" : "made", at, strerror(errno));
    return false;
}

static void
check_disk(struct check_lines *l, const char *dir)
{
    char at[PATH_BYTES], hint[PATH_BYTES + 16];
    struct statvfs fs;
    unsigned long long free_bytes;

    nearest(dir, at);
    if (statvfs(at, &fs) != 0)
        return;
    free_bytes = (unsigned long long)fs.f_bavail * fs.f_frsize;
    (void)snprintf(hint, sizeof(hint), "df -h %s", at);
    if (free_bytes < DISK_FREE_BYTES)
        check_put(l, GROUP, "disk", CHECK_WARNING, hint,
                  "%llu MiB are free at %s: changes that cannot be saved are refused",
                  free_bytes >> 20, at);
}

/* Who holds the lock has its pid in it. */
static void
check_lock(struct check_lines *l, const char *dir)
{
    char path[PATH_BYTES], pid[32] = "", hint[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        n = read(fd, pid, sizeof(pid) - 1);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        (void)snprintf(hint, sizeof(hint), "ps -fp %s", pid[0] ? pid : "PID");
        check_put(l, GROUP, "lock", CHECK_ERROR, hint, "%s is held by another gossamer (pid %s)",
                  dir, pid[0] ? pid : "unknown");
    }
    (void)close(fd);
}

static void
check_node_key(struct check_lines *l, const char *dir)
{
    char path[PATH_BYTES], hint[PATH_BYTES + 16];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/node.key", dir);
    if (stat(path, &st) != 0)
        return; /* made at the first start */
    (void)snprintf(hint, sizeof(hint), "chmod 600 %s", path);
    if (st.st_mode & 077)
        check_put(l, GROUP, "node-key", CHECK_ERROR, hint,
                  "%s is open to others (mode %03o), so the node will not start with it", path,
                  (unsigned)st.st_mode & 0777);
    else
        check_put(l, GROUP, "node-key", CHECK_OK, NULL, "%s is this node's own", path);
}

static void
check_socket(struct check_lines *l, const char *socket)
{
    char dir[PATH_BYTES];
    char *slash;

    (void)snprintf(dir, sizeof(dir), "%s", socket);
    slash = strrchr(dir, '/');
    if (slash && slash != dir)
        *slash = '\0';
    (void)check_folder(l, "socket", slash ? dir : ".", "admin.socket");
}

/* ---- ports ---- */

static void
tell_port(struct check_lines *l, const char *key, const struct gs_addr *addr, gs_err e,
          const struct gs_why *why)
{
    struct gs_why said = *why;
    char text[GS_ADDR_TEXT], hint[64];

    (void)gs_addr_text(addr, text);
    if (e == GS_E_OK) {
        check_put(l, GROUP, key, CHECK_OK, NULL, "%s is free for %s", text, key);
        return;
    }
    (void)snprintf(hint, sizeof(hint), "ss -Htlnup sport = :%u", addr->port);
    port_owner_explain(addr, key, &said);
    check_put(l, GROUP, key, CHECK_ERROR, hint, "%s", said.text);
}

static void
check_tcp(struct check_lines *l, const char *key, const struct gs_addr *addr)
{
    struct gs_why why = { "" };
    int fd;

    if (addr->family == 0 || addr->port == 0)
        return; /* none, or whichever is free */
    fd = gs_listen_tcp(addr, false, &why);
    tell_port(l, key, addr, fd >= 0 ? GS_E_OK : GS_E_IN_USE, &why);
    if (fd >= 0)
        (void)close(fd);
}

static void
check_gossip(struct check_lines *l, const struct gs_addr *addr)
{
    struct gossip_sockets sockets;
    struct gs_why why = { "" };
    gs_err e;

    if (addr->port == 0)
        return;
    e = gossip_sockets_open(addr, &sockets, &why);
    tell_port(l, "gossip.bind", addr, e, &why);
    if (e == GS_E_OK)
        gossip_sockets_close(&sockets);
}

static void
check_ports(struct check_lines *l, const struct config *c)
{
    check_gossip(l, &c->gossip.bind);
    check_tcp(l, "admin.listen", &c->admin.listen);
    if (c->proxy.mode == CONFIG_PROXY_OFF)
        return;
    check_tcp(l, "proxy.outbound", &c->proxy.outbound);
    check_tcp(l, "proxy.inbound", &c->proxy.inbound);
    for (size_t i = 0; i < c->services.count; i++)
        check_tcp(l, "services[].outbound", &c->services.items[i].outbound);
}

void
check_machine(struct check_lines *l, const struct config *c)
{
    check_kernel(l);
    check_limits(l);
    if (check_folder(l, "state-dir", c->state_dir, "state_dir")) {
        check_disk(l, c->state_dir);
        check_lock(l, c->state_dir);
        check_node_key(l, c->state_dir);
    }
    check_socket(l, c->admin.socket);
    check_ports(l, c);
}

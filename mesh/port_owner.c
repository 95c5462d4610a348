/* port_owner.c - /proc/net/tcp gives the socket's inode, /proc/PID/fd the process that has it. */
#include "mesh/port_owner.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PIDS_MAX 100000 /* a bound for the walk */

/* The inode of a socket that listens on the port; 0 if there is none. */
static uint64_t
listening_inode(const char *table, uint16_t port)
{
    FILE *f = fopen(table, "re");
    char line[512];
    uint64_t found = 0;

    if (!f)
        return 0;
    while (found == 0 && fgets(line, sizeof(line), f)) {
        unsigned local_port, state;
        uint64_t inode;

        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %" SCNu64,
                   &local_port, &state, &inode) == 3 &&
            local_port == port && state == 0x0a)
            found = inode;
    }
    fclose(f);
    return found;
}

static bool
process_has(const char *pid, uint64_t inode)
{
    char path[300];
    char want[64];
    char link[64];
    DIR *dir;
    struct dirent *e;
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    snprintf(want, sizeof(want), "socket:[%" PRIu64 "]", inode);
    dir = opendir(path);
    while (dir && !found && (e = readdir(dir))) {
        ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);

        if (n > 0) {
            link[n] = '\0';
            found = strcmp(link, want) == 0;
        }
    }
    if (dir)
        closedir(dir);
    return found;
}

static void
describe(const char *pid, struct gs_buf *out)
{
    char path[300];
    char name[64] = "?";
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    f = fopen(path, "re");
    if (f) {
        if (fgets(name, sizeof(name), f))
            name[strcspn(name, "\n")] = '\0';
        fclose(f);
    }
    gs_buf_printf(out, "pid %s (%s)", pid, name);
}

bool
port_owner(const struct gs_addr *addr, struct gs_buf *out)
{
    uint64_t inode =
        listening_inode(addr->family == 6 ? "/proc/net/tcp6" : "/proc/net/tcp", addr->port);
    DIR *proc;
    struct dirent *e;
    bool found = false;

    if (inode == 0)
        return false;
    proc = opendir("/proc");
    for (int i = 0; proc && !found && i < PIDS_MAX && (e = readdir(proc)); i++) {
        if (e->d_name[0] < '0' || e->d_name[0] > '9' || !process_has(e->d_name, inode))
            continue;
        describe(e->d_name, out);
        found = true;
    }
    if (proc)
        closedir(proc);
    return found;
}

void
port_owner_explain(const struct gs_addr *addr, const char *key, struct gs_why *why)
{
    struct gs_why said = *why;
    struct gs_buf owner;

    gs_buf_init(&owner, sizeof(why->text));
    if (port_owner(addr, &owner))
        (void)gs_refuse(why, GS_E_IN_USE, "%.160s: %s holds it; stop it or set %s", said.text,
                        gs_buf_cstr(&owner), key);
    else
        (void)gs_refuse(why, GS_E_IN_USE, "%.160s; set %s to another port", said.text, key);
    gs_buf_fini(&owner);
}

/* node_dir.c - one process per state_dir, and a boot number that only rises. */
#include "mesh/node_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gossamer/log.h>

#define DIR_PATH_MAX 4096

/* What is not there of the first `len` bytes of path, a directory, and of its parents. */
static gs_err
make_dirs(const char *path, size_t len, mode_t mode, const char *key, struct gs_why *why)
{
    char part[DIR_PATH_MAX];

    if (len >= sizeof(part))
        return gs_refuse(why, GS_E_INVALID, "%s is too long: %s", key, path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && i < len)
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return gs_refuse(why, GS_E_IO,
                             "cannot make %s: %s; set %s to a place where you may write", part,
                             strerror(errno), key);
    }
    return GS_E_OK;
}

gs_err
node_dir_for_socket(const char *path, struct gs_why *why)
{
    const char *slash = strrchr(path, '/');

    /* The socket's own mode says who may use it. */
    return slash && slash > path
               ? make_dirs(path, (size_t)(slash - path), 0755, "admin.socket", why)
               : GS_E_OK;
}

/* The lock holds our pid, for the message of the next one. */
static gs_err
lock(int fd, const char *dir, const char *path, struct gs_why *why)
{
    char pid[32] = "";
    ssize_t n;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        n = read(fd, pid, sizeof(pid) - 1);
        if (n > 0 && pid[n - 1] == '\n')
            pid[n - 1] = '\0';
        return gs_refuse(
            why, GS_E_IN_USE,
            "state_dir %s is held by another gossamer (pid %s); stop it or set another "
            "state_dir",
            dir, pid[0] ? pid : "unknown");
    }
    /* A full disk has no room for it, and the lock holds all the same. */
    n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        LOG_WARN("state.no_pid", "file=%s why=\"%s\"", path, strerror(errno));
    return GS_E_OK;
}

gs_err
node_dir_open(const char *dir, int *out, struct gs_why *why)
{
    char path[DIR_PATH_MAX + 8];
    gs_err e = make_dirs(dir, strlen(dir), 0700, "state_dir", why);
    int fd;

    if (e != GS_E_OK)
        return e;
    snprintf(path, sizeof(path), "%s/lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return gs_refuse(why, GS_E_IO,
                         "cannot open %s: %s; give it to the user that runs this, or set state_dir "
                         "to a place where that one may write",
                         path, strerror(errno));
    e = lock(fd, dir, path, why);
    if (e == GS_E_OK)
        *out = fd;
    else
        close(fd);
    return e;
}

gs_err
node_dir_save(const char *dir, const struct state_node *n, struct gs_why *why)
{
    struct state_writer w;
    struct gs_slice bytes;
    gs_err e;

    state_writer_init(&w, STATE_NODE);
    state_put_node(&w, n);
    e = state_end(&w, &bytes);
    if (e == GS_E_OK)
        e = state_save(dir, "node.state", bytes, why);
    state_writer_fini(&w);
    return e;
}

void
node_dir_boot(const char *dir, uint64_t wall_ms, struct state_node *out)
{
    struct state_file file = { 0 };
    struct gs_why why = { "" };
    gs_err e = state_load(dir, "node.state", STATE_NODE, wall_ms, &file, &why);

    *out = (struct state_node){ 0 };
    if (e == GS_E_OK && state_read_node(&file, out, &why) != GS_E_OK) {
        LOG_WARN("state.set_aside", "file=node.state why=\"%s\"", why.text);
        state_keep(dir, "node.state", wall_ms, &why);
        LOG_INFO("state.kept", "file=node.state why=\"%s\"", why.text);
    } else if (e != GS_E_OK && e != GS_E_NOT_FOUND) {
        LOG_WARN("state.set_aside", "file=node.state why=\"%s\"", why.text);
    }
    state_file_fini(&file);
    out->boot = out->boot + 1 > wall_ms ? out->boot + 1 : wall_ms;
}

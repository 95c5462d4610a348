/* keys.c - where the group's keys are, and how the first one comes to be. */
#include "mesh/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gossamer/buf.h>
#include <gossamer/log.h>
#include <gossamer/rng.h>

#include "mesh/config/config.h"

_Static_assert(CONFIG_KEY_BYTES == SEAL_KEY_BYTES, "what the configuration reads seals packets");

/* The first error, with what to do about it; warnings are logged. */
static gs_err
tell(const struct gs_problems *p, const char *path, struct gs_why *why)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct gs_problem *one = &p->items[i];

        if (one->severity == GS_SEV_ERROR)
            return gs_refuse(why, GS_E_INVALID, "gossip keys: %s:%u: %s; %s", path, one->line,
                             one->message, one->hint ? one->hint : "");
        LOG_WARN("gossip.keys", "file=%s why=\"%s\"", path, one->message);
    }
    return GS_E_OK;
}

static gs_err
read_ring(const char *path, struct seal_ring *out, struct gs_why *why)
{
    struct config_keys keys = { 0 };
    struct gs_problems problems;
    gs_err e;

    gs_problems_init(&problems);
    e = config_load_keys(path, &keys, &problems);
    if (e != GS_E_OK || problems.count > 0) {
        gs_err told = tell(&problems, path, why);

        e = e != GS_E_OK ? told : e;
    }
    for (size_t i = 0; e == GS_E_OK && i < keys.count; i++)
        e = seal_ring_add(out, keys.items[i], why);
    config_keys_fini(&keys);
    gs_problems_fini(&problems);
    return e;
}

/* ---- founding ---- */

static gs_err
refuse_errno(struct gs_why *why, const char *what, const char *path)
{
    return gs_refuse(why, GS_E_IO, "cannot %s %s: %s", what, path, strerror(errno));
}

static gs_err
write_all(int fd, const char *path, struct gs_slice text, struct gs_why *why)
{
    ssize_t n = write(fd, text.ptr, text.len);

    if (n != (ssize_t)text.len) {
        if (n >= 0)
            errno = ENOSPC;
        return refuse_errno(why, "write", path);
    }
    if (fsync(fd) != 0)
        return refuse_errno(why, "write", path);
    return GS_E_OK;
}

/* The name is on the disk when this returns, too: a mesh whose key is lost cannot be joined. */
static gs_err
sync_dir(const char *dir, struct gs_why *why)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gs_err e = GS_E_OK;

    if (fd < 0 || fsync(fd) != 0)
        e = refuse_errno(why, "write", dir);
    if (fd >= 0)
        (void)close(fd);
    return e;
}

static gs_err
write_key(const char *dir, const char *path, const char *text, struct gs_why *why)
{
    char temporary[KEYS_PATH_MAX];
    gs_err e;
    int fd;

    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
        return gs_refuse(why, GS_E_INVALID, "state_dir is too long: %s", dir);
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return refuse_errno(why, "write", temporary);
    e = write_all(fd, temporary, gs_slice_str(text), why);
    if (close(fd) != 0 && e == GS_E_OK)
        e = refuse_errno(why, "write", temporary);
    if (e == GS_E_OK && rename(temporary, path) != 0)
        e = refuse_errno(why, "write", path);
    if (e != GS_E_OK) {
        (void)unlink(temporary);
        return e;
    }
    return sync_dir(dir, why);
}

static gs_err
make_key(const char *dir, const char *path, struct seal_ring *out, struct gs_why *why)
{
    uint8_t key[CONFIG_KEY_BYTES];
    char text[CONFIG_KEY_TEXT + 1];
    gs_err e;

    gs_random_bytes(key, sizeof(key));
    config_key_text(key, text);
    text[CONFIG_KEY_TEXT - 1] = '\n';
    text[CONFIG_KEY_TEXT] = '\0';
    e = write_key(dir, path, text, why);
    if (e == GS_E_OK)
        e = seal_ring_add(out, key, why);
    explicit_bzero(key, sizeof(key));
    explicit_bzero(text, sizeof(text));
    return e;
}

/* ---- loading ---- */

enum keys_source
keys_find(const struct config *c, char path[KEYS_PATH_MAX])
{
    const char *given = c->gossip.key_file;
    int len = given ? snprintf(path, KEYS_PATH_MAX, "%s", given)
                    : snprintf(path, KEYS_PATH_MAX, "%s/" KEYS_FILE, c->state_dir);

    if (len >= KEYS_PATH_MAX)
        path[0] = '\0';
    if (given)
        return KEYS_GIVEN;
    if (access(path, F_OK) == 0 || errno != ENOENT)
        return KEYS_KEPT; /* or somebody may read it who is not us */
    return c->gossip.join.count > 0 ? KEYS_MISSING : KEYS_MADE;
}

const char *
keys_missing_text(const char *path, char out[256])
{
    (void)snprintf(out, 256,
                   "gossip.join needs the keys of the mesh: copy a member's gossip.key_file or "
                   "STATE_DIR/" KEYS_FILE " to %.100s, mode 0600",
                   path);
    return out;
}

gs_err
keys_load(const struct config *c, struct seal_ring *out, bool *founded, struct gs_why *why)
{
    struct seal_ring ring = { .count = 0 };
    char path[KEYS_PATH_MAX], text[256];
    enum keys_source source = keys_find(c, path);
    gs_err e = GS_E_OK;

    if (path[0] == '\0')
        return gs_refuse(why, GS_E_INVALID, "state_dir is too long: %s", c->state_dir);
    switch (source) {
    case KEYS_GIVEN:
    case KEYS_KEPT:
        e = read_ring(path, &ring, why);
        break;
    case KEYS_MADE:
        e = make_key(c->state_dir, path, &ring, why);
        break;
    case KEYS_MISSING:
        e = gs_refuse(why, GS_E_INVALID, "%s", keys_missing_text(path, text));
        break;
    }
    if (e == GS_E_OK) {
        *out = ring;
        *founded = source == KEYS_MADE;
    }
    seal_ring_wipe(&ring);
    return e;
}

/* state.c - framing of the state files, and the order of system calls that survives a power cut:
 * write a temporary file, fsync it, rename it over the old one, fsync the folder. */
#include "mesh/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gossamer/alloc.h>

#define STATE_FORMAT 1
#define STATE_PATH_MAX 4096

enum { /* bytes */
       MAGIC_LEN = 8,
       HEADER_LEN = MAGIC_LEN + 4 + 4 + 4,
       FRAME_LEN = 4 + 4 + 2, /* before the frame's bytes */
       END_LEN = 4,           /* number of frames before */
       NODE_LEN = 3 * 8,
};

static const char magic[MAGIC_LEN + 1] = "GSMRSTAT";

/* ---- numbers ---- */

static void
put_le(char *at, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (char)(v >> (8 * i));
}

static uint64_t
get_le(const char *at, size_t bytes)
{
    uint64_t v = 0;

    for (size_t i = bytes; i-- > 0;)
        v = v << 8 | (uint8_t)at[i];
    return v;
}

static uint32_t
frame_crc(const char *header, struct gs_slice bytes)
{
    uint32_t crc = gs_crc32c(0, header, 4); /* length */

    crc = gs_crc32c(crc, header + 8, 2); /* kind */
    return gs_crc32c(crc, bytes.ptr, bytes.len);
}

/* ---- building ---- */

void
state_writer_init(struct state_writer *w, enum state_type type)
{
    char header[HEADER_LEN];

    *w = (struct state_writer){ .frames = 0 };
    gs_buf_init(&w->out, STATE_BYTES_MAX);
    memcpy(header, magic, MAGIC_LEN);
    put_le(header + 8, STATE_FORMAT, 4);
    put_le(header + 12, type, 4);
    put_le(header + 16, gs_crc32c(0, header, 16), 4);
    (void)gs_buf_put(&w->out, header, sizeof(header));
}

void
state_writer_fini(struct state_writer *w)
{
    if (w)
        gs_buf_fini(&w->out);
}

static void
put_frame(struct state_writer *w, uint16_t kind, struct gs_slice bytes)
{
    char header[FRAME_LEN];

    put_le(header, bytes.len, 4);
    put_le(header + 8, kind, 2);
    put_le(header + 4, frame_crc(header, bytes), 4);
    (void)gs_buf_put(&w->out, header, sizeof(header));
    (void)gs_buf_put_slice(&w->out, bytes);
}

void
state_put(struct state_writer *w, uint16_t kind, struct gs_slice bytes)
{
    GS_ASSERT(kind != STATE_FRAME_END);
    put_frame(w, kind, bytes);
    w->frames++;
}

gs_err
state_end(struct state_writer *w, struct gs_slice *bytes)
{
    char count[END_LEN];

    put_le(count, w->frames, sizeof(count));
    put_frame(w, STATE_FRAME_END, gs_slice(count, sizeof(count)));
    if (w->out.failed || w->frames > STATE_FRAMES_MAX)
        return GS_E_LIMIT;
    *bytes = gs_buf_slice(&w->out);
    return GS_E_OK;
}

/* ---- parsing ---- */

void
state_file_fini(struct state_file *f)
{
    if (!f)
        return;
    gs_free(f->bytes);
    gs_free(f->frames);
    *f = (struct state_file){ 0 };
}

static gs_err
check_header(struct gs_slice bytes, enum state_type type, struct gs_why *why)
{
    if (bytes.len < HEADER_LEN || memcmp(bytes.ptr, magic, MAGIC_LEN) != 0)
        return gs_refuse(why, GS_E_CORRUPT, "it does not begin as a state file does");
    if (get_le(bytes.ptr + 16, 4) != gs_crc32c(0, bytes.ptr, 16))
        return gs_refuse(why, GS_E_CORRUPT, "its header is damaged");
    if (get_le(bytes.ptr + 8, 4) != STATE_FORMAT)
        return gs_refuse(why, GS_E_UNSUPPORTED, "it is of format %u, this version reads %d",
                         (unsigned)get_le(bytes.ptr + 8, 4), STATE_FORMAT);
    if (get_le(bytes.ptr + 12, 4) != type)
        return gs_refuse(why, GS_E_CORRUPT, "it is another kind of state file");
    return GS_E_OK;
}

/* The frame at *at, which moves behind it. */
static gs_err
read_frame(struct gs_slice bytes, size_t *at, struct state_frame *f, struct gs_why *why)
{
    const char *header = bytes.ptr + *at;
    size_t left = bytes.len - *at;
    uint64_t len;

    if (left < FRAME_LEN)
        return gs_refuse(why, GS_E_CORRUPT, "it ends within a frame, at byte %zu", bytes.len);
    len = get_le(header, 4);
    if (len > left - FRAME_LEN)
        return gs_refuse(why, GS_E_CORRUPT, "it ends within the frame at byte %zu", *at);
    f->kind = (uint16_t)get_le(header + 8, 2);
    f->bytes = gs_slice(header + FRAME_LEN, (size_t)len);
    if (get_le(header + 4, 4) != frame_crc(header, f->bytes))
        return gs_refuse(why, GS_E_CORRUPT, "the frame at byte %zu is damaged", *at);
    *at += FRAME_LEN + (size_t)len;
    return GS_E_OK;
}

static gs_err
add_frame(struct state_file *f, size_t *cap, const struct state_frame *frame, struct gs_why *why)
{
    if (f->count >= STATE_FRAMES_MAX)
        return gs_refuse(why, GS_E_CORRUPT, "it has more than %u frames", STATE_FRAMES_MAX);
    if (f->count == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        f->frames = gs_realloc(f->frames, *cap * sizeof(*f->frames));
    }
    f->frames[f->count++] = *frame;
    return GS_E_OK;
}

static gs_err
read_frames(struct gs_slice bytes, struct state_file *f, struct gs_why *why)
{
    size_t at = HEADER_LEN;
    size_t cap = 0;

    for (;;) {
        struct state_frame frame;
        gs_err e = read_frame(bytes, &at, &frame, why);

        if (e != GS_E_OK)
            return e;
        if (frame.kind == STATE_FRAME_END) {
            if (frame.bytes.len != END_LEN || get_le(frame.bytes.ptr, END_LEN) != f->count)
                return gs_refuse(why, GS_E_CORRUPT, "frames are missing");
            return at == bytes.len
                       ? GS_E_OK
                       : gs_refuse(why, GS_E_CORRUPT, "something follows its end, at byte %zu", at);
        }
        e = add_frame(f, &cap, &frame, why);
        if (e != GS_E_OK)
            return e;
    }
}

gs_err
state_parse(struct gs_slice bytes, enum state_type type, struct state_file *out, struct gs_why *why)
{
    struct state_file f = { 0 };
    gs_err e = check_header(bytes, type, why);

    if (e == GS_E_OK)
        e = read_frames(bytes, &f, why);
    if (e != GS_E_OK) {
        state_file_fini(&f);
        return e;
    }
    *out = f;
    return GS_E_OK;
}

/* ---- the disk ---- */

static gs_err
join(char out[STATE_PATH_MAX], const char *dir, const char *name, struct gs_why *why)
{
    int len = snprintf(out, STATE_PATH_MAX, "%s/%s", dir, name);

    if (len < 0 || len >= STATE_PATH_MAX)
        return gs_refuse(why, GS_E_IO, "the name of the state folder is too long");
    return GS_E_OK;
}

static gs_err
read_all(int fd, struct state_file *f, size_t *len, struct gs_why *why)
{
    struct stat st;
    size_t got = 0;

    if (fstat(fd, &st) != 0)
        return gs_refuse(why, GS_E_IO, "it cannot be read: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return gs_refuse(why, GS_E_IO, "it is no ordinary file");
    if ((uint64_t)st.st_size > STATE_BYTES_MAX)
        return gs_refuse(why, GS_E_TOO_LARGE, "it has %jd bytes, at most %u are read",
                         (intmax_t)st.st_size, STATE_BYTES_MAX);
    f->bytes = gs_alloc((size_t)st.st_size + 1);
    while (got < (size_t)st.st_size) {
        ssize_t n = read(fd, f->bytes + got, (size_t)st.st_size - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return gs_refuse(why, GS_E_IO, "it cannot be read: %s", strerror(errno));
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *len = got;
    return GS_E_OK;
}

static gs_err
read_and_parse(int fd, enum state_type type, struct state_file *out, struct gs_why *why)
{
    struct state_file raw = { 0 };
    struct state_file parsed = { 0 };
    size_t len = 0;
    gs_err e = read_all(fd, &raw, &len, why);

    if (e == GS_E_OK)
        e = state_parse(gs_slice(raw.bytes, len), type, &parsed, why);
    if (e != GS_E_OK) {
        state_file_fini(&raw);
        return e;
    }
    parsed.bytes = raw.bytes; /* its frames point into them */
    *out = parsed;
    return GS_E_OK;
}

/* ---- setting aside ---- */

#define BAD_MARK ".bad."

/* When NAME.bad.WHEN was set aside. False: it is another file. */
static bool
bad_when(const char *file, const char *name, uint64_t *when)
{
    size_t len = strlen(name);

    return strncmp(file, name, len) == 0 &&
           strncmp(file + len, BAD_MARK, sizeof(BAD_MARK) - 1) == 0 &&
           gs_slice_to_u64(gs_slice_str(file + len + sizeof(BAD_MARK) - 1), when);
}

struct bad_files {
    size_t count;
    uint64_t oldest; /* of those above `above`; UINT64_MAX: none is */
    uint64_t newest; /* 0: there is none */
};

static struct bad_files
look_for_bad(const char *dir, const char *name, uint64_t above)
{
    struct bad_files b = { .oldest = UINT64_MAX };
    DIR *d = opendir(dir);
    const struct dirent *e;

    while (d && (e = readdir(d))) {
        uint64_t when;

        if (!bad_when(e->d_name, name, &when))
            continue;
        b.count++;
        if (when > above && when < b.oldest)
            b.oldest = when;
        if (when > b.newest)
            b.newest = when;
    }
    if (d)
        (void)closedir(d);
    return b;
}

/* A folder that holds something is not ours to empty: it stays, and is passed over. */
static void
drop_oldest(const char *dir, const char *name)
{
    struct bad_files b = look_for_bad(dir, name, 0);

    while (b.count > STATE_BAD_KEPT_MAX && b.oldest != UINT64_MAX) {
        char path[STATE_PATH_MAX + 64];

        (void)snprintf(path, sizeof(path), "%s/%s" BAD_MARK "%" PRIu64, dir, name, b.oldest);
        if (unlink(path) != 0)
            (void)rmdir(path);
        b = look_for_bad(dir, name, b.oldest);
    }
}

/* Later than all others, whatever the clock says: the oldest are dropped. */
static void
bad_path(const char *dir, const char *name, uint64_t wall_ms, char out[STATE_PATH_MAX + 64])
{
    struct bad_files b = look_for_bad(dir, name, 0);

    if (b.newest >= wall_ms && b.newest < UINT64_MAX)
        wall_ms = b.newest + 1;
    (void)snprintf(out, STATE_PATH_MAX + 64, "%s/%s" BAD_MARK "%" PRIu64, dir, name, wall_ms);
}

static gs_err
set_aside(const char *dir, const char *name, const char *path, uint64_t wall_ms, gs_err e,
          struct gs_why *why)
{
    char bad[STATE_PATH_MAX + 64];
    struct gs_why found = why ? *why : (struct gs_why){ "" };

    bad_path(dir, name, wall_ms, bad);
    if (rename(path, bad) != 0)
        return gs_refuse(why, e, "%s: %.100s; it cannot be set aside either: %s", path, found.text,
                         strerror(errno));
    drop_oldest(dir, name);
    return gs_refuse(why, e, "%s: %.90s; it was set aside as %s", path, found.text,
                     strrchr(bad, '/') + 1);
}

void
state_keep(const char *dir, const char *name, uint64_t wall_ms, struct gs_why *why)
{
    char path[STATE_PATH_MAX], bad[STATE_PATH_MAX + 64];

    if (join(path, dir, name, why) != GS_E_OK)
        return;
    bad_path(dir, name, wall_ms, bad);
    if (link(path, bad) != 0) {
        (void)gs_refuse(why, GS_E_IO, "%s cannot be kept: %s", path, strerror(errno));
        return;
    }
    drop_oldest(dir, name);
    (void)snprintf(why->text, sizeof(why->text), "it is kept as %s", strrchr(bad, '/') + 1);
}

gs_err
state_load(const char *dir, const char *name, enum state_type type, uint64_t wall_ms,
           struct state_file *out, struct gs_why *why)
{
    char path[STATE_PATH_MAX];
    struct gs_why found = { "" };
    gs_err e = join(path, dir, name, why);
    struct stat st;
    int fd;

    if (e != GS_E_OK)
        return e;
    if (lstat(path, &st) != 0 && errno == ENOENT)
        return gs_refuse(why, GS_E_NOT_FOUND, "%s does not exist", path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        e = gs_refuse(&found, GS_E_IO, "it cannot be opened: %s", strerror(errno));
    else
        e = read_and_parse(fd, type, out, &found);
    if (fd >= 0)
        (void)close(fd);
    if (why)
        *why = found;
    return e == GS_E_OK ? e : set_aside(dir, name, path, wall_ms, e, why ? why : &found);
}

static bool
write_all(int fd, struct gs_slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = gs_slice_from(bytes, (size_t)n);
    }
    return true;
}

static bool
sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int reason = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = reason;
    return good;
}

gs_err
state_save(const char *dir, const char *name, struct gs_slice bytes, struct gs_why *why)
{
    char path[STATE_PATH_MAX];
    char temp[STATE_PATH_MAX + 8];
    gs_err e = join(path, dir, name, why);
    bool good;
    int reason;
    int fd;

    if (e != GS_E_OK)
        return e;
    (void)snprintf(temp, sizeof(temp), "%s.tmp", path);
    if (unlink(temp) != 0 && errno == EISDIR) /* a leftover; what is no file is in nobody's way */
        (void)rmdir(temp);
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    good = fd >= 0 && fchmod(fd, 0600) == 0 && write_all(fd, bytes) && fsync(fd) == 0;
    reason = errno;
    if (fd >= 0)
        (void)close(fd);
    if (good) {
        good = rename(temp, path) == 0 && sync_dir(dir);
        reason = errno;
    }
    if (good)
        return GS_E_OK;
    (void)unlink(temp);
    return gs_refuse(why, GS_E_IO, "%s cannot be written: %s", fd < 0 ? temp : path,
                     strerror(reason));
}

/* ---- node.state ---- */

void
state_put_node(struct state_writer *w, const struct state_node *n)
{
    char bytes[NODE_LEN];

    put_le(bytes, n->boot, 8);
    put_le(bytes + 8, n->incarnation, 8);
    put_le(bytes + 16, n->hlc, 8);
    state_put(w, STATE_FRAME_NODE, gs_slice(bytes, sizeof(bytes)));
}

gs_err
state_read_node(const struct state_file *f, struct state_node *out, struct gs_why *why)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct gs_slice bytes = f->frames[i].bytes;

        /* A later version may append to it. */
        if (f->frames[i].kind != STATE_FRAME_NODE || bytes.len < NODE_LEN)
            continue;
        *out = (struct state_node){
            .boot = get_le(bytes.ptr, 8),
            .incarnation = get_le(bytes.ptr + 8, 8),
            .hlc = get_le(bytes.ptr + 16, 8),
        };
        if (out->boot < BOOT_MAX && out->hlc >> 16 < BOOT_MAX / 2 && out->incarnation <= UINT32_MAX)
            return GS_E_OK;
        *out = (struct state_node){ 0 };
        return gs_refuse(why, GS_E_CORRUPT, "its numbers are no node's");
    }
    return gs_refuse(why, GS_E_CORRUPT, "it says nothing of this node");
}

/* config_file.c - reads what an operator named: a file, but a pipe will do (`-c <(...)`). */
#include "mesh/config/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_READ_BYTES 65536

static gs_err
refuse_errno(struct gs_why *why, int error)
{
    gs_err e = error == ENOENT || error == ENOTDIR ? GS_E_NOT_FOUND
               : error == EACCES                   ? GS_E_DENIED
                                                   : GS_E_IO;

    return gs_refuse(why, e, "cannot be read: %s", strerror(error));
}

static gs_err
read_all(int fd, struct gs_buf *out, struct gs_why *why)
{
    for (;;) {
        size_t room = out->max - out->len;
        char *at = gs_buf_reserve(out, room < FILE_READ_BYTES ? room : FILE_READ_BYTES);
        char more;
        ssize_t n;

        GS_ASSERT(at);
        n = room > 0 ? read(fd, at, room < FILE_READ_BYTES ? room : FILE_READ_BYTES)
                     : read(fd, &more, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse_errno(why, errno);
        if (n == 0)
            return GS_E_OK;
        if (room == 0)
            return gs_refuse(why, GS_E_TOO_LARGE, "cannot be read: it is larger than %zu bytes",
                             out->max);
        gs_buf_grew(out, (size_t)n);
    }
}

static bool
is_regular(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

gs_err
config_file_read(const char *path, enum config_file kind, struct gs_buf *out, struct gs_why *why)
{
    int wait = kind == CONFIG_FILE_REGULAR ? O_NONBLOCK : 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | wait);
    gs_err e;

    if (fd < 0)
        return refuse_errno(why, errno);
    if (kind == CONFIG_FILE_REGULAR && !is_regular(fd))
        e = gs_refuse(why, GS_E_INVALID, "cannot be read while the node runs: it is no file");
    else
        e = read_all(fd, out, why);
    (void)close(fd);
    return e;
}

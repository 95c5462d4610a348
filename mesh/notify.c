/* notify.c - sd_notify's protocol is a datagram; libsystemd has no static archive for it. */
#include "mesh/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NOTIFY_BYTES_MAX 512

/* A path, or with a leading @ a name in the abstract namespace, which a NUL stands for. */
static socklen_t
find_socket(struct sockaddr_un *to)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;

    if (len < 2 || len >= sizeof(to->sun_path) || (path[0] != '/' && path[0] != '@'))
        return 0;
    *to = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(to->sun_path, path, len);
    if (path[0] == '@')
        to->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void
notify_send(const char *fmt, ...)
{
    char text[NOTIFY_BYTES_MAX];
    struct sockaddr_un to;
    socklen_t to_len = find_socket(&to);
    va_list ap;
    int fd, n;

    if (to_len == 0)
        return;
    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    GS_ASSERT(n > 0 && (size_t)n < sizeof(text));
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&to, to_len);
    close(fd);
}

void
notify_reloading(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u);
}

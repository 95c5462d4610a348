/* advertise.c - asks the kernel which of this machine's addresses others would see. */
#include "mesh/advertise.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "mesh/config/config.h"

/* The source address of packets to there; connecting a datagram socket sends none. */
static bool
by_route(const struct gs_addr *to, struct gs_addr *out)
{
    struct sockaddr_storage sa;
    socklen_t len = gs_addr_to_sockaddr(to, &sa);
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found = false;

    if (fd < 0)
        return false;
    if (connect(fd, (struct sockaddr *)&sa, len) == 0) {
        len = sizeof(sa);
        found = getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
                gs_addr_from_sockaddr(out, (struct sockaddr *)&sa) == GS_E_OK;
    }
    (void)close(fd);
    return found && !gs_addr_is_any(out);
}

/* Link-local IPv6 addresses are of no use without their interface, which another node has not. */
static bool
is_usable(const struct ifaddrs *i, uint8_t family, struct gs_addr *out)
{
    if (!i->ifa_addr || (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP) ||
        i->ifa_addr->sa_family != (family == 4 ? AF_INET : AF_INET6) ||
        gs_addr_from_sockaddr(out, i->ifa_addr) != GS_E_OK)
        return false;
    return out->family == 4 || out->ip[0] != 0xfe || (out->ip[1] & 0xc0) != 0x80;
}

static bool
by_interface(uint8_t family, struct gs_addr *out)
{
    struct ifaddrs *list;
    bool found = false;

    if (getifaddrs(&list) != 0)
        return false;
    for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next)
        found = is_usable(i, family, out);
    freeifaddrs(list);
    return found;
}

static struct gs_addr
loopback(uint8_t family)
{
    struct gs_addr a = { .family = family };

    if (family == 4)
        memcpy(a.ip, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
    else
        a.ip[15] = 1;
    return a;
}

struct gs_addr
advertise_find(const struct config *c, const char **how)
{
    struct gs_addr a = c->gossip.advertise;
    uint8_t family = c->gossip.bind.family;

    *how = "given";
    if (a.family != 0)
        return a;
    *how = "bind";
    a = c->gossip.bind;
    if (!gs_addr_is_any(&a))
        return a;
    *how = "route";
    if (c->gossip.join.count == 0 || !by_route(&c->gossip.join.items[0], &a)) {
        *how = "interface";
        /* An IPv6 wildcard takes IPv4 too, and most machines have only that. */
        if (!by_interface(family, &a) && (family == 4 || !by_interface(4, &a))) {
            *how = "loopback";
            a = loopback(family);
        }
    }
    a.port = c->gossip.bind.port;
    return a;
}

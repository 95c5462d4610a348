/* addr.c - addresses as text and as the system wants them. An IPv4 address seen through an IPv6
 * socket (::ffff:a.b.c.d) becomes plain IPv4, so that one host has one address. */
#include <gossamer/addr.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#define ADDR_IP_TEXT 46 /* INET6_ADDRSTRLEN */

_Static_assert(ADDR_IP_TEXT == INET6_ADDRSTRLEN, "any address fits");
_Static_assert(GS_ADDR_TEXT >= ADDR_IP_TEXT + 9, "brackets, colon, port, NUL fit");

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static size_t
ip_bytes(const struct gs_addr *a)
{
    return a->family == 4 ? 4 : a->family == 6 ? 16 : 0;
}

static gs_err
ip_parse(struct gs_addr *a, struct gs_slice host)
{
    char text[ADDR_IP_TEXT];
    bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';

    if (gs_slice_eq(host, GS_SLICE("*"))) {
        a->family = 4;
        return GS_E_OK;
    }
    if (bracketed)
        host = gs_slice(host.ptr + 1, host.len - 2);
    if (host.len == 0 || host.len >= sizeof(text) || memchr(host.ptr, '\0', host.len))
        return GS_E_INVALID;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    a->family = bracketed ? 6 : 4;
    return inet_pton(bracketed ? AF_INET6 : AF_INET, text, a->ip) == 1 ? GS_E_OK : GS_E_INVALID;
}

gs_err
gs_addr_parse(struct gs_addr *a, struct gs_slice text, struct gs_why *why)
{
    struct gs_addr parsed = { 0 };
    ptrdiff_t colon = gs_slice_rfind(text, ':');
    struct gs_slice port_text;
    uint64_t port = 0;

    if (colon < 0)
        return gs_refuse(why, GS_E_INVALID, "\"%.*s\" has no port, expected ADDRESS:PORT",
                         GS_SLICE_FMT(text));
    port_text = gs_slice_from(text, (size_t)colon + 1);
    if (port_text.len > 5 || !gs_slice_to_u64(port_text, &port) || port > UINT16_MAX)
        return gs_refuse(why, GS_E_INVALID, "\"%.*s\" is no port, expected 0 to 65535",
                         GS_SLICE_FMT(port_text));
    if (ip_parse(&parsed, gs_slice_head(text, (size_t)colon)) != GS_E_OK)
        return gs_refuse(why, GS_E_INVALID,
                         "\"%.*s\" is no IP address, expected 192.0.2.1, [2001:db8::1] or *",
                         (int)colon, text.ptr);
    parsed.port = (uint16_t)port;
    *a = parsed;
    return GS_E_OK;
}

const char *
gs_addr_text(const struct gs_addr *a, char out[GS_ADDR_TEXT])
{
    char ip[ADDR_IP_TEXT];

    if (ip_bytes(a) == 0) {
        (void)snprintf(out, GS_ADDR_TEXT, "-");
        return out;
    }
    GS_ASSERT(inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof(ip)));
    (void)snprintf(out, GS_ADDR_TEXT, a->family == 4 ? "%s:%u" : "[%s]:%u", ip, a->port);
    return out;
}

bool
gs_addr_is_any(const struct gs_addr *a)
{
    static const uint8_t zero[16];

    return (a->family == 4 && memcmp(a->ip, zero, 4) == 0) ||
           (a->family == 6 && memcmp(a->ip, zero, 16) == 0);
}

bool
gs_addr_eq(const struct gs_addr *a, const struct gs_addr *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, ip_bytes(a)) == 0;
}

socklen_t
gs_addr_to_sockaddr(const struct gs_addr *a, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(a->port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

    GS_ASSERT(a->family == 4 || a->family == 6);
    memset(out, 0, sizeof(*out));
    if (a->family == 4) {
        memcpy(&v4.sin_addr, a->ip, 4);
        memcpy(out, &v4, sizeof(v4));
        return sizeof(v4);
    }
    memcpy(&v6.sin6_addr, a->ip, 16);
    memcpy(out, &v6, sizeof(v6));
    return sizeof(v6);
}

gs_err
gs_addr_from_sockaddr(struct gs_addr *a, const struct sockaddr *sa)
{
    struct gs_addr found = { 0 };
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (sa->sa_family == AF_INET) {
        memcpy(&v4, sa, sizeof(v4));
        found.family = 4;
        found.port = ntohs(v4.sin_port);
        memcpy(found.ip, &v4.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        memcpy(&v6, sa, sizeof(v6));
        found.port = ntohs(v6.sin6_port);
        if (memcmp(&v6.sin6_addr, mapped_prefix, sizeof(mapped_prefix)) == 0) {
            found.family = 4;
            memcpy(found.ip, (const char *)&v6.sin6_addr + sizeof(mapped_prefix), 4);
        } else {
            found.family = 6;
            memcpy(found.ip, &v6.sin6_addr, 16);
        }
    } else {
        return GS_E_INVALID;
    }
    *a = found;
    return GS_E_OK;
}

/* addr.h - an IP address and port. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <gossamer/check.h>
#include <gossamer/err.h>
#include <gossamer/slice.h>

#define GS_ADDR_TEXT 64 /* bytes that hold any address:port as text with NUL */

struct gs_addr {
    uint8_t family; /* 0 none, 4, 6 */
    uint16_t port;  /* host order */
    uint8_t ip[16]; /* network order; IPv4 in the first four */
};

/* "1.2.3.4:80", "[::1]:80", "*:80" (any IPv4). Port 0 is allowed. */
gs_err gs_addr_parse(struct gs_addr *a, struct gs_slice text, struct gs_why *why) GS_MUST_CHECK;
const char *gs_addr_text(const struct gs_addr *a, char out[GS_ADDR_TEXT]); /* returns out */
bool gs_addr_eq(const struct gs_addr *a, const struct gs_addr *b);
bool gs_addr_is_any(const struct gs_addr *a); /* 0.0.0.0 or ::, whatever the port */
socklen_t gs_addr_to_sockaddr(const struct gs_addr *a, struct sockaddr_storage *out);
/* ::ffff:1.2.3.4 (IPv4 seen through an IPv6 socket) becomes 1.2.3.4: one host, one address. */
gs_err gs_addr_from_sockaddr(struct gs_addr *a, const struct sockaddr *sa) GS_MUST_CHECK;

/* port_owner.h - who holds a TCP port, for an error that says what to do. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/buf.h>

/* Appends "pid 123 (nginx)" when the listener on that port can be found in /proc (one's own
 * processes, or all as root). False when it cannot. */
bool port_owner(const struct gs_addr *addr, struct gs_buf *out);
/* "cannot listen on 127.0.0.1:4140: Address already in use" becomes who it is, or which key of the
 * configuration to change. */
void port_owner_explain(const struct gs_addr *addr, const char *key, struct gs_why *why);

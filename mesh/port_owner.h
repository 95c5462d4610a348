/* port_owner.h - who holds a TCP port, for an error that says what to do. */
#pragma once

#include <gossamer/addr.h>
#include <gossamer/buf.h>

/* Appends "pid 123 (nginx)" when the listener on that port can be found in /proc (one's own
 * processes, or all as root). False when it cannot. */
bool port_owner(const struct gs_addr *addr, struct gs_buf *out);

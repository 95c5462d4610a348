/* advertise.h - where other nodes reach this one. */
#pragma once

#include <gossamer/addr.h>

struct config;

/* gossip.advertise; else gossip.bind if that is one address; else, of a wildcard: the address this
 * machine would talk to the first gossip.join from; else the first address of an interface that is
 * up and no loopback; else 127.0.0.1 (::1). The port is always bind's unless advertise has its own.
 * how   for the log: "given", "bind", "route", "interface", "loopback"
 * Blocks on nothing but the kernel. */
struct gs_addr advertise_find(const struct config *c, const char **how);

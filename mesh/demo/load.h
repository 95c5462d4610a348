/* load.h - an ordinary client: HTTP/1.1 on a number of kept connections, as an application would
 * call through the mesh, with every answer counted by the version that gave it. */
#pragma once

#include <gossamer/addr.h>

struct watch;

struct load_options {
    struct gs_addr to; /* the outbound port */
    const char *host, *path;
    const char *header;     /* "name: value", of the tagged requests */
    unsigned plain, tagged; /* requests without and with it, mixed evenly */
    unsigned connections;
    struct watch *watch; /* looked at while waiting */
};

struct load_count {
    unsigned v1, v2, failed; /* failed: no 200 of either version */
};

struct load_result {
    struct load_count plain, tagged;
    uint64_t took_us;
    char failure[256]; /* the first, in words; "" when there was none */
    bool stopped;      /* by a signal; the counts are of what there was */
};

void load_run(const struct load_options *o, struct load_result *out);

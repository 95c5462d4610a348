/* trace.c - the hash is over numbers and names, never over memory as it lies, so that two compilers
 * agree on it. */
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <string.h>

#include <gossamer/check.h>

void
trace_init(struct trace *t, enum trace_level level, FILE *out)
{
    *t = (struct trace){ .hash = UINT64_C(0x676f7373616d6572), .level = level, .out = out };
}

static void
host_text(char out[16], uint32_t host)
{
    if (host == TRACE_NOBODY)
        (void)snprintf(out, 16, "-");
    else
        (void)snprintf(out, 16, "n%" PRIu32, host);
}

static void
print_line(const struct trace *t, const struct trace_line *l)
{
    char host[16], subject[16];

    host_text(host, l->host);
    host_text(subject, l->subject);
    (void)fprintf(t->out, "%12.6f %-6s %-11s %-6s %-8s %" PRIu64 " %" PRIu64 "\n",
                  (double)l->at_ns / 1e9, host, l->what, subject, l->state ? l->state : "-", l->a,
                  l->b);
}

static void
add(struct trace *t, const struct trace_line *l)
{
    uint64_t words[6] = { l->at_ns, l->host, l->subject, l->a, l->b, t->lines };

    GS_ASSERT(l->what);
    t->lines++;
    t->hash = gs_hash(words, sizeof(words), t->hash);
    t->hash = gs_hash(l->what, strlen(l->what), t->hash);
    if (l->state)
        t->hash = gs_hash(l->state, strlen(l->state), t->hash);
}

void
trace_event(struct trace *t, const struct trace_line *l)
{
    add(t, l);
    if (t->level >= TRACE_EVENTS)
        print_line(t, l);
}

void
trace_packet(struct trace *t, const struct trace_line *l, struct gs_slice bytes)
{
    add(t, l);
    t->hash = gs_hash(bytes.ptr, bytes.len, t->hash);
    if (t->level >= TRACE_PACKETS)
        print_line(t, l);
}

/* fuzz_h1.c - HTTP/1 heads and body framing, both directions.
 *
 *   byte 0: bit 0 answers, bit 1 the request was HEAD; byte 1: where the input is split
 *
 * Held: no split changes the outcome, and every head that is taken and written again is taken
 * again with the same framing (what goes to an instance is never ambiguous). */
#include "tests/fuzz/fuzz.h"

#include <gossamer/alloc.h>
#include <gossamer/h1.h>

struct result {
    struct gs_buf text; /* what the sink saw */
    struct gs_buf out;  /* heads, written again */
    unsigned heads;
    enum framing framing;
    uint64_t length;
    enum reason reason;
};

static void
on_head(void *sink, struct head *h)
{
    struct result *r = sink;

    r->heads++;
    gs_buf_printf(&r->text, "[%u %d %llu %zu]", h->status, (int)h->framing,
                  (unsigned long long)h->length, h->count);
    for (size_t i = 0; i < h->count; i++) {
        gs_buf_put_slice(&r->text, h->fields[i].name);
        gs_buf_put_slice(&r->text, h->fields[i].value);
    }
    gs_buf_clear(&r->out);
    r->framing = h->framing;
    r->length = h->length;
    if (h->is_request && h->authority.len > 0)
        h1_write_request(&r->out, h, h->authority, GS_SLICE("x-own: 1\r\n"));
    else if (!h->is_request && h->framing != FRAMING_CLOSE)
        h1_write_answer(&r->out, h, 1, true, h->framing, GS_SLICE(""));
}

static void
on_data(void *sink, struct gs_slice bytes)
{
    gs_buf_put_slice(&((struct result *)sink)->text, bytes);
}

static void
on_trailers(void *sink, struct head *t)
{
    gs_buf_printf(&((struct result *)sink)->text, "<%zu>", t->count);
}

static void
on_end(void *sink)
{
    gs_buf_put_str(&((struct result *)sink)->text, "|");
}

static const struct h1_sink_ops ops = { on_head, on_data, on_trailers, on_end };

static void
feed(struct h1_pool *pool, enum h1_role role, bool is_head, struct gs_slice in, size_t cut,
     struct result *r)
{
    struct gs_slice pieces[2] = { gs_slice_head(in, cut), gs_slice_from(in, cut) };
    struct gs_why why;
    struct h1 c;

    *r = (struct result){ 0 };
    gs_buf_init(&r->text, 1u << 22);
    gs_buf_init(&r->out, 1u << 20);
    h1_init(&c, role, pool, &ops, r);
    if (role == H1_ANSWERS)
        h1_expect(&c, is_head);
    for (int i = 0; i < 2 && r->reason == REASON_NONE; i++) {
        char *copy = gs_alloc(pieces[i].len); /* exact, so that an over-read shows */
        size_t used = 0;

        if (pieces[i].len > 0)
            memcpy(copy, pieces[i].ptr, pieces[i].len);
        while (r->reason == REASON_NONE && used < pieces[i].len) {
            size_t n = 0;

            r->reason = h1_feed(&c, gs_slice(copy + used, pieces[i].len - used), &n, &why);
            used += n;
            if (r->reason == REASON_NONE && h1_done(&c)) {
                if (role == H1_ANSWERS)
                    break;
                h1_next(&c);
            }
        }
        gs_free(copy);
    }
    h1_fini(&c);
}

static void
fini(struct result *r)
{
    gs_buf_fini(&r->text);
    gs_buf_fini(&r->out);
}

/* A written head must read as it was meant. */
static void
check_again(struct h1_pool *pool, enum h1_role role, bool is_head, const struct result *first)
{
    struct result again;

    if (first->heads == 0 || first->out.len == 0 || first->reason != REASON_NONE)
        return;
    feed(pool, role, is_head, gs_buf_slice(&first->out), first->out.len / 2, &again);
    if (again.reason == REASON_HEAD_TOO_LARGE || again.reason == REASON_UPSTREAM_HEAD_LARGE ||
        again.reason == REASON_LINE_TOO_LONG) {
        fini(&again); /* our own lines may push it over the limit */
        return;
    }
    GS_ASSERT(again.reason == REASON_NONE);
    GS_ASSERT(again.heads == 1);
    GS_ASSERT(again.framing == first->framing);
    GS_ASSERT(again.length == first->length);
    fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct h1_pool *pool;
    struct gs_slice in;
    enum h1_role role;
    struct result whole, split;
    bool is_head;
    bool late_bytes;

    if (size < 2)
        return 0;
    if (!pool)
        pool = h1_pool_new();
    role = data[0] & 1 ? H1_ANSWERS : H1_REQUESTS;
    is_head = data[0] & 2;
    in = gs_slice(data + 2, size - 2);
    feed(pool, role, is_head, in, in.len, &whole);
    feed(pool, role, is_head, in, in.len * data[1] / 256, &split);
    /* Bytes behind an answer are refused with it only if they came with its head. */
    late_bytes = role == H1_ANSWERS && (whole.reason == REASON_UPSTREAM_FRAMING ||
                                        split.reason == REASON_UPSTREAM_FRAMING);
    GS_ASSERT(late_bytes || whole.reason == split.reason);
    GS_ASSERT(late_bytes || gs_slice_eq(gs_buf_slice(&whole.text), gs_buf_slice(&split.text)) ||
              whole.reason != REASON_NONE);
    check_again(pool, role, is_head, &whole);
    fini(&whole);
    fini(&split);
    return 0;
}

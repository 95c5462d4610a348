/* fuzz_packet.c - the body of a datagram or frame, and a node's record, as a peer may send them:
 * refused, or something that is written back byte for byte. What was written is shorter than what
 * was read if that held fields of a later version; it reads back as the same, then. */
#include "tests/fuzz/fuzz.h"

#include "gossip/wire.h"

static struct gs_slice records[WIRE_PACKET_RECORDS_MAX];

static void
check_again(struct gs_slice read, struct gs_slice written)
{
    GS_ASSERT(written.len <= read.len);
    GS_ASSERT(written.len < read.len || gs_slice_eq(written, read));
}

static void
check_packet(struct gs_slice bytes)
{
    struct gs_buf first, second;
    struct wire_packet w;
    struct wire_claim c;

    if (wire_read_packet(bytes, &w, records) != GS_E_OK)
        return;
    for (struct wire_claim_at at = { 0 }; wire_next_claim(&w, &at, &c);)
        GS_ASSERT(c.boot > 0);
    gs_buf_init(&first, bytes.len);
    gs_buf_init(&second, bytes.len);
    GS_ASSERT(wire_put_packet(&first, &w) == GS_E_OK);
    check_again(bytes, gs_buf_slice(&first));
    GS_ASSERT(wire_read_packet(gs_buf_slice(&first), &w, records) == GS_E_OK);
    GS_ASSERT(wire_put_packet(&second, &w) == GS_E_OK);
    GS_ASSERT(gs_slice_eq(gs_buf_slice(&first), gs_buf_slice(&second)));
    gs_buf_fini(&first);
    gs_buf_fini(&second);
}

static void
check_node(struct gs_slice bytes)
{
    struct wire_node n;
    struct gs_buf out;

    if (wire_read_node(bytes, &n) != GS_E_OK)
        return;
    gs_buf_init(&out, bytes.len);
    GS_ASSERT(wire_put_node(&out, &n) == GS_E_OK);
    check_again(bytes, gs_buf_slice(&out));
    GS_ASSERT(wire_read_node(gs_buf_slice(&out), &n) == GS_E_OK);
    gs_buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_packet(gs_slice(data, size));
    check_node(gs_slice(data, size));
    return 0;
}

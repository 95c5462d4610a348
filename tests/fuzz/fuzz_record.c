/* fuzz_record.c - a record and the list of a transaction, as a peer may send them: refused, or
 * something whose known fields can be written and read back as the same. */
#include "tests/fuzz/fuzz.h"

#include "gossip/wire.h"

static struct gossip_member members[APPLY_OBJECTS_MAX];

static void
check_record(struct gs_slice bytes)
{
    struct gs_buf first, second;
    struct wire_record w;

    if (wire_read_record(bytes, &w) != GS_E_OK)
        return;
    GS_ASSERT(w.r.key.len > 0);
    GS_ASSERT(w.r.version.generation > 0);
    gs_buf_init(&first, bytes.len);
    gs_buf_init(&second, bytes.len);
    GS_ASSERT(wire_put_record(&first, &w) == GS_E_OK);
    GS_ASSERT(first.len < bytes.len || gs_slice_eq(gs_buf_slice(&first), bytes));
    GS_ASSERT(wire_read_record(gs_buf_slice(&first), &w) == GS_E_OK);
    GS_ASSERT(wire_put_record(&second, &w) == GS_E_OK);
    GS_ASSERT(gs_slice_eq(gs_buf_slice(&first), gs_buf_slice(&second)));
    gs_buf_fini(&first);
    gs_buf_fini(&second);
}

static void
check_members(struct gs_slice bytes)
{
    size_t count, again;
    struct gs_buf out;

    if (wire_read_members(bytes, members, APPLY_OBJECTS_MAX, &count) != GS_E_OK)
        return;
    GS_ASSERT(count <= APPLY_OBJECTS_MAX);
    gs_buf_init(&out, bytes.len);
    GS_ASSERT(wire_put_members(&out, members, count) == GS_E_OK);
    GS_ASSERT(out.len < bytes.len || gs_slice_eq(gs_buf_slice(&out), bytes));
    GS_ASSERT(wire_read_members(gs_buf_slice(&out), members, APPLY_OBJECTS_MAX, &again) == GS_E_OK);
    GS_ASSERT(again == count);
    gs_buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_record(gs_slice(data, size));
    check_members(gs_slice(data, size));
    return 0;
}

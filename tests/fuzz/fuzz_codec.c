/* fuzz_codec.c - the value of a policy record, as a peer may send it: refused, or an object that
 * encodes to something which reads back as the same. The first byte chooses the kind. The same
 * bytes as what a peer says of itself, too. */
#include "tests/fuzz/fuzz.h"

#include <gossamer/buf.h>
#include <gossamer/limits.h>
#include <gossamer/policy.h>

#include "mesh/model/codec.h"

static void
check_stable(const struct policy_object *o, struct gs_slice key, struct gs_arena *arena)
{
    struct policy_object *again = NULL;
    struct gs_problems problems;
    struct gs_buf first, second;

    gs_buf_init(&first, OBJECT_BYTES_MAX);
    gs_buf_init(&second, OBJECT_BYTES_MAX);
    gs_problems_init(&problems);
    (void)!policy_validate(o, &problems);
    if (policy_encode(o, &first) == GS_E_OK) {
        GS_ASSERT(policy_decode(key, gs_buf_slice(&first), arena, &again, NULL) == GS_E_OK);
        GS_ASSERT(policy_encode(again, &second) == GS_E_OK);
        GS_ASSERT(gs_slice_eq(gs_buf_slice(&first), gs_buf_slice(&second)));
    }
    gs_problems_fini(&problems);
    gs_buf_fini(&first);
    gs_buf_fini(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gs_slice key = GS_SLICE("VirtualService/default/web");
    struct codec_active active;
    struct codec_about about;
    struct policy_object *o;
    struct gs_arena arena;
    struct gs_slice value;

    if (size == 0)
        return 0;
    if (data[0] & 4)
        key = GS_SLICE("Maintenance/default/web");
    else if (data[0] & 2)
        key = GS_SLICE("Note/default/web");
    else if (data[0] & 1)
        key = GS_SLICE("DestinationRule/default/web");
    value = gs_slice(data + 1, size - 1);
    gs_arena_init(&arena, NULL, 0, 4096);
    if (policy_decode(key, value, &arena, &o, NULL) == GS_E_OK)
        check_stable(o, key, &arena);
    if (codec_read_active(value, &active) == GS_E_OK)
        GS_ASSERT(active.key.len > 0);
    if (codec_read_about(value, &arena, &about) == GS_E_OK)
        GS_ASSERT(about.version.len + about.zone.len + about.inbound.len <= value.len);
    gs_arena_fini(&arena);
    return 0;
}

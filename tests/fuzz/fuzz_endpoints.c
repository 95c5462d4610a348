/* fuzz_endpoints.c - an owner record, as a peer may send it: its key, a byte 0, its value. It is
 * left out, or encodes to what reads back as the same; a model that was told of it is whole. */
#include "tests/fuzz/fuzz.h"

#include <gossamer/buf.h>
#include <gossamer/limits.h>
#include <gossamer/stats.h>

#include "mesh/model/codec.h"
#include "mesh/model/endpoints.h"

static void
check_stable(const struct endpoints *e, struct gs_arena *arena)
{
    struct endpoints again;
    struct gs_buf first, second;

    gs_buf_init(&first, OBJECT_BYTES_MAX);
    gs_buf_init(&second, OBJECT_BYTES_MAX);
    if (endpoints_check(e, NULL) == GS_E_OK && codec_put_endpoints(e, &first) == GS_E_OK) {
        GS_ASSERT(codec_read_endpoints(gs_buf_slice(&first), arena, &again) == GS_E_OK);
        GS_ASSERT(endpoints_check(&again, NULL) == GS_E_OK);
        GS_ASSERT(codec_put_endpoints(&again, &second) == GS_E_OK);
        GS_ASSERT(gs_slice_eq(gs_buf_slice(&first), gs_buf_slice(&second)));
    }
    gs_buf_fini(&first);
    gs_buf_fini(&second);
}

static void
tell_model(struct model *m, struct gs_slice key, struct gs_slice value)
{
    struct model_node node = { .id = { { 2 } },
                               .name = GS_SLICE("b"),
                               .mesh = { .family = 4, .port = 4143, .ip = { 10, 0, 0, 1 } },
                               .state = MODEL_NODE_UP };
    struct model_record r = {
        .kind = MODEL_KIND_ENDPOINTS, .key = key, .value = value, .version = { 1, 1, node.id }
    };
    struct model_own own;
    struct gs_why why;

    model_set_node(m, 1, &node);
    (void)!model_on_endpoints(m, &r, &why);
    (void)model_flush(m, 1);
    model_check(m);
    node.state = MODEL_NODE_DOWN;
    model_set_node(m, 2, &node);
    r.deleted = true;
    (void)!model_on_endpoints(m, &r, &why);
    r.deleted = false;
    r.version.writer = (struct gs_id){ { 1 } }; /* our own, come back */
    (void)!model_on_endpoints(m, &r, &why);
    model_set_published(m, true);
    while (model_next_own(m, &own))
        GS_ASSERT(own.removed);
    (void)model_flush(m, 2);
    model_check(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gs_slice value = gs_slice(data, size);
    struct gs_slice key = GS_SLICE_NONE;
    struct model_options o = { .id = { { 1 } } };
    struct gs_arena arena;
    struct endpoints e;
    struct model *m;

    if (size == 0 || !gs_slice_cut(&value, '\0', &key) || !value.ptr || key.len > RECORD_KEY_MAX)
        return 0;
    gs_arena_init(&arena, NULL, 0, 4096);
    if (codec_read_endpoints(value, &arena, &e) == GS_E_OK)
        check_stable(&e, &arena);
    gs_arena_fini(&arena);
    o.slots = slots_new();
    o.hub = snapshot_hub_new(o.slots, 1);
    o.stat_names = stat_names_new();
    m = model_new(&o);
    tell_model(m, key, value);
    model_free(m);
    snapshot_hub_free(o.hub);
    stat_names_free(o.stat_names);
    slots_free(o.slots);
    return 0;
}

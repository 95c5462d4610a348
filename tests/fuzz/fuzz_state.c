/* fuzz_state.c - a state file, and the frames of it as the record store takes them. The file is
 * taken as it is (mostly refused: checksums), and again as the content of one good frame. */
#include "tests/fuzz/fuzz.h"

#include <gossamer/gossip.h>

#include "mesh/state.h"

static void
restore(const struct state_file *f)
{
    struct gossip *g = gossip_new(&(struct gossip_options){ .boot = 1 });
    struct gossip_event ev;
    struct gossip_cursor c = { 0 };
    struct gossip_frame frame;
    struct state_node node;

    for (size_t i = 0; i < f->count; i++)
        (void)!gossip_restore(g, 0, 1, f->frames[i].kind, f->frames[i].bytes, NULL);
    (void)!state_read_node(f, &node, NULL);
    gossip_check(g);
    while (gossip_next_event(g, &ev))
        GS_ASSERT(ev.type != GOSSIP_EVENT_RECORD || ev.record.key.len > 0);
    while (gossip_next_frame(g, &c, &frame))
        GS_ASSERT(frame.bytes.len > 0);
    gossip_free(g);
}

/* Lengths of two bytes cut the input into frames. */
static void
as_frames(const uint8_t *data, size_t size)
{
    struct state_writer w;
    struct state_file f;
    struct gs_slice bytes;

    state_writer_init(&w, STATE_MESH);
    while (size > 2) {
        size_t len = ((size_t)data[0] << 8 | data[1]) % (size - 1);

        state_put(&w, len % 2 ? GOSSIP_FRAME_RECORD : GOSSIP_FRAME_FLOOR, gs_slice(data + 2, len));
        data += 2 + len;
        size -= 2 + len;
    }
    if (size > 0)
        state_put(&w, GOSSIP_FRAME_RECORD, gs_slice(data, size));
    GS_ASSERT(state_end(&w, &bytes) == GS_E_OK);
    GS_ASSERT(state_parse(bytes, STATE_MESH, &f, NULL) == GS_E_OK);
    restore(&f);
    state_file_fini(&f);
    state_writer_fini(&w);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_file f;

    if (state_parse(gs_slice(data, size), STATE_MESH, &f, NULL) == GS_E_OK) {
        restore(&f);
        state_file_fini(&f);
    }
    if (state_parse(gs_slice(data, size), STATE_NODE, &f, NULL) == GS_E_OK) {
        restore(&f);
        state_file_fini(&f);
    }
    as_frames(data, size);
    return 0;
}

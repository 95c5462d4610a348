/* mux_head.c - the header of a stream: put together field by field as HTTP/2 tells it, and what
 * comes of it once it is whole. Of HTTP/2 it knows nothing (mux.c does).
 *
 *   mux_head_start ─▶ mux_head_put, each field ─▶ mux_head_came ─┬▶ CONNECT: opened, or accepted
 *                                                                └▶ a request: mux_call.c
 * A header is kept while it is read; mux_head_done frees it. */
#include "proxy/mux_parts.h"

void
mux_head_start(struct mux_stream *ms)
{
    GS_ASSERT(gs_fsm_is(&ms->fsm, MS_HEADING) || gs_fsm_is(&ms->fsm, MS_OPENING));
    if (ms->head)
        return;
    ms->head = gs_zalloc(sizeof(*ms->head));
    gs_arena_init(&ms->head->arena, NULL, 0, 1024);
    ms->mux->heading++;
    ms->mux->heading_ms = ms->mux->loop->now_ms;
}

void
mux_head_done(struct mux_stream *ms)
{
    if (!ms->head)
        return;
    gs_arena_fini(&ms->head->arena);
    gs_free(ms->head);
    ms->head = NULL;
    GS_ASSERT(ms->mux->heading > 0);
    ms->mux->heading--;
}

static void
keep_field(struct mux_head *h, struct gs_slice name, struct gs_slice value)
{
    uint64_t status;

    GS_ASSERT(h->count < MUX_HEADER_FIELDS_MAX);
    GS_ASSERT(h->bytes <= MUX_HEADER_BYTES_MAX);
    value = gs_arena_copy(&h->arena, value);
    if (gs_slice_eq(name, GS_SLICE(":method")))
        h->method = value;
    else if (gs_slice_eq(name, GS_SLICE(":authority")))
        h->authority = value;
    else if (gs_slice_eq(name, GS_SLICE(":path")))
        h->path = value;
    else if (gs_slice_eq(name, GS_SLICE(":status")) && gs_slice_to_u64(value, &status))
        h->status = (unsigned)status; /* three digits: the library sees to it */
    else if (name.ptr[0] != ':')
        h->fields[h->count++] =
            (struct field){ .name = gs_arena_copy(&h->arena, name), .value = value };
}

bool
mux_head_put(struct mux_stream *ms, struct gs_slice name, struct gs_slice value)
{
    struct mux *m = ms->mux;
    struct mux_head *h = ms->head;

    GS_ASSERT(h);
    h->bytes += name.len + value.len;
    if (name.len == 0 || h->bytes > MUX_HEADER_BYTES_MAX || h->count == MUX_HEADER_FIELDS_MAX) {
        if (!h->too_large)
            mux_refused(m, REASON_MUX_HEADERS);
        h->too_large = true;
        return false;
    }
    keep_field(h, name, value);
    return true;
}

static struct gs_slice
field_of(const struct mux_head *h, struct gs_slice name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (gs_slice_eq(h->fields[i].name, name))
            return h->fields[i].value;
    }
    return GS_SLICE_NONE;
}

bool
mux_head_is_welcome(const struct mux_stream *ms)
{
    const struct mux *m = ms->mux;
    struct gs_slice node = m->events->from ? field_of(ms->head, MUX_NODE_FIELD) : GS_SLICE_NONE;

    GS_ASSERT(m->role == MUX_SERVER);
    return node.len == 0 || m->events->from(m->arg, node);
}

static void
request_came(struct mux_stream *ms)
{
    struct mux *m = ms->mux;
    const struct mux_head *h = ms->head;
    struct mux_request r = { .authority = h->authority,
                             .service = field_of(h, GS_SLICE("gossamer-service")),
                             .caller = field_of(h, GS_SLICE("gossamer-caller")) };

    if (!gs_slice_eq(h->method, GS_SLICE("CONNECT"))) {
        mux_call_begin(ms);
    } else if (!gs_slice_eq(field_of(h, GS_SLICE("gossamer-stream")), GS_SLICE("1")) ||
               r.service.len == 0 || r.authority.len == 0) {
        mux_refused(m, REASON_MUX_HEADERS);
        mux_refuse(&ms->base, 400, OUTCOME_NOT_PROCESSED);
    } else if (!m->events->opened) {
        mux_refuse(&ms->base, 501, OUTCOME_NOT_PROCESSED);
    } else {
        m->events->opened(m->arg, &ms->base, &r);
        GS_ASSERT(!gs_fsm_is(&ms->fsm, MS_HEADING)); /* it was accepted or refused */
        GS_ASSERT(gs_fsm_is(&ms->fsm, MS_CLOSING) || ms->base.sink_ops);
    }
}

static void
answer_came(struct mux_stream *ms)
{
    struct mux_refusal answer = { .status = ms->head->status };

    if (answer.status < 200)
        return;
    if (ms->call) {
        mux_call_answer(ms);
        return;
    }
    answer.outcome = mux_outcome_parse(field_of(ms->head, GS_SLICE("gossamer-outcome")));
    mux_stream_answered(ms, answer);
}

void
mux_head_came(struct mux_stream *ms)
{
    GS_ASSERT(ms->head);
    if (ms->mux->role == MUX_SERVER)
        request_came(ms);
    else
        answer_came(ms);
}

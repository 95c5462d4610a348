/* api_events.c - what happened in the mesh, as this node saw it.
 *
 *     GET /api/v1/events             {"events": [the last ones]}
 *     GET /api/v1/events?follow=1    one JSON object a line: the last ones, then as they come
 *
 * Nobody waits for a reader. One that falls behind the oldest line that is kept gets a last line
 * {"event": "events.cut", "lost": how many, ...}, and its answer ends. */
#include <inttypes.h>

#include <gossamer/alloc.h>
#include <gossamer/json_out.h>

#include "mesh/admin.h"
#include "mesh/journal.h"
#include "mesh/node.h"

#define ANSWER_BYTES_MAX (8u << 20)

struct follower {
    struct admin_stream stream;
    struct journal_follower news;
    struct journal *journal;
    uint64_t at; /* number of the next line it gets */
};

static void
end(struct follower *f, const char *event, const char *why)
{
    uint64_t oldest = journal_oldest(f->journal);
    struct json_out j;
    struct gs_buf out;

    gs_buf_init(&out, 512);
    json_init(&j, &out);
    json_obj(&j);
    json_kdouble(&j, "time", (double)node_wall_ms() / 1000);
    json_kstr(&j, "event", event);
    json_kstr(&j, "why", why);
    if (oldest > f->at)
        json_ku64(&j, "lost", oldest - f->at);
    json_obj_end(&j);
    (void)gs_buf_put(&out, "\n", 1);
    admin_stream_write(&f->stream, gs_buf_slice(&out));
    gs_buf_fini(&out);
    journal_unfollow(&f->news);
    admin_stream_end(&f->stream);
    gs_free(f);
}

static void
push(struct follower *f)
{
    if (f->at < journal_oldest(f->journal)) {
        end(f, "events.cut", "this reader was too slow");
        return;
    }
    while (f->at < journal_next_number(f->journal) && admin_stream_room(&f->stream)) {
        admin_stream_write(&f->stream, journal_line(f->journal, f->at++));
        admin_stream_write(&f->stream, GS_SLICE("\n"));
    }
}

static void
on_told(struct journal_follower *news)
{
    push(GS_CONTAINER(news, struct follower, news));
}

static void
on_room(struct admin_stream *s)
{
    push(GS_CONTAINER(s, struct follower, stream));
}

static void
on_gone(struct admin_stream *s)
{
    struct follower *f = GS_CONTAINER(s, struct follower, stream);

    journal_unfollow(&f->news);
    gs_free(f);
}

static void
on_stop(struct admin_stream *s)
{
    struct follower *f = GS_CONTAINER(s, struct follower, stream);

    end(f, "events.end", "the node stops");
}

static void
follow(struct node *n, struct admin_call *c)
{
    struct follower *f = gs_zalloc(sizeof(*f));

    f->stream = (struct admin_stream){ .resume = on_room, .gone = on_gone, .stop = on_stop };
    f->news.told = on_told;
    f->journal = n->journal;
    f->at = journal_oldest(n->journal);
    if (!admin_stream_begin(c, "application/x-ndjson", &f->stream)) {
        gs_free(f);
        return;
    }
    journal_follow(n->journal, &f->news);
    push(f);
}

void
api_events(struct node *n, struct admin_call *c, const struct admin_request *r)
{
    struct gs_slice value;
    struct json_out j;
    struct gs_buf out;

    if (admin_query(r, "follow", &value) && !gs_slice_eq(value, GS_SLICE("0"))) {
        follow(n, c);
        return;
    }
    gs_buf_init(&out, ANSWER_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_key(&j, "events");
    json_arr(&j);
    for (uint64_t i = journal_oldest(n->journal); i < journal_next_number(n->journal); i++)
        json_raw(&j, journal_line(n->journal, i));
    json_arr_end(&j);
    json_obj_end(&j);
    admin_reply_json(c, 200, &out);
}

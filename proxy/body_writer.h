/* body_writer.h - the body of one message on its way out: chunked or as it is. */
#pragma once

#include <gossamer/h1.h>
#include <gossamer/stream.h>

struct body_writer {
    bool chunked;
    bool ended; /* the last chunk went out with the trailers */
};

void body_writer_data(struct body_writer *w, struct stream *s, struct gs_slice bytes);
/* Dropped where there is no place for them. */
void body_writer_trailers(struct body_writer *w, struct stream *s, struct h1_pool *pool,
                          const struct head *t);
void body_writer_end(struct body_writer *w, struct stream *s);

/* blocks.h - a queue of bytes in fixed blocks from a per-loop pool: what a slow reader has not
 * taken yet. Bytes are copied in once and leave by writev. */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

#include <gossamer/check.h>
#include <gossamer/slice.h>

struct gs_block {
    struct gs_block *next;
    unsigned int start, end;
    char bytes[];
};

struct gs_block_pool {
    struct gs_block *free;
    size_t free_count;
    size_t used_bytes; /* queued in all queues of this pool */
};

struct gs_blocks {
    struct gs_block *head, *tail;
    size_t bytes;
};

void gs_block_pool_init(struct gs_block_pool *p);
void gs_block_pool_fini(struct gs_block_pool *p);

void gs_blocks_init(struct gs_blocks *q);
void gs_blocks_clear(struct gs_blocks *q, struct gs_block_pool *p);
void gs_blocks_put(struct gs_blocks *q, struct gs_block_pool *p, const void *bytes, size_t len);
/* Up to max pieces from the front; returns how many. Valid until the next change. */
int gs_blocks_iov(const struct gs_blocks *q, struct iovec *iov, int max);
void gs_blocks_consume(struct gs_blocks *q, struct gs_block_pool *p, size_t len);

/* blocks.c - queues of fixed blocks; a small free list per loop keeps a burst from touching the
 * allocator at each turn. */
#include <gossamer/blocks.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

#define BLOCK_ROOM (BLOCK_BYTES - sizeof(struct gs_block))

void
gs_block_pool_init(struct gs_block_pool *p)
{
    *p = (struct gs_block_pool){ 0 };
}

void
gs_block_pool_fini(struct gs_block_pool *p)
{
    GS_ASSERT(p->used_bytes == 0);
    while (p->free) {
        struct gs_block *b = p->free;

        p->free = b->next;
        gs_free(b);
    }
    p->free_count = 0;
}

static struct gs_block *
block_take(struct gs_block_pool *p)
{
    struct gs_block *b = p->free;

    if (b) {
        p->free = b->next;
        p->free_count--;
    } else {
        b = gs_alloc(BLOCK_BYTES);
    }
    b->next = NULL;
    b->start = b->end = 0;
    return b;
}

static void
block_give(struct gs_block_pool *p, struct gs_block *b)
{
    if (p->free_count >= BLOCKS_KEPT_MAX) {
        gs_free(b);
        return;
    }
    b->next = p->free;
    p->free = b;
    p->free_count++;
}

void
gs_blocks_init(struct gs_blocks *q)
{
    *q = (struct gs_blocks){ 0 };
}

void
gs_blocks_clear(struct gs_blocks *q, struct gs_block_pool *p)
{
    if (q->bytes > 0)
        gs_blocks_consume(q, p, q->bytes);
    GS_ASSERT(!q->head);
}

void
gs_blocks_put(struct gs_blocks *q, struct gs_block_pool *p, const void *bytes, size_t len)
{
    const char *from = bytes;

    q->bytes += len;
    p->used_bytes += len;
    while (len > 0) {
        struct gs_block *b = q->tail;
        size_t n;

        if (!b || b->end == BLOCK_ROOM) {
            b = block_take(p);
            if (q->tail)
                q->tail->next = b;
            else
                q->head = b;
            q->tail = b;
        }
        n = BLOCK_ROOM - b->end;
        if (n > len)
            n = len;
        memcpy(b->bytes + b->end, from, n);
        b->end += (unsigned int)n;
        from += n;
        len -= n;
    }
}

int
gs_blocks_iov(const struct gs_blocks *q, struct iovec *iov, int max)
{
    int n = 0;

    for (struct gs_block *b = q->head; b && n < max; b = b->next) {
        iov[n].iov_base = b->bytes + b->start;
        iov[n].iov_len = b->end - b->start;
        n++;
    }
    return n;
}

void
gs_blocks_consume(struct gs_blocks *q, struct gs_block_pool *p, size_t len)
{
    GS_ASSERT(len <= q->bytes);
    GS_ASSERT(len <= p->used_bytes);
    q->bytes -= len;
    p->used_bytes -= len;
    while (q->head) {
        struct gs_block *b = q->head;
        size_t n = b->end - b->start;

        if (n > len) {
            b->start += (unsigned int)len;
            return;
        }
        len -= n;
        q->head = b->next;
        if (!q->head)
            q->tail = NULL;
        block_give(p, b);
    }
    GS_ASSERT(len == 0);
}

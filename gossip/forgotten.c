/* forgotten.c - as many as there may be members. If there were fewer, those who went at one time,
 * as in a zone that was lost, would push each other out, and two nodes that drop them at different
 * moments would hand them to each other for ever. */
#include "gossip/forgotten.h"

#include <gossamer/alloc.h>
#include <gossamer/check.h>
#include <gossamer/limits.h>

struct entry {
    struct gs_id id; /* the key */
    uint64_t boot, until_ms;
    struct gs_list link; /* in forgotten.oldest */
};

static struct gs_slice
key_of(const struct gs_id *id)
{
    return gs_slice((const char *)id->bytes, GS_ID_BYTES);
}

static struct entry *
find(const struct forgotten *f, const struct gs_id *id)
{
    return gs_map_find(&f->by_id, key_of(id));
}

void
forgotten_init(struct forgotten *f, uint64_t seed)
{
    gs_map_init(&f->by_id, seed);
    gs_list_init(&f->oldest);
    f->count = 0;
}

static void
end(struct forgotten *f, struct entry *e)
{
    GS_ASSERT(f->count > 0);
    GS_ASSERT(gs_map_remove(&f->by_id, key_of(&e->id)) == e);
    gs_list_remove(&e->link);
    f->count--;
    gs_free(e);
}

void
forgotten_fini(struct forgotten *f)
{
    GS_LIST_EACH_SAFE(at, &f->oldest)
        end(f, GS_LIST_ENTRY(at, struct entry, link));
    gs_map_fini(&f->by_id);
}

void
forgotten_put(struct forgotten *f, const struct gs_id *id, uint64_t boot, uint64_t until_ms)
{
    struct entry *e;

    forgotten_remove(f, id);
    if (f->count == FORGOTTEN_MAX)
        end(f, GS_LIST_ENTRY(f->oldest.next, struct entry, link));
    e = gs_zalloc(sizeof(*e));
    e->id = *id;
    e->boot = boot;
    e->until_ms = until_ms;
    gs_list_push_back(&f->oldest, &e->link);
    GS_ASSERT(!gs_map_put(&f->by_id, key_of(&e->id), e));
    f->count++;
}

bool
forgotten_has(const struct forgotten *f, uint64_t now_ms, const struct gs_id *id, uint64_t boot)
{
    const struct entry *e = find(f, id);

    return e && e->until_ms > now_ms && boot <= e->boot;
}

void
forgotten_remove(struct forgotten *f, const struct gs_id *id)
{
    struct entry *e = find(f, id);

    if (e)
        end(f, e);
}

void
forgotten_tick(struct forgotten *f, uint64_t now_ms)
{
    GS_LIST_EACH_SAFE(at, &f->oldest) {
        struct entry *e = GS_LIST_ENTRY(at, struct entry, link);

        if (e->until_ms > now_ms)
            return; /* all are kept for as long */
        end(f, e);
    }
}

void
forgotten_check(const struct forgotten *f)
{
    uint64_t until_ms = 0;
    size_t count = 0;

    GS_LIST_EACH(at, &f->oldest) {
        const struct entry *e = GS_LIST_ENTRY(at, struct entry, link);

        GS_ASSERT(e->until_ms >= until_ms);
        GS_ASSERT(find(f, &e->id) == e);
        until_ms = e->until_ms;
        count++;
    }
    GS_ASSERT(count == f->count);
    GS_ASSERT(count == f->by_id.count);
    GS_ASSERT(count <= FORGOTTEN_MAX);
}

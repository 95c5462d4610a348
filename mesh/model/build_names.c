/* build_names.c - every spelling of every service, in the order of who may claim it.
 *
 *     1  names that hold dots, as they are       near the node's namespace first
 *     2  svc.ns  svc.ns.svc  svc.ns.svc.cluster.local  svc.ns.mesh
 *     3  svc  svc.mesh                           of the node's namespace
 *     4  svc.mesh                                of any other, if only one service is called so
 *
 * The first claim to a (host, port) stands. */
#include "mesh/model/catalog.h"

#include <stdlib.h>

#include <gossamer/alloc.h>
#include <gossamer/buf.h>

#define NAME_BYTES_MAX 512

struct naming {
    const struct model *m;
    struct names_builder *out;
    struct gs_buf text;
};

static void
claim(struct naming *n, const struct catalog_service *s, const char *between, struct gs_slice ns,
      const char *suffix)
{
    GS_ASSERT(s->blob); /* what is named can be routed to */
    GS_ASSERT(s->port > 0);
    gs_buf_clear(&n->text);
    (void)gs_buf_printf(&n->text, "%.*s%s%.*s%s", GS_SLICE_FMT(s->name), between, (int)ns.len,
                        ns.len > 0 ? ns.ptr : "", suffix);
    /* GS_E_EXISTS: somebody with a better claim has it. Too long: nobody can ask for it. */
    if (!n->text.failed &&
        names_builder_put(n->out, gs_buf_slice(&n->text), s->port, s->id) != GS_E_OK)
        return;
    n->text.failed = false;
}

static bool
is_near(const struct naming *n, const struct catalog_service *s)
{
    return gs_slice_eq(s->ns, n->m->o.ns);
}

static bool
is_dotted(const struct catalog_service *s)
{
    return gs_slice_find(s->name, '.') >= 0;
}

static int
compare_names(const void *a, const void *b)
{
    const struct catalog_service *const *x = a, *const *y = b;
    int order = gs_slice_cmp((*x)->name, (*y)->name);

    return order != 0 ? order : gs_slice_cmp((*x)->ns, (*y)->ns);
}

static void
claim_exact(struct naming *n)
{
    const struct catalog *c = &n->m->catalog;

    for (size_t i = 0; i < c->count; i++) {
        if (is_dotted(c->items[i]) && is_near(n, c->items[i]))
            claim(n, c->items[i], "", GS_SLICE_NONE, "");
    }
    for (size_t i = 0; i < c->count; i++) {
        if (is_dotted(c->items[i]) && !is_near(n, c->items[i]))
            claim(n, c->items[i], "", GS_SLICE_NONE, "");
    }
}

static void
claim_short(struct naming *n)
{
    const struct catalog *c = &n->m->catalog;

    for (size_t i = 0; i < c->count; i++) {
        const struct catalog_service *s = c->items[i];

        if (is_near(n, s)) {
            claim(n, s, "", GS_SLICE_NONE, "");
            claim(n, s, "", GS_SLICE_NONE, ".mesh");
        }
    }
}

/* Names that no two namespaces share: in order of name, such a run has one namespace. */
static void
claim_unambiguous(struct naming *n)
{
    const struct catalog *c = &n->m->catalog;
    const struct catalog_service **sorted =
        gs_alloc((c->count + 1) * sizeof(const struct catalog_service *));
    size_t end;

    for (size_t i = 0; i < c->count; i++)
        sorted[i] = c->items[i];
    qsort(sorted, c->count, sizeof(const struct catalog_service *), compare_names);
    for (size_t i = 0; i < c->count; i = end) {
        end = i + 1;
        while (end < c->count && gs_slice_eq(sorted[end]->name, sorted[i]->name))
            end++;
        GS_ASSERT(end > i);
        if (!gs_slice_eq(sorted[i]->ns, sorted[end - 1]->ns))
            continue;
        for (size_t k = i; k < end; k++)
            claim(n, sorted[k], "", GS_SLICE_NONE, ".mesh");
    }
    gs_free(sorted);
}

struct names *
build_names(const struct model *m)
{
    struct naming n = { .m = m, .out = names_builder_new() };
    static const char *const suffixes[] = { "", ".svc", ".svc.cluster.local", ".mesh" };

    gs_buf_init(&n.text, NAME_BYTES_MAX);
    claim_exact(&n);
    for (size_t i = 0; i < m->catalog.count; i++) {
        for (size_t k = 0; k < GS_COUNT(suffixes); k++)
            claim(&n, m->catalog.items[i], ".", m->catalog.items[i]->ns, suffixes[k]);
    }
    claim_short(&n);
    claim_unambiguous(&n);
    gs_buf_fini(&n.text);
    return names_build(n.out);
}

/* parse_dr.c - spec of a DestinationRule, and maps of labels. */
#include "mesh/model/parse.h"

#include "mesh/model/form.h"

void
parse_pairs(struct reader *r, const struct tree *dict, struct policy_pair **out, size_t *count)
{
    struct policy_pair *pairs = gs_arena_zalloc(r->arena, (dict->count + 1) * sizeof(*pairs));
    size_t n = 0;

    GS_ASSERT(dict->kind == TREE_MAP);
    for (size_t i = 0; i < dict->count; i++) {
        const struct tree_pair *p = &dict->pairs[i];

        if (!form_fits(p->value, FORM_SUBSET, "labels"))
            continue;
        pairs[n++] =
            (struct policy_pair){ gs_arena_copy(r->arena, p->key),
                                  gs_arena_copy(r->arena, p->value->text), reader_place(p->value) };
    }
    GS_ASSERT(n <= dict->count);
    *out = pairs;
    *count = n;
}

static void
read_subset(struct reader *r, const struct tree *t, struct dr_subset *out)
{
    const struct tree *name = form_get(t, FORM_SUBSET, "name");
    const struct tree *labels = form_get(t, FORM_SUBSET, "labels");

    GS_ASSERT(t->kind == TREE_MAP);
    out->place = reader_place(t);
    out->name.place = reader_place(name ? name : t);
    if (name)
        out->name.text = gs_arena_copy(r->arena, name->text);
    else
        out->name.place.told = form_has(t, "name");
    if (labels)
        parse_pairs(r, labels, &out->labels, &out->label_count);
    out->traffic = parse_traffic(r, form_get(t, FORM_SUBSET, "trafficPolicy"));
}

void
parse_destination_rule(struct reader *r, const struct tree *spec, struct destination_rule *out)
{
    const struct tree *host = form_get(spec, FORM_DESTINATION_RULE, "host");
    const struct tree *subsets = form_get(spec, FORM_DESTINATION_RULE, "subsets");

    GS_ASSERT(spec->kind == TREE_MAP);
    *out = (struct destination_rule){ .host = { .place = reader_place(host ? host : spec) } };
    if (host)
        out->host.text = gs_arena_copy(r->arena, host->text);
    else
        out->host.place.told = form_has(spec, "host");
    out->traffic = parse_traffic(r, form_get(spec, FORM_DESTINATION_RULE, "trafficPolicy"));
    if (!subsets)
        return;
    out->subsets = gs_arena_zalloc(r->arena, (subsets->count + 1) * sizeof(*out->subsets));
    out->subset_count = subsets->count;
    for (size_t i = 0; i < subsets->count; i++) {
        if (subsets->items[i]->kind == TREE_MAP)
            read_subset(r, subsets->items[i], &out->subsets[i]);
        else
            out->subsets[i].name.place.told = true;
    }
}

/* tree.c - reading a parsed document. Built in mesh/config. */
#include <gossamer/tree.h>

#include <gossamer/check.h>

static struct tree *
find(const struct tree *map, struct gs_slice key)
{
    if (!map || map->kind != TREE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++) {
        if (gs_slice_eq(map->pairs[i].key, key)) {
            GS_ASSERT(map->pairs[i].value);
            return map->pairs[i].value;
        }
    }
    return NULL;
}

struct tree *
tree_find(const struct tree *map, const char *key)
{
    return find(map, gs_slice_str(key));
}

struct tree *
tree_at(const struct tree *root, const char *dotted_path)
{
    struct gs_slice rest = gs_slice_str(dotted_path);
    struct gs_slice part;
    const struct tree *at = root;
    struct tree *found = NULL;

    while (gs_slice_cut(&rest, '.', &part)) {
        found = find(at, part);
        if (!found)
            return NULL;
        at = found;
    }
    return found;
}

bool
tree_is_null(const struct tree *t)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };

    if (t->kind != TREE_SCALAR || !t->plain)
        return false;
    for (size_t i = 0; i < GS_COUNT(nulls); i++) {
        if (gs_slice_eq(t->text, gs_slice_str(nulls[i])))
            return true;
    }
    return false;
}

/* config_walk.c - a row's path with its list positions filled in, object by object. */
#include "mesh/config/config_walk.h"

#include <stdio.h>

#include "mesh/config/config_apply.h"

struct walk {
    config_walk_fn visit;
    void *arg;
};

/* prefix: of this object's rows in the schema; field: the same with positions. */
static void
walk_object(const struct walk *w, enum schema_object kind, const void *object, const char *prefix,
            const char *field)
{
    size_t skip = strlen(prefix);

    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        struct config_services list; /* the shape of every list */
        char at[CONFIG_FIELD_MAX];
        char below[SCHEMA_PATH_MAX];

        if (row->object != kind)
            continue;
        GS_ASSERT(strncmp(row->path, prefix, skip) == 0);
        (void)snprintf(at, sizeof(at), "%s%s", field, row->path + skip);
        w->visit(row, object, at, w->arg);
        if (row->value.kind != VALUE_LIST)
            continue;
        memcpy(&list, config_member_const(object, row), sizeof(list));
        (void)snprintf(below, sizeof(below), "%s[].", row->path);
        for (size_t k = 0; k < list.count; k++) {
            enum schema_object items = schema_items(row);
            char item[CONFIG_FIELD_MAX + 32];

            (void)snprintf(item, sizeof(item), "%s[%zu].", at, k);
            walk_object(w, items, (const char *)list.items + k * schema_object_bytes(items), below,
                        item);
        }
    }
}

void
config_walk(const struct config *c, config_walk_fn visit, void *arg)
{
    struct walk w = { visit, arg };

    walk_object(&w, SCHEMA_CONFIG, c, "", "");
}

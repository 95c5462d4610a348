/* config_reload.c - a configuration that is read while a node runs by another: what differs,
 * whether it may, and taking it over.
 *
 *     start        c ──────────────────────────────────────▶ values that need a restart stay here
 *     reload       fresh ─▶ config_check_reload ─▶ c.taken = fresh, c's other values are its
 *
 * Values are compared as they would be written, so where and how they are makes no difference. */
#include <stdio.h>
#include <string.h>

#include <gossamer/buf.h>

#include "mesh/config/codes.h"
#include "mesh/config/config_apply.h"

#define VALUE_BYTES_MAX (1u << 20)

/* ---- comparing ---- */

static void
print(const struct schema_row *row, const void *object, struct gs_buf *out)
{
    const void *value = config_member_const(object, row);

    gs_buf_init(out, VALUE_BYTES_MAX);
    if (value_present(&row->value, value))
        value_print(&row->value, value, out);
    else
        (void)gs_buf_put_str(out, "none");
    GS_ASSERT(!out->failed);
}

static bool
same_value(const struct schema_row *row, const void *a, const void *b)
{
    struct gs_buf x, y;
    bool same;

    GS_ASSERT(row->value.kind != VALUE_LIST);
    print(row, a, &x);
    print(row, b, &y);
    same = gs_slice_eq(gs_buf_slice(&x), gs_buf_slice(&y));
    gs_buf_fini(&x);
    gs_buf_fini(&y);
    return same;
}

/* All values of their own, lists of others left out. */
static bool
same_object(enum schema_object kind, const void *a, const void *b)
{
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];

        if (row->object == kind && row->value.kind != VALUE_LIST && !same_value(row, a, b))
            return false;
    }
    return true;
}

bool
config_same_instance(const struct config_instance *a, const struct config_instance *b)
{
    return same_object(SCHEMA_INSTANCE, a, b);
}

bool
config_same_service(const struct config_service *a, const struct config_service *b)
{
    if (!same_object(SCHEMA_SERVICE, a, b) || a->instances.count != b->instances.count)
        return false;
    for (size_t i = 0; i < a->instances.count; i++) {
        if (!config_same_instance(&a->instances.items[i], &b->instances.items[i]))
            return false;
    }
    return true;
}

bool
config_same_timeouts(const struct config *a, const struct config *b)
{
    return memcmp(&a->timeouts, &b->timeouts, sizeof(a->timeouts)) == 0;
}

const struct config_service *
config_find_service(const struct config_services *all, const struct config_service *like)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct config_service *s = &all->items[i];

        if (s->port == like->port && strcmp(s->name, like->name) == 0 &&
            strcmp(s->ns, like->ns) == 0)
            return s;
    }
    return NULL;
}

const struct config_instance *
config_find_instance(const struct config_service *s, const struct gs_addr *address)
{
    for (size_t i = 0; i < s->instances.count; i++) {
        if (gs_addr_eq(&s->instances.items[i].address, address))
            return &s->instances.items[i];
    }
    return NULL;
}

/* ---- where a finding is ---- */

static const struct schema_row *
row_of(const char *path)
{
    const struct schema_row *row = schema_find(path);

    GS_ASSERT(row);
    return row;
}

struct config_place
config_place_of(const struct config *c, const struct config_service *s)
{
    const struct config_origin *o = config_origin_of(s, row_of("services[].name"));
    struct config_place p = { .file = c->file, .line = o->line, .column = o->column };

    GS_ASSERT(s >= c->services.items);
    GS_ASSERT(s < c->services.items + c->services.count);
    (void)snprintf(p.field, sizeof(p.field), "services[%zu]", (size_t)(s - c->services.items));
    return p;
}

/* A value that is a default now was taken out of the file: there is no line to show. */
static void
refuse(const struct config *fresh, const struct schema_row *row, const void *former,
       const void *present, const char *field, struct gs_problems *problems)
{
    const struct config_origin *o = config_origin_of(present, row);
    const char *file =
        o->source == CONFIG_FILE || o->source == CONFIG_DEFAULT ? fresh->file : o->name;
    struct gs_problem *item;
    struct gs_buf was, is;

    print(row, former, &was);
    print(row, present, &is);
    item = gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_RESTART, file, o->line, o->column,
                           field, "needs a restart: the node runs with %s, not with %s",
                           gs_buf_cstr(&was), gs_buf_cstr(&is));
    if (value_present(&row->value, config_member_const(former, row)))
        gs_problem_hint(problems, item, "restart the node, or put %s back", gs_buf_cstr(&was));
    else
        gs_problem_hint(problems, item, "restart the node, or take it out again");
    gs_buf_fini(&was);
    gs_buf_fini(&is);
}

/* ---- may it be taken over? ---- */

/* Does anything of it stand in the file? */
static bool
has_file_values(const struct config *c)
{
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];

        if (row->object == SCHEMA_CONFIG && config_origin_of(c, row)->source == CONFIG_FILE)
            return true;
    }
    return false;
}

/* Half-written, or moved away for a moment: nobody means that. */
static void
check_there(const struct config *c, const struct config *fresh, struct gs_problems *problems)
{
    struct gs_problem *item;

    if (c->file && !fresh->file) {
        item = gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_FILE, c->file, 0, 0, NULL,
                               "is gone: the node runs by what stood in it");
        gs_problem_hint(problems, item, "put it back");
    } else if (fresh->file && has_file_values(c) && !has_file_values(fresh)) {
        item = gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_FILE, fresh->file, 0, 0, NULL,
                               "has become empty: the node runs by what stood in it");
        gs_problem_hint(problems, item, "to have no services write services: []");
    }
}

/* One service before and after; NULL: it is not there. */
static void
check_service(const struct config *fresh, const struct config_service *former,
              const struct config_service *present, struct gs_problems *problems)
{
    struct config_place at = { .file = fresh->file, .field = "services" };
    struct gs_problem *item;

    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];
        const char *key = row->path + strlen("services[].");
        char field[CONFIG_FIELD_MAX];

        if (row->object != SCHEMA_SERVICE || !row->restart)
            continue;
        if (present)
            at = config_place_of(fresh, present);
        if (former && present) {
            (void)snprintf(field, sizeof(field), "%s.%s", at.field, key);
            if (!same_value(row, former, present))
                refuse(fresh, row, former, present, field, problems);
            continue;
        }
        if (!value_present(&row->value, config_member_const(former ? former : present, row)))
            continue;
        (void)snprintf(field, sizeof(field), "%s%s%s", at.field, present ? "." : "",
                       present ? key : "");
        item =
            gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_RESTART, at.file, at.line,
                            at.column, field, "needs a restart: service %s.%s has %s, and would %s",
                            (former ? former : present)->name, (former ? former : present)->ns, key,
                            former ? "go" : "come");
        gs_problem_hint(problems, item, "restart the node%s",
                        former ? ", or put the service back" : "");
    }
}

static void
check_services(const struct config *c, const struct config *fresh, struct gs_problems *problems)
{
    for (size_t i = 0; i < fresh->services.count; i++) {
        const struct config_service *s = &fresh->services.items[i];

        check_service(fresh, config_find_service(&c->services, s), s, problems);
    }
    for (size_t i = 0; i < c->services.count; i++) {
        const struct config_service *s = &c->services.items[i];

        if (!config_find_service(&fresh->services, s))
            check_service(fresh, s, NULL, problems);
    }
}

gs_err
config_check_reload(const struct config *c, const struct config *fresh,
                    struct gs_problems *problems)
{
    size_t before = problems->errors;

    check_there(c, fresh, problems);
    if (problems->errors > before) /* everything else would follow from that */
        return GS_E_INVALID;
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];

        if (row->object != SCHEMA_CONFIG || !row->restart)
            continue;
        if (!same_value(row, c, fresh))
            refuse(fresh, row, c, fresh, row->path, problems);
    }
    check_services(c, fresh, problems);
    return problems->errors > before ? GS_E_INVALID : GS_E_OK;
}

/* ---- taking over ---- */

static size_t
value_bytes(enum value_kind kind)
{
    switch (kind) {
    case VALUE_STRING:
    case VALUE_LABEL:
    case VALUE_HOST:
    case VALUE_PATH:
    case VALUE_URLPATH:
        return sizeof(const char *);
    case VALUE_BOOL:
        return sizeof(bool);
    case VALUE_UINT:
    case VALUE_WORD:
        return sizeof(uint32_t);
    case VALUE_DURATION:
        return sizeof(uint64_t);
    case VALUE_ADDRESS:
        return sizeof(struct gs_addr);
    case VALUE_RANGE:
        return sizeof(struct config_range);
    case VALUE_ADDRESSES:
        return sizeof(struct config_addrs);
    case VALUE_TARGETS:
        return sizeof(struct config_targets);
    case VALUE_LABELS:
        return sizeof(struct config_labels);
    case VALUE_LIST:
        return sizeof(struct config_services); /* the shape of all lists */
    }
    GS_UNREACHABLE("kind of a value");
}

struct config *
config_take_over(struct config *c, struct config *fresh)
{
    struct config *former = c->taken;

    GS_ASSERT(!fresh->taken);
    for (size_t i = 0; i < schema_count; i++) {
        const struct schema_row *row = &schema_rows[i];

        if (row->object == SCHEMA_CONFIG && !row->restart)
            memcpy(config_member(c, row), config_member_const(fresh, row),
                   value_bytes(row->value.kind));
    }
    c->origin = fresh->origin;
    c->file = fresh->file;
    c->taken = fresh;
    return former;
}

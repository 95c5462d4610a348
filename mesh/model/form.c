/* form.c - walks a manifest along fields.def. Start reading at form_check().
 *
 * A field that is not in this version is told once, at its own place, and nothing is said of the
 * values below it; but fields below it that do not even exist upstream are told too, because the
 * file will have to be right in the version that has them. */
#include "mesh/model/form.h"

#include "mesh/model/codes.h"
#include "mesh/model/scalar.h"

enum shape { ONE, LIST, DICT };
enum type { TEXT, INT, NUMBER, BOOL, TIME, MAP };
enum status { YES, LATER, DROP };

struct field {
    enum form_message message;
    const char *name;
    enum shape shape;
    enum type type;
    enum status status;
    enum form_message value;
};

static const struct field fields[] = {
#define FIELD(message, name, shape, type, status, value)                                           \
    { FORM_##message, #name, shape, type, status, FORM_##value },
#include "mesh/model/fields.def"
#undef FIELD
};

/* What people write who have it from an older manual, or one level too deep. */
static const struct {
    enum form_message message;
    const char *name;
    const char *hint;
} mistakes[] = {
    { FORM_DESTINATION, "name", "the name of a service goes into `host`" },
    { FORM_DESTINATION, "weight", "write `weight` beside `destination`, not in it" },
    { FORM_DESTINATION, "labels", "labels go into a subset of a DestinationRule" },
    { FORM_HTTP_DESTINATION, "host", "write `host` inside `destination`" },
    { FORM_HTTP_DESTINATION, "subset", "write `subset` inside `destination`" },
    { FORM_HTTP_ROUTE, "websocketUpgrade", "remove it: upgrades need no switch" },
    { FORM_HTTP_ROUTE, "uri", "write `uri` inside an item of `match`" },
    { FORM_HTTP_ROUTE, "destination", "write `destination` inside an item of `route`" },
    { FORM_STRING_MATCH, "present", "write {} to match whatever value it has" },
    { FORM_PORT, "name", "ports are told by `number`" },
    { FORM_ABORT, "percent", "write `percentage: { value: N }`" },
    { FORM_VIRTUAL_SERVICE, "host", "`hosts` is a list" },
    { FORM_DESTINATION_RULE, "hosts", "a DestinationRule has one `host`" },
    { FORM_MAINTENANCE, "host", "write service: { name: NAME }" },
    { FORM_MAINTENANCE, "address", "the address of an instance goes into `instance`" },
    { FORM_MAINTENANCE, "port", "write `port` inside `service`: that which callers use" },
    { FORM_MAINTENANCE, "name", "write `name` inside `service`, or `node`" },
    { FORM_MAINTENANCE, "namespace", "write `namespace` inside `service`" },
    { FORM_OUTLIERS, "consecutiveErrors",
      "write consecutive5xxErrors or consecutiveGatewayErrors" },
};

static void check_map(struct reader *r, const struct tree *map, enum form_message m, bool told);

static const struct field *
find(enum form_message m, struct gs_slice name)
{
    for (size_t i = 0; i < GS_COUNT(fields); i++) {
        if (fields[i].message == m && gs_slice_eq(gs_slice_str(fields[i].name), name))
            return &fields[i];
    }
    return NULL;
}

/* ---- unknown fields ---- */

/* per_try_timeout, PerTryTimeout and perTryTimeout are one word in three spellings. */
static bool
same_letters(struct gs_slice a, struct gs_slice b)
{
    size_t i = 0, k = 0;

    for (;;) {
        while (i < a.len && (a.ptr[i] == '_' || a.ptr[i] == '-'))
            i++;
        while (k < b.len && (b.ptr[k] == '_' || b.ptr[k] == '-'))
            k++;
        if (i == a.len || k == b.len)
            return i == a.len && k == b.len;
        if (!gs_slice_eq_nocase(gs_slice(a.ptr + i++, 1), gs_slice(b.ptr + k++, 1)))
            return false;
    }
}

static size_t
names_of(enum form_message m, const char *names[GS_COUNT(fields)])
{
    size_t count = 0;

    GS_ASSERT(m > FORM_NONE && m < FORM_MESSAGES);
    for (size_t i = 0; i < GS_COUNT(fields); i++) {
        if (fields[i].message == m && fields[i].status != DROP)
            names[count++] = fields[i].name;
    }
    return count;
}

static const char *
nearest(enum form_message m, struct gs_slice key)
{
    const char *names[GS_COUNT(fields)];
    size_t count = names_of(m, names);

    for (size_t i = 0; i < count; i++) {
        if (same_letters(gs_slice_str(names[i]), key))
            return names[i];
    }
    return gs_did_you_mean(key.ptr, key.len, names, count);
}

static void
hint_known(struct reader *r, struct gs_problem *item, enum form_message m)
{
    const char *names[GS_COUNT(fields)];
    size_t count = names_of(m, names);
    char text[512];
    size_t len = 0;

    for (size_t i = 0; i < count; i++) {
        size_t room = sizeof(text) - len;
        size_t need = strlen(names[i]) + 2;

        if (need >= room)
            break;
        memcpy(text + len, i > 0 ? ", " : "  ", 2);
        memcpy(text + len + 2, names[i], need - 2);
        len += need;
    }
    text[len] = '\0';
    if (count > 0)
        gs_problem_hint(r->problems, item, "there are: %s", text + 2);
}

static bool
hint_mistake(struct reader *r, struct gs_problem *item, enum form_message m, struct gs_slice key)
{
    for (size_t i = 0; i < GS_COUNT(mistakes); i++) {
        if (mistakes[i].message == m && gs_slice_eq(gs_slice_str(mistakes[i].name), key)) {
            gs_problem_hint(r->problems, item, "%s", mistakes[i].hint);
            return true;
        }
    }
    return false;
}

static void
tell_unknown(struct reader *r, const struct tree_pair *p, enum form_message m)
{
    size_t mark = reader_enter(r, p->key);
    struct policy_place at = { p->line, p->column };
    struct gs_problem *item = reader_problem(r, GS_SEV_ERROR, CODE_POLICY_UNKNOWN, at,
                                             "unknown field \"%.*s\"", GS_SLICE_FMT(p->key));
    const char *near = nearest(m, p->key);

    reader_leave(r, mark);
    if (hint_mistake(r, item, m, p->key))
        return;
    if (near)
        gs_problem_hint(r->problems, item, "did you mean \"%s\"?", near);
    else
        hint_known(r, item, m);
}

/* ---- values ---- */

static const char *
type_text(enum type t)
{
    static const char *const texts[] = { "text",      "a whole number", "a number",
                                         "a boolean", "a duration",     "a map" };

    return texts[t];
}

static const char *
found_text(const struct tree *t)
{
    if (t->kind == TREE_MAP)
        return "a map";
    if (t->kind == TREE_SEQ)
        return "a list";
    return scalar_type_text(scalar_read(t).type);
}

/* The shorthand that people try, as it has to be written. */
static void
hint_map(struct reader *r, struct gs_problem *item, const struct tree *t, enum form_message m)
{
    if (m == FORM_PORT)
        gs_problem_hint(r->problems, item, "write { number: %.*s }", GS_SLICE_FMT(t->text));
    else if (m == FORM_DESTINATION)
        gs_problem_hint(r->problems, item, "write { host: %.*s }", GS_SLICE_FMT(t->text));
    else if (m == FORM_MAINTENANCE_SERVICE)
        gs_problem_hint(r->problems, item, "write { name: %.*s }", GS_SLICE_FMT(t->text));
    else if (m == FORM_STRING_MATCH)
        gs_problem_hint(r->problems, item, "write { exact: \"%.*s\" }, or {} for any value",
                        GS_SLICE_FMT(t->text));
}

static void
hint_scalar(struct reader *r, struct gs_problem *item, const struct tree *t, enum type expected)
{
    if (expected == TEXT)
        gs_problem_hint(r->problems, item, "put it in quotes: \"%.*s\"", GS_SLICE_FMT(t->text));
    else if ((expected == INT || expected == NUMBER || expected == BOOL) && !t->plain)
        gs_problem_hint(r->problems, item, "remove the quotes");
}

static void
tell_type(struct reader *r, const struct tree *t, const char *expected_text, const struct field *f)
{
    struct gs_problem *item = reader_problem(r, GS_SEV_ERROR, CODE_POLICY_TYPE, reader_place(t),
                                             "must be %s, is %s", expected_text, found_text(t));

    if (t->kind == TREE_SCALAR && scalar_read(t).type == SCALAR_NULL)
        gs_problem_hint(r->problems, item, "leave the field out, or give it a value");
    else if (t->kind == TREE_SCALAR && f && f->type == MAP)
        hint_map(r, item, t, f->value);
    else if (t->kind == TREE_SCALAR && f)
        hint_scalar(r, item, t, f->type);
}

static bool
fits_int(const struct tree *t)
{
    struct scalar s = scalar_read(t);

    return (s.type == SCALAR_INT || s.type == SCALAR_FLOAT) && s.integral &&
           s.number >= INT32_MIN && s.number <= INT32_MAX;
}

static bool
fits_scalar(const struct tree *t, enum type type)
{
    uint64_t ms;

    if (t->kind != TREE_SCALAR)
        return false;
    switch (type) {
    case TEXT:
        return scalar_read(t).type == SCALAR_TEXT && gs_slice_find(t->text, '\0') < 0;
    case INT:
        return fits_int(t);
    case NUMBER:
        return scalar_read(t).type == SCALAR_INT || scalar_read(t).type == SCALAR_FLOAT;
    case BOOL:
        return scalar_read(t).type == SCALAR_BOOL;
    case TIME:
        return scalar_read(t).type == SCALAR_TEXT &&
               scalar_duration_ms(t->text, &ms, NULL) == GS_E_OK;
    case MAP:
        return false;
    }
    GS_UNREACHABLE("field type");
}

/* A scalar that does not fit, in the words that help most. */
static void
tell_scalar(struct reader *r, const struct tree *t, const struct field *f)
{
    enum type type = f->type;
    struct scalar s = { .type = SCALAR_NULL };
    struct gs_problem *item;
    struct gs_why why;
    uint64_t ms;

    if (t->kind == TREE_SCALAR)
        s = scalar_read(t);
    if (type == INT && s.type == SCALAR_INT) {
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, reader_place(t),
                             "%.*s is out of range", GS_SLICE_FMT(t->text));
    } else if (type == TEXT && s.type == SCALAR_TEXT) {
        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, reader_place(t),
                             "a zero byte is no part of a text");
    } else if (type == TIME && s.type == SCALAR_TEXT) {
        GS_ASSERT(scalar_duration_ms(t->text, &ms, &why) != GS_E_OK);
        item = reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, reader_place(t), "%s", why.text);
        gs_problem_hint(r->problems, item, "write it as 10s, 1.5m, 1h30m or 500ms");
    } else if (type == TIME && (s.type == SCALAR_INT || s.type == SCALAR_FLOAT)) {
        item = reader_problem(r, GS_SEV_ERROR, CODE_POLICY_TYPE, reader_place(t),
                              "must be a duration, is a number");
        gs_problem_hint(r->problems, item, "add a unit: %.*ss", GS_SLICE_FMT(t->text));
    } else {
        tell_type(r, t, type_text(type), f);
    }
}

/* One value: of a field, an item of a list, a value of a dict. told: only unknown fields below it
 * are still of interest. */
static void
check_value(struct reader *r, const struct tree *t, const struct field *f, bool told)
{
    if (f->type == MAP) {
        if (t->kind != TREE_MAP && !told)
            tell_type(r, t, type_text(MAP), f);
        else if (t->kind == TREE_MAP && f->value != FORM_NONE)
            check_map(r, t, f->value, told);
    } else if (!told && !fits_scalar(t, f->type)) {
        tell_scalar(r, t, f);
    }
}

static void
check_list(struct reader *r, const struct tree *t, const struct field *f, bool told)
{
    if (t->kind != TREE_SEQ) {
        if (!told)
            tell_type(r, t, "a list", NULL);
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        size_t mark = reader_enter_index(r, i);

        check_value(r, t->items[i], f, told);
        reader_leave(r, mark);
    }
}

static void
check_dict(struct reader *r, const struct tree *t, const struct field *f, bool told)
{
    if (t->kind != TREE_MAP) {
        if (!told)
            tell_type(r, t, "a map", NULL);
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        size_t mark = reader_enter(r, t->pairs[i].key);

        check_value(r, t->pairs[i].value, f, told);
        reader_leave(r, mark);
    }
}

static void
check_field(struct reader *r, const struct tree_pair *p, const struct field *f, bool told)
{
    size_t mark = reader_enter(r, p->key);

    GS_ASSERT(p->value);
    GS_ASSERT(gs_slice_eq(gs_slice_str(f->name), p->key));
    if (f->status == LATER && !told) {
        struct policy_place at = { p->line, p->column };
        struct gs_problem *item = reader_problem(r, GS_SEV_ERROR, CODE_POLICY_UNSUPPORTED, at,
                                                 "%s is not supported in this version", f->name);

        if (!hint_mistake(r, item, f->message, p->key))
            gs_problem_hint(r->problems, item, "remove it, or do without this object for now");
        told = true;
    }
    if (f->status != DROP) {
        if (f->shape == LIST)
            check_list(r, p->value, f, told);
        else if (f->shape == DICT)
            check_dict(r, p->value, f, told);
        else
            check_value(r, p->value, f, told);
    }
    reader_leave(r, mark);
}

static void
check_map(struct reader *r, const struct tree *map, enum form_message m, bool told)
{
    GS_ASSERT(map->kind == TREE_MAP);
    GS_ASSERT(m > FORM_NONE && m < FORM_MESSAGES);
    for (size_t i = 0; i < map->count; i++) {
        const struct field *f = find(m, map->pairs[i].key);

        if (f)
            check_field(r, &map->pairs[i], f, told);
        else
            tell_unknown(r, &map->pairs[i], m);
    }
}

void
form_check(struct reader *r, const struct tree *map, enum form_message m)
{
    check_map(r, map, m, false);
}

/* ---- reading what passed ---- */

bool
form_fits(const struct tree *value, enum form_message m, const char *key)
{
    const struct field *f = find(m, gs_slice_str(key));

    GS_ASSERT(f);
    return f->type == MAP ? value->kind == TREE_MAP : fits_scalar(value, f->type);
}

const struct tree *
form_get(const struct tree *map, enum form_message m, const char *key)
{
    const struct field *f = find(m, gs_slice_str(key));
    const struct tree *t = tree_find(map, key);

    GS_ASSERT(map->kind == TREE_MAP);
    GS_ASSERT(f);
    GS_ASSERT(f->status == YES); /* nothing else is read */
    if (!t)
        return NULL;
    if (f->shape == LIST)
        return t->kind == TREE_SEQ ? t : NULL;
    if (f->shape == DICT)
        return t->kind == TREE_MAP ? t : NULL;
    return form_fits(t, m, key) ? t : NULL;
}

bool
form_has(const struct tree *map, const char *key)
{
    return tree_find(map, key) != NULL;
}

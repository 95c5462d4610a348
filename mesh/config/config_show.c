/* config_show.c - the configuration as it is in effect: as a file, as a table, as JSON; and the
 * schema as help. */
#include "mesh/config/config.h"

#include <stdio.h>

#include <gossamer/json_out.h>

#include "mesh/config/config_apply.h"
#include "mesh/config/config_walk.h"

#define VALUE_BYTES_MAX (1u << 20)
#define COLUMN_MAX 48 /* a wider cell pushes its own line only */

struct show {
    const struct config *c;
    struct gs_buf *out;
    struct gs_buf value; /* of the visit at hand */
    struct json_out *json;
    char former[CONFIG_FIELD_MAX]; /* field of the last line written as YAML */
};

static void
origin_text(const struct show *s, const struct config_origin *o, struct gs_buf *out)
{
    switch (o->source) {
    case CONFIG_DEFAULT:
        (void)gs_buf_put_str(out, "default");
        return;
    case CONFIG_FILE:
        GS_ASSERT(s->c->file);
        (void)gs_buf_printf(out, "%s:%u", s->c->file, o->line);
        return;
    case CONFIG_ENV:
    case CONFIG_FLAG:
        GS_ASSERT(o->name);
        (void)gs_buf_put_str(out, o->name);
        return;
    }
    GS_UNREACHABLE("source of a value");
}

enum shown { SHOWN, SHOWN_ABSENT, SHOWN_BY_ITEMS };

/* The value as YAML into s->value, if there is one of its own. */
static enum shown
render(struct show *s, const struct schema_row *row, const void *object)
{
    const void *value = config_member_const(object, row);

    gs_buf_clear(&s->value);
    if (!value_present(&row->value, value))
        return SHOWN_ABSENT;
    if (row->value.kind == VALUE_LIST)
        return SHOWN_BY_ITEMS;
    if (row->value.kind == VALUE_BOOL && !row->fallback && !*(const bool *)value)
        return SHOWN_ABSENT;
    value_print(&row->value, value, &s->value);
    return SHOWN;
}

/* ---- YAML: the fields become nested again ---- */

/* The length of the first step of a field: "services[0].name" -> 8, "[0].name" -> 3. */
static size_t
step_len(const char *field)
{
    return field[0] == '[' ? strcspn(field, "]") + 1 : strcspn(field, ".[");
}

/* Every step that the former line had too is above already; the others open a level each.
 *
 *     services[0].port       services:
 *                              - port: 80
 *     services[0].protocol       protocol: http */
static void
yaml_open(struct show *s, const char *field, size_t common)
{
    bool dash = false; /* the next key shares the line of its list dash */
    unsigned depth = 0;
    size_t at = 0;

    while (field[at]) {
        size_t len = step_len(field + at);
        bool item = field[at] == '[';
        bool last = field[at + len] == '\0';

        if (at >= common || last) {
            if (!dash)
                (void)gs_buf_printf(s->out, "%*s", (int)(depth * 2), "");
            if (item)
                (void)gs_buf_put_str(s->out, "- ");
            else
                (void)gs_buf_printf(s->out, "%.*s:%s", (int)len, field + at, last ? " " : "\n");
            dash = item;
        }
        depth++;
        at += len;
        if (field[at] == '.')
            at++;
    }
}

/* How much of both fields is the same, in whole steps. */
static size_t
common_steps(const char *a, const char *b)
{
    size_t at = 0;

    while (a[at] && b[at]) {
        size_t len = step_len(a + at);

        if (len != step_len(b + at) || strncmp(a + at, b + at, len) != 0)
            break;
        at += len;
        if (a[at] == '.' && b[at] == '.')
            at++;
    }
    return at;
}

static void
visit_yaml(const struct schema_row *row, const void *object, const char *field, void *arg)
{
    struct show *s = arg;

    if (render(s, row, object) != SHOWN)
        return;
    yaml_open(s, field, common_steps(s->former, field));
    (void)gs_buf_printf(s->out, "%s\n", gs_buf_cstr(&s->value));
    (void)snprintf(s->former, sizeof(s->former), "%s", field);
}

/* ---- table and JSON: one value after the other, absent ones too ---- */

static void
visit_origin(const struct schema_row *row, const void *object, const char *field, void *arg)
{
    struct show *s = arg;
    const struct config_origin *o = config_origin_of(object, row);

    enum shown shown = render(s, row, object);

    if (shown == SHOWN_BY_ITEMS)
        return;
    if (shown == SHOWN_ABSENT)
        (void)gs_buf_put_str(&s->value, "-");
    (void)gs_buf_printf(s->out, "%-*s %-*s ", COLUMN_MAX, field, COLUMN_MAX,
                        gs_buf_cstr(&s->value));
    origin_text(s, o, s->out);
    (void)gs_buf_put_str(s->out, "\n");
}

/* Is the value's YAML JSON as well? Quoted texts, lists, labels, booleans and numbers are. */
static bool
is_json(const struct schema_row *row, const struct gs_buf *value)
{
    uint64_t number;

    return row->value.kind == VALUE_BOOL || strchr("\"[{", value->ptr[0]) ||
           (row->value.kind == VALUE_UINT && gs_slice_to_u64(gs_buf_slice(value), &number));
}

static void
visit_json(const struct schema_row *row, const void *object, const char *field, void *arg)
{
    struct show *s = arg;
    const struct config_origin *o = config_origin_of(object, row);
    enum shown shown = render(s, row, object);

    if (shown == SHOWN_BY_ITEMS)
        return;
    json_obj(s->json);
    json_kstr(s->json, "key", field);
    json_key(s->json, "value");
    if (shown == SHOWN_ABSENT)
        json_nil(s->json);
    else if (is_json(row, &s->value))
        json_raw(s->json, gs_buf_slice(&s->value));
    else
        json_slice(s->json, gs_buf_slice(&s->value));
    json_key(s->json, "origin");
    gs_buf_clear(&s->value);
    origin_text(s, o, &s->value);
    json_slice(s->json, gs_buf_slice(&s->value));
    json_obj_end(s->json);
}

void
config_show_json(const struct config *c, struct json_out *j)
{
    struct show s = { .c = c, .json = j };

    gs_buf_init(&s.value, VALUE_BYTES_MAX);
    json_key(j, "config");
    json_arr(j);
    config_walk(c, visit_json, &s);
    json_arr_end(j);
    GS_ASSERT(!s.value.failed);
    gs_buf_fini(&s.value);
}

void
config_show(const struct config *c, enum config_show how, struct gs_buf *out)
{
    struct show s = { .c = c, .out = out };
    struct json_out j;

    gs_buf_init(&s.value, VALUE_BYTES_MAX);
    switch (how) {
    case CONFIG_SHOW_YAML:
        config_walk(c, visit_yaml, &s);
        break;
    case CONFIG_SHOW_ORIGIN:
        (void)gs_buf_printf(out, "%-*s %-*s %s\n", COLUMN_MAX, "KEY", COLUMN_MAX, "VALUE",
                            "ORIGIN");
        config_walk(c, visit_origin, &s);
        break;
    case CONFIG_SHOW_JSON:
        json_init(&j, out);
        json_obj(&j);
        config_show_json(c, &j);
        json_obj_end(&j);
        (void)gs_buf_put_str(out, "\n");
        break;
    }
    GS_ASSERT(!s.value.failed);
    gs_buf_fini(&s.value);
}

/* ---- help ---- */

static void
help_row(const struct schema_row *row, struct gs_buf *out)
{
    char env[SCHEMA_PATH_MAX + 16];

    (void)gs_buf_printf(out, "%s: ", row->path);
    value_describe(&row->value, out);
    (void)gs_buf_printf(out, "\n    %s\n    default: %s", row->help, schema_default_text(row));
    if (row->restart)
        (void)gs_buf_put_str(out, "; needs a restart");
    if (row->built && row->built[0])
        (void)gs_buf_printf(out, "; in this version: %s", row->built);
    else if (row->built)
        (void)gs_buf_put_str(out, "; not in this version");
    if (!schema_in_list(row))
        (void)gs_buf_printf(out, "\n    environment: %s", schema_env_name(row, env));
    (void)gs_buf_put_str(out, "\n");
}

void
config_help(struct gs_buf *out)
{
    for (size_t i = 0; i < schema_count; i++)
        help_row(&schema_rows[i], out);
}

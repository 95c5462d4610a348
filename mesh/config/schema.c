/* schema.c - looking things up in schema.def. The table is small and read at start only: a linear
 * search needs no second structure that could disagree with it. */
#include "mesh/config/schema.h"

#include <stdio.h>

/* MUST is told apart from any text by its address. */
static const char must_be_given[] = "";
#define MUST must_be_given
#define RESTART true
#define LIVE false

#define OBJECT_config SCHEMA_CONFIG
#define OBJECT_config_service SCHEMA_SERVICE
#define OBJECT_config_instance SCHEMA_INSTANCE
#define OBJECT_config_external SCHEMA_EXTERNAL

/* What a row's member holds is checked here, so that a parser cannot write past it. */
#define KEY(path, object, member, type, fallback, min, max, words, built, when, help)              \
    _Static_assert(sizeof(((struct object *)0)->member) == sizeof(VALUE_C_##type), path);
#define VALUE_C_STRING const char *
#define VALUE_C_LABEL const char *
#define VALUE_C_HOST const char *
#define VALUE_C_PATH const char *
#define VALUE_C_URLPATH const char *
#define VALUE_C_BOOL bool
#define VALUE_C_UINT uint32_t
#define VALUE_C_WORD uint32_t
#define VALUE_C_DURATION uint64_t
#define VALUE_C_ADDRESS struct gs_addr
#define VALUE_C_RANGE struct config_range
#define VALUE_C_ADDRESSES struct config_addrs
#define VALUE_C_TARGETS struct config_targets
#define VALUE_C_LABELS struct config_labels
#define VALUE_C_LIST struct config_services
#include "mesh/config/schema.def"
#undef KEY

#define KEY(path, object, member, type, fallback, min, max, words, built, when, help)              \
    _Static_assert(sizeof(path) <= SCHEMA_PATH_MAX, path);                                         \
    _Static_assert(offsetof(struct object, origin) == 0, "origins stand first");
#include "mesh/config/schema.def"
#undef KEY

#define KEY(path, object, member, type, fallback, min, max, words, built, when, help)              \
    { path,                                                                                        \
      OBJECT_##object,                                                                             \
      offsetof(struct object, member),                                                             \
      { VALUE_##type, words, min, max },                                                           \
      fallback,                                                                                    \
      built,                                                                                       \
      when,                                                                                        \
      help },
const struct schema_row schema_rows[] = {
#include "mesh/config/schema.def"
};
#undef KEY

const size_t schema_count = GS_COUNT(schema_rows);

const struct schema_row *
schema_find(const char *path)
{
    for (size_t i = 0; i < schema_count; i++) {
        if (strcmp(schema_rows[i].path, path) == 0)
            return &schema_rows[i];
    }
    return NULL;
}

size_t
schema_index(const struct schema_row *row)
{
    GS_ASSERT(row >= schema_rows);
    GS_ASSERT(row < schema_rows + schema_count);
    return (size_t)(row - schema_rows);
}

bool
schema_must(const struct schema_row *row)
{
    return row->fallback == must_be_given;
}

/* The part of a row's path behind "section." ("" names the top), or NULL. */
static const char *
below(const struct schema_row *row, const char *section)
{
    size_t len = strlen(section);

    if (len == 0)
        return row->path;
    if (strncmp(row->path, section, len) != 0 || row->path[len] != '.')
        return NULL;
    return row->path + len + 1;
}

bool
schema_is_section(const char *path)
{
    for (size_t i = 0; i < schema_count; i++) {
        if (below(&schema_rows[i], path))
            return true;
    }
    return false;
}

size_t
schema_keys(const char *section, char texts[SCHEMA_KEYS_MAX][SCHEMA_PATH_MAX],
            const char *keys[SCHEMA_KEYS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < schema_count; i++) {
        const char *rest = below(&schema_rows[i], section);
        size_t len = rest ? strcspn(rest, ".[") : 0;
        bool known = count > 0 && strlen(keys[count - 1]) == len &&
                     strncmp(keys[count - 1], rest ? rest : "", len) == 0;

        if (len == 0 || known) /* rows of one key stand together */
            continue;
        GS_ASSERT(count < SCHEMA_KEYS_MAX);
        (void)snprintf(texts[count], SCHEMA_PATH_MAX, "%.*s", (int)len, rest);
        keys[count] = texts[count];
        count++;
    }
    return count;
}

size_t
schema_object_bytes(enum schema_object object)
{
    switch (object) {
    case SCHEMA_CONFIG:
        return sizeof(struct config);
    case SCHEMA_SERVICE:
        return sizeof(struct config_service);
    case SCHEMA_INSTANCE:
        return sizeof(struct config_instance);
    case SCHEMA_EXTERNAL:
        return sizeof(struct config_external);
    }
    GS_UNREACHABLE("object of the schema");
}

enum schema_object
schema_items(const struct schema_row *row)
{
    char item[SCHEMA_PATH_MAX];

    GS_ASSERT(row->value.kind == VALUE_LIST);
    (void)snprintf(item, sizeof(item), "%s[]", row->path);
    for (size_t i = 0; i < schema_count; i++) {
        if (below(&schema_rows[i], item))
            return schema_rows[i].object;
    }
    GS_UNREACHABLE("a list whose items have no keys");
}

bool
schema_in_list(const struct schema_row *row)
{
    return row->object != SCHEMA_CONFIG || row->value.kind == VALUE_LIST;
}

const char *
schema_env_name(const struct schema_row *row, char out[SCHEMA_PATH_MAX + 16])
{
    GS_ASSERT(!schema_in_list(row));
    (void)snprintf(out, SCHEMA_PATH_MAX + 16, "GOSSAMER_%s", row->path);
    for (char *at = out; *at; at++) {
        if (*at == '.')
            *at = '_';
        else if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    }
    return out;
}

const char *
schema_default_text(const struct schema_row *row)
{
    if (schema_must(row))
        return "must be given";
    if (!row->fallback)
        return "none";
    if (strcmp(row->fallback, "@hostname") == 0)
        return "the host name";
    if (strcmp(row->fallback, "@state") == 0)
        return "/var/lib/gossamer, not as root $XDG_STATE_HOME/gossamer";
    if (strcmp(row->fallback, "@socket") == 0)
        return "/run/gossamer/admin.sock, not as root $XDG_RUNTIME_DIR/gossamer/admin.sock";
    if (strcmp(row->fallback, "@namespace") == 0)
        return "the node's namespace";
    return row->fallback;
}

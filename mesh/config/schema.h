/* schema.h - schema.def as data. */
#pragma once

#include "mesh/config/config.h"
#include "mesh/config/value.h"

enum schema_object { SCHEMA_CONFIG, SCHEMA_SERVICE, SCHEMA_INSTANCE, SCHEMA_EXTERNAL };
#define SCHEMA_OBJECTS 4

struct schema_row {
    const char *path;
    enum schema_object object;
    size_t offset; /* of the value in the object */
    struct value_type value;
    const char *fallback; /* the default; NULL: none; "@...": found out; see schema_must */
    const char *built;    /* NULL: all of it */
    bool restart;
    const char *help;
};

#define SCHEMA_PATH_MAX 64 /* bytes of the longest path, with room */
#define SCHEMA_KEYS_MAX 32 /* of one section */

extern const struct schema_row schema_rows[];
extern const size_t schema_count;

/* The row of a path such as "services[].port", NULL if there is none. */
const struct schema_row *schema_find(const char *path);
size_t schema_index(const struct schema_row *row);
bool schema_must(const struct schema_row *row);                /* has to be given */
const char *schema_default_text(const struct schema_row *row); /* for people: "none", "1s" */
/* Do rows stand below it ("gossip", "services[]")? */
bool schema_is_section(const char *path);
/* The keys directly below a section ("" for the top); borrowed until the next call is made with
 * the same `texts`. Returns how many. */
size_t schema_keys(const char *section, char texts[SCHEMA_KEYS_MAX][SCHEMA_PATH_MAX],
                   const char *keys[SCHEMA_KEYS_MAX]);
size_t schema_object_bytes(enum schema_object object);
/* What a LIST row's items are. */
enum schema_object schema_items(const struct schema_row *row);
bool schema_in_list(const struct schema_row *row); /* then neither environment nor flags set it */
/* "GOSSAMER_GOSSIP_BIND" for "gossip.bind". */
const char *schema_env_name(const struct schema_row *row, char out[SCHEMA_PATH_MAX + 16]);

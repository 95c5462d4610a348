/* config_apply.h - values into the objects of config.h: defaults, a document, single texts. */
#pragma once

#include "mesh/config/schema.h"

#define CONFIG_FIELD_MAX 192 /* "services[1023].instances[255].labels.NAME": the name may be cut */

struct config_apply {
    struct gs_arena *arena; /* of the config */
    struct gs_problems *problems;
    bool again;           /* config_opts.again */
    const char *file;     /* being read */
    const char *hostname; /* the defaults that schema.def calls @hostname, @state, @socket; */
    const char *state;    /* NULL: none */
    const char *socket;
};

struct config_origin *config_origin_of(const void *object, const struct schema_row *row);
bool config_is_given(const void *object, const struct schema_row *row); /* by anybody */
void *config_member(void *object, const struct schema_row *row);
const void *config_member_const(const void *object, const struct schema_row *row);

/* A new object's values and origins. */
void config_apply_defaults(const struct config_apply *a, enum schema_object kind, void *object);
/* A whole document; what is wrong is told, what is right is taken. */
void config_apply_tree(const struct config_apply *a, struct config *c, const struct tree *root);
/* One value from the environment or a flag. row: of no list. */
void config_apply_text(const struct config_apply *a, struct config *c, const struct schema_row *row,
                       const struct config_origin *origin, struct gs_slice text);

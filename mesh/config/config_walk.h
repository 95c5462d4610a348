/* config_walk.h - every value of a configuration, in the order of the schema. */
#pragma once

#include "mesh/config/schema.h"

/* field: "services[0].instances[1].address"; a LIST row is visited before its items. */
typedef void (*config_walk_fn)(const struct schema_row *row, const void *object, const char *field,
                               void *arg);

void config_walk(const struct config *c, config_walk_fn visit, void *arg);

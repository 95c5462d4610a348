/* config_rules.h - what no single value shows. */
#pragma once

#include "mesh/config/config.h"

/* Everything is told; objects whose values were refused already are passed over. */
void config_rules_check(const struct config *c, struct gs_problems *problems);

/* parse.h - specs from documents into structs. form_check() has been there before: what has the
 * wrong form is reported, is left out here and marked `told`. */
#pragma once

#include "mesh/model/reader.h"

/* spec is a map; everything goes into r->arena. */
void parse_virtual_service(struct reader *r, const struct tree *spec, struct virtual_service *out);
void parse_destination_rule(struct reader *r, const struct tree *spec,
                            struct destination_rule *out);
/* NULL stays NULL: it is not written. */
struct dr_traffic *parse_traffic(struct reader *r, const struct tree *map);
void parse_maintenance(struct reader *r, const struct tree *spec, struct maintenance *out);
void parse_note(struct reader *r, const struct tree *spec, struct note *out);
/* A map of texts: labels and annotations. Values of another form are left out. */
void parse_pairs(struct reader *r, const struct tree *dict, struct policy_pair **out,
                 size_t *count);

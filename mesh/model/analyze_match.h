/* analyze_match.h - which rules of a VirtualService nothing ever reaches. */
#pragma once

#include "mesh/model/reader.h"

/* r's path is at "spec". */
void analyze_matches(struct reader *r, const struct virtual_service *vs);

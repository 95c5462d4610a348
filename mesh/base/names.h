/* names.h - freeing a name table; the rest of its interface is snapshot.h. */
#pragma once

struct names;
void names_free(struct names *n);

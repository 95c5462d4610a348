/* parse_note.c - spec of a Note. */
#include "mesh/model/parse.h"

#include "mesh/model/form.h"

void
parse_note(struct reader *r, const struct tree *spec, struct note *out)
{
    const struct tree *text = form_get(spec, FORM_NOTE, "text");

    GS_ASSERT(spec->kind == TREE_MAP);
    *out = (struct note){ .text = { .place = reader_place(text ? text : spec) } };
    if (text)
        out->text.text = gs_arena_copy(r->arena, text->text);
    else
        out->text.place.told = form_has(spec, "text");
}

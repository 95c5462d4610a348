/* parse_maint.c - spec of a Maintenance. */
#include <inttypes.h>

#include <gossamer/addr.h>

#include "mesh/model/codes.h"
#include "mesh/model/form.h"
#include "mesh/model/parse.h"
#include "mesh/model/scalar.h"

/* A text of a map; `told` if it is there and is none. An empty one is an error: where a name was to
 * be filled in, everything else would be meant without it. */
static void
read_line(struct reader *r, const struct tree *map, enum form_message m, const char *key,
          struct policy_text *out)
{
    const struct tree *t = form_get(map, m, key);

    *out = (struct policy_text){ .place = reader_place(t ? t : map) };
    out->place.told = t ? t->text.len == 0 : form_has(map, key);
    if (t && t->text.len > 0) {
        out->text = gs_arena_copy(r->arena, t->text);
    } else if (t) {
        size_t mark = reader_enter(r, gs_slice_str(key));

        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, out->place, "may not be empty");
        reader_leave(r, mark);
    }
}

static struct policy_place
place_of(const struct tree *map, const char *key)
{
    const struct tree *t = tree_find(map, key);

    return reader_place(t ? t : map);
}

/* A number of `least` to `most`; what is not is told here. False: none to be used. */
static bool
read_number(struct reader *r, const struct tree *map, enum form_message m, const char *key,
            int64_t most, struct policy_place *place, int64_t *out)
{
    const struct tree *t = form_get(map, m, key);
    struct scalar s;
    size_t mark;

    *place = place_of(map, key);
    place->told = !t && form_has(map, key);
    if (!t)
        return false;
    s = scalar_read(t);
    if (s.number >= 0 && s.number <= most) {
        *out = s.number;
        return true;
    }
    mark = reader_enter(r, gs_slice_str(key));
    (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, *place, "%" PRId64 " is out of range",
                         s.number);
    reader_leave(r, mark);
    place->told = true;
    return false;
}

static void
read_service(struct reader *r, const struct tree *t, struct maintenance *out)
{
    size_t mark = reader_enter(r, GS_SLICE("service"));
    int64_t port = 0;

    read_line(r, t, FORM_MAINTENANCE_SERVICE, "name", &out->service);
    read_line(r, t, FORM_MAINTENANCE_SERVICE, "namespace", &out->service_ns);
    if (read_number(r, t, FORM_MAINTENANCE_SERVICE, "port", UINT16_MAX, &out->port_place, &port) &&
        port == 0) {
        size_t inner = reader_enter(r, GS_SLICE("port"));

        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_VALUE, out->port_place,
                             "a port is a number of 1 to 65535, not 0");
        reader_leave(r, inner);
    }
    out->port = (uint16_t)port;
    if (out->service.text.len == 0 && !out->service.place.told) {
        size_t inner = reader_enter(r, GS_SLICE("name"));

        (void)reader_problem(r, GS_SEV_ERROR, CODE_POLICY_MISSING, out->service.place,
                             "a name is required");
        reader_leave(r, inner);
        out->service.place.told = true;
    }
    reader_leave(r, mark);
}

/* As everybody spells it; what is none stays, and is told when the object is validated. */
static void
read_instance(struct reader *r, const struct tree *spec, struct maintenance *out)
{
    char text[GS_ADDR_TEXT];
    struct gs_addr addr;

    read_line(r, spec, FORM_MAINTENANCE, "instance", &out->instance);
    if (gs_addr_parse(&addr, out->instance.text, NULL) == GS_E_OK)
        out->instance.text = gs_arena_copy(r->arena, gs_slice_str(gs_addr_text(&addr, text)));
}

void
parse_maintenance(struct reader *r, const struct tree *spec, struct maintenance *out)
{
    const struct tree *service = form_get(spec, FORM_MAINTENANCE, "service");
    const struct tree *drain = form_get(spec, FORM_MAINTENANCE, "drain");
    int64_t weight = 0;

    GS_ASSERT(spec->kind == TREE_MAP);
    *out = (struct maintenance){ .place = reader_place(spec),
                                 .drain_place = place_of(spec, "drain"),
                                 .service.place = reader_place(service ? service : spec) };
    read_line(r, spec, FORM_MAINTENANCE, "node", &out->node);
    if (service)
        read_service(r, service, out);
    else
        out->service.place.told = form_has(spec, "service");
    read_instance(r, spec, out);
    if (drain)
        out->drain = scalar_read(drain).yes;
    else
        out->drain_place.told = form_has(spec, "drain");
    out->weight_written =
        read_number(r, spec, FORM_MAINTENANCE, "weight", UINT32_MAX, &out->weight_place, &weight);
    out->weight = (uint32_t)weight;
    read_line(r, spec, FORM_MAINTENANCE, "reason", &out->reason);
    read_line(r, spec, FORM_MAINTENANCE, "by", &out->by);
}

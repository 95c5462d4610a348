/* analyze.h - findings about a set of policy objects as it is, or as it would be. */
#pragma once

#include "mesh/model/catalog.h"
#include "mesh/model/reader.h"

struct analyze_object {
    const struct policy_object *o;
    uint64_t born_hlc;      /* UINT64_MAX: not stored yet */
    struct gs_slice *hosts; /* canonical: see object_hosts() */
    size_t host_count;
    bool told; /* findings about it are wanted */
};

struct analyze_set {
    struct gs_arena arena;
    struct analyze_object *items;
    size_t count, cap;
    const struct model *m; /* services and namespaces; NULL: nothing is known of them */
};

void analyze_init(struct analyze_set *s, const struct model *m);
void analyze_fini(struct analyze_set *s);
void analyze_add(struct analyze_set *s, const struct policy_object *o, uint64_t born_hlc,
                 bool told);
/* Is the subset defined by any DestinationRule of the set for that canonical host? */
bool analyze_defines(const struct analyze_set *s, struct gs_slice host, struct gs_slice subset);
/* Everything worth saying about the objects that are `told`. */
void analyze_run(const struct analyze_set *s, struct gs_problems *problems);
/* A reader whose path begins with the object, if that stands in no file. */
void analyze_reader(struct reader *r, const struct policy_object *o, struct gs_problems *problems);
/* analyze_maint.c: of the Maintenances of the set. */
void analyze_maintenances(const struct analyze_set *s, struct gs_problems *problems);
/* analyze_services.c: what nodes say of their services and do not agree on. */
void analyze_services(const struct model *m, struct gs_problems *problems);

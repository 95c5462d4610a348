/* policy.h - policy objects: what manifests hold, as structs. Parsed from documents, validated,
 * encoded into record values and back, exported as manifests. All pure; everything a struct points
 * to lives in the arena it was made in.
 *
 *     bytes ─tree_parse_yaml─▶ documents ─manifest_read─▶ objects ─policy_encode─▶ record value
 *                                                            ▲                        │
 *                                     policy_export ◀────────┴──────policy_decode◀────┘  */
#pragma once

#include <gossamer/json_out.h>
#include <gossamer/problem.h>
#include <gossamer/tree.h>
#include <gossamer/version.h>

/* Record kinds; numbers are never reused (mesh/model/codec.def). */
enum policy_kind {
    POLICY_NONE = 0,
    POLICY_VIRTUAL_SERVICE = 16,
    POLICY_DESTINATION_RULE = 17,
    POLICY_NOTE = 18,
    POLICY_MAINTENANCE = 20,
};

/* Where something stands in its file, for findings; 0 when it came out of a record. */
struct policy_place {
    unsigned line, column;
    bool told; /* a finding about it was made already: say no more */
};

struct policy_text {
    struct gs_slice text;
    struct policy_place place;
};

struct policy_pair { /* a label or annotation */
    struct gs_slice name, value;
    struct policy_place place; /* of the value */
};

/* ---- VirtualService ---- */

enum policy_match { POLICY_EXACT = 1, POLICY_PREFIX = 2, POLICY_REGEX = 3, POLICY_PRESENT = 4 };

struct vs_text_match {
    enum policy_match kind;
    struct gs_slice text; /* as written; a regex in RE2's dialect */
    struct policy_place place;
};

struct vs_header_match {
    struct gs_slice name; /* as written */
    struct vs_text_match value;
    struct policy_place place;
};

struct vs_match { /* all of its conditions hold */
    struct gs_slice name;
    bool has_uri;
    struct vs_text_match uri; /* never POLICY_PRESENT */
    struct vs_header_match *headers;
    size_t header_count;
    struct policy_place place;
};

struct vs_destination {
    struct policy_text host;   /* as written */
    struct policy_text subset; /* empty: the whole service */
    uint16_t port;             /* 0: not written */
    uint32_t weight;
    bool weight_written;
    struct policy_place port_place, weight_place, place;
};

struct vs_rule {
    struct gs_slice name;
    struct vs_match *matches; /* one of them; none: every request */
    size_t match_count;
    struct vs_destination *destinations;
    size_t destination_count;
    uint64_t timeout_ms; /* 0: none */
    struct policy_place place, route_place, timeout_place;
};

struct virtual_service {
    struct policy_text *hosts; /* as written */
    size_t host_count;
    struct policy_place hosts_place;
    struct policy_text *gateways; /* as written; empty, or `mesh` is among them */
    size_t gateway_count;
    struct vs_rule *rules; /* spec.http */
    size_t rule_count;
    struct policy_place http_place;
};

/* ---- DestinationRule ---- */

struct dr_count { /* 0 is a word of its own: off */
    bool written;
    int32_t n;
    struct policy_place place;
};

struct dr_outliers { /* outlierDetection */
    struct dr_count errors_5xx, errors_gateway, errors_local;
    bool split;                    /* splitExternalLocalOriginErrors */
    uint64_t interval_ms, base_ms; /* 0: not written */
    int32_t max_percent;           /* likewise, as upstream has it */
    int32_t min_health_percent;
    struct policy_place max_place, min_place, place;
};

struct dr_port { /* an item of portLevelSettings */
    uint16_t port;
    struct dr_outliers *outliers; /* NULL: the defaults; nothing is inherited */
    bool bare;                    /* it says nothing of its port */
    struct policy_place place;
};

struct dr_traffic {               /* trafficPolicy */
    struct dr_outliers *outliers; /* NULL: not written */
    struct dr_port *ports;
    size_t port_count;
    struct policy_place place;
};

struct dr_subset {
    struct policy_text name;
    struct policy_pair *labels; /* none: every endpoint */
    size_t label_count;
    struct dr_traffic *traffic; /* NULL: not written */
    struct policy_place place;
};

struct destination_rule {
    struct policy_text host; /* as written */
    struct dr_subset *subsets;
    size_t subset_count;
    struct dr_traffic *traffic; /* NULL: not written */
};

/* ---- Note ---- */

/* What an operator wants the others to know; no request is routed by it. */
struct note {
    struct policy_text text; /* 1..NOTE_BYTES_MAX */
};

/* ---- Maintenance ---- */

/* What an operator wants of a node, of a service or of some of its endpoints for a while. Every
 * part of the target that is given has to hold. */
struct maintenance {
    struct policy_text node;       /* empty: whichever */
    struct policy_text service;    /* empty: everything that the node has */
    struct policy_text service_ns; /* empty: the object's own */
    uint16_t port;                 /* that callers use; 0: every one of the service */
    struct policy_text instance;   /* "127.0.0.1:9001" as gs_addr_text() has it; empty: every one */
    bool drain;
    bool weight_written;
    uint32_t weight;               /* percent of the ordinary; 0: no new requests at all */
    struct policy_text reason, by; /* for people, one line each */
    struct policy_place place, drain_place, port_place, weight_place;
};

/* ---- any object ---- */

struct policy_object {
    enum policy_kind kind;
    struct gs_slice ns, name;
    struct policy_pair *labels, *annotations;
    size_t label_count, annotation_count;
    const char *file; /* NULL when it came out of a record */
    struct policy_place place;
    union {
        struct virtual_service vs;
        struct destination_rule dr;
        struct note note;
        struct maintenance maint;
    };
};

const char *policy_kind_name(enum policy_kind k); /* "VirtualService"; "?" for an unknown number */
const char *policy_kind_api(enum policy_kind k);  /* "networking.istio.io/v1", as it is exported */
bool policy_kind_routes(enum policy_kind k);      /* does anything of it bear on requests? */
/* By name, plural, lower case or short name: "VirtualService", "virtualservices", "vs". */
enum policy_kind policy_kind_find(struct gs_slice text); /* POLICY_NONE: not one of ours */

#define POLICY_KEY_TEXT 352 /* kind, namespace (63), name (253), two slashes, NUL */
/* Record key: "VirtualService/ai-agents/tools". Returns out. */
const char *policy_key(enum policy_kind kind, struct gs_slice ns, struct gs_slice name,
                       char out[POLICY_KEY_TEXT]);
gs_err policy_key_parse(struct gs_slice key, enum policy_kind *kind, struct gs_slice *ns,
                        struct gs_slice *name) GS_MUST_CHECK;

/* What the form alone cannot say: sums, counts, names, regular expressions. Run on what was parsed
 * and again on what came out of a record. Adds to problems; GS_E_INVALID if it added an error. */
gs_err policy_validate(const struct policy_object *o, struct gs_problems *problems) GS_MUST_CHECK;

/* ---- manifests ---- */

struct manifest_skipped { /* Kubernetes' own kinds and others that are not about the mesh */
    const char *api_version, *kind, *name;
    const char *file;
    unsigned line;
};

struct manifest {
    struct gs_arena arena;
    struct policy_object **objects; /* in file order */
    size_t count;
    struct manifest_skipped *skipped;
    size_t skipped_count;
};

struct manifest_options {
    const char *file;   /* for findings; may be NULL */
    struct gs_slice ns; /* where metadata.namespace is not written (`-n`) */
};

void manifest_init(struct manifest *m);
void manifest_fini(struct manifest *m);
/* Read the documents of one file (tree_parse_yaml made them; they may be freed afterwards) and
 * add their objects; several files may follow each other. Every finding of every document is added
 * to problems, with its place. Nothing is to be used unless problems->errors stayed 0.
 * returns   GS_E_OK, or GS_E_INVALID when there was an error */
gs_err manifest_read(struct manifest *m, const struct tree_docs *docs,
                     const struct manifest_options *o, struct gs_problems *problems) GS_MUST_CHECK;

/* ---- record values ---- */

/* Canonical: equal objects have equal bytes. GS_E_LIMIT beyond OBJECT_BYTES_MAX (or out's max). */
gs_err policy_encode(const struct policy_object *o, struct gs_buf *out) GS_MUST_CHECK;
/* key gives kind, namespace and name. Unknown fields are skipped. The result is in `arena` and
 * well formed, but not validated. */
gs_err policy_decode(struct gs_slice key, struct gs_slice value, struct gs_arena *arena,
                     struct policy_object **out, struct gs_why *why) GS_MUST_CHECK;

/* A copy of a valid object, in the arena as a whole. */
struct policy_object *policy_copy(const struct policy_object *o, struct gs_arena *arena);

/* ---- out again ---- */

/* One JSON object: a manifest that `apply` takes back as unchanged. version may be NULL (no
 * generation, resourceVersion, creationTimestamp). */
void policy_export(const struct policy_object *o, const struct gs_version *version,
                   uint64_t born_hlc, struct json_out *j);

/* Go's spelling of a duration: "1.5s", "2m30s", "500ms". */
const char *policy_duration_text(uint64_t ms, char out[32]);

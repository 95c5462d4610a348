/* config.h - the node configuration: what schema.def says, as plain data.
 *
 *     defaults ◀ file ◀ environment ◀ flags          each overrides what stands left of it
 *
 * Everything that is wrong is found in one reading, each with its place (gs_problems). */
#pragma once

#include <stddef.h>

#include <gossamer/addr.h>
#include <gossamer/arena.h>
#include <gossamer/log.h>
#include <gossamer/problem.h>

struct gs_buf;
struct json_out;

#define CONFIG_KEY_BYTES 32
#define CONFIG_UINT_NONE UINT32_MAX /* a number that was not given and has no default */

/* ---- the data; times in milliseconds, 0: none ---- */

enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENV, CONFIG_FLAG };

struct config_origin {
    enum config_source source;
    unsigned line, column; /* CONFIG_FILE */
    const char *name;      /* the variable or flag */
};

enum config_identity {
    CONFIG_IDENTITY_OFF,
    CONFIG_IDENTITY_MESH,
    CONFIG_IDENTITY_FILES,
    CONFIG_IDENTITY_SPIFFE
};
enum config_proxy { CONFIG_PROXY_ON, CONFIG_PROXY_OFF };
enum config_capture { CONFIG_CAPTURE_OFF, CONFIG_CAPTURE_NFT };
enum config_protocol { CONFIG_HTTP, CONFIG_HTTP2, CONFIG_GRPC, CONFIG_TCP, CONFIG_AUTO };

struct config_addrs {
    const struct gs_addr *items;
    size_t count;
};

struct config_label {
    const char *name, *value;
};

struct config_labels {
    const struct config_label *items; /* sorted by name */
    size_t count;
};

struct config_target {
    bool tls;
    const char *host; /* a name or an address without brackets */
    uint16_t port;
};

struct config_targets {
    const struct config_target *items;
    size_t count;
};

struct config_range {
    struct gs_addr base; /* port 0; host bits are 0 */
    uint8_t bits;        /* of the prefix */
};

/* Every object starts with where its values came from: an array over all rows of the schema. */

struct config_instance {
    struct config_origin *origin;
    struct gs_addr address;
    struct config_labels labels;
    struct {
        const char *http; /* path; NULL: a TCP check */
        bool tcp;
        uint64_t interval_ms, timeout_ms;
        uint32_t rise, fall;
    } health;
};

struct config_instances {
    struct config_instance *items;
    size_t count;
};

struct config_service {
    struct config_origin *origin;
    const char *name, *ns;
    uint32_t port;
    enum config_protocol protocol;
    struct gs_addr outbound; /* family 0: none */
    struct {
        uint32_t uid; /* CONFIG_UINT_NONE: not given */
    } identity;
    struct config_instances instances;
};

struct config_services {
    struct config_service *items;
    size_t count;
};

struct config_external {
    struct config_origin *origin;
    const char *name, *ns;
    uint32_t port;
    enum config_protocol protocol;
    struct config_targets targets;
    const char *ca_file; /* NULL: the system's */
    bool preserve_host;
};

struct config_externals {
    struct config_external *items;
    size_t count;
};

struct config {
    struct config_origin *origin;
    struct gs_arena arena; /* holds everything below */
    const char *file;      /* that was read; NULL: there was none */
    const char *node;
    const char *zone; /* NULL: none */
    const char *ns, *root_namespace;
    const char *state_dir;
    struct {
        struct gs_addr bind;
        struct gs_addr advertise; /* family 0: to be found out */
        struct config_addrs join;
        const char *key_file; /* NULL: not given */
    } gossip;
    struct {
        enum config_proxy mode;
        struct gs_addr outbound, inbound;
        uint32_t workers; /* 0: auto */
    } proxy;
    struct {
        struct gs_addr listen;
        const char *socket;
    } admin;
    struct {
        enum gs_log_level level;
        enum gs_log_format format;
    } log;
    struct {
        uint64_t connect_ms, head_ms, body_idle_ms, response_ms, idle_ms, drain_ms;
    } timeouts;
    struct {
        enum config_identity mode;
        const char *trust_domain; /* NULL: none */
    } identity;
    struct {
        struct gs_addr listen; /* family 0: off */
        struct config_range range;
    } names;
    struct {
        enum config_capture mode;
    } capture;
    struct config_services services;
    struct config_externals external;
    struct config *taken; /* what a reload took over is in its arena; NULL: nothing was */
};

/* ---- loading ---- */

struct config_flag {  /* overrides one key that is in no list */
    const char *name; /* as typed: "--set", "--node" */
    const char *path, *value;
};

struct config_opts {
    const char *file; /* -c; NULL: the default one, which may be missing */
    uint32_t uid;     /* geteuid(): 0 has the system's paths, others XDG's */
    char *const *env; /* environ; NULL: none */
    const struct config_flag *flags;
    size_t flag_count;
    bool again; /* a node runs by it already: what would keep it waiting (a pipe) is refused */
};

/* "PATH=VALUE" -> flag; the texts are copied into the arena. GS_E_INVALID: there is no `=`. */
gs_err config_flag_parse(const char *text, struct gs_arena *arena, struct config_flag *out,
                         struct gs_why *why) GS_MUST_CHECK;
/* GS_E_INVALID when problems holds errors (warnings and notes are no hindrance). *out is the
 * caller's, to be freed by config_free. */
gs_err config_load(const struct config_opts *opts, struct config **out,
                   struct gs_problems *problems) GS_MUST_CHECK;
void config_free(struct config *c);
/* Was this key given by anybody, or is it the default? path: of no list. */
bool config_given(const struct config *c, const char *path);

/* ---- reading it again, while a node runs by it (config_reload.c) ---- */

/* May `fresh` take the place of c? Every key that differs and needs a restart is an error at its
 * place, and so is a file that is gone or has become empty.
 * returns   GS_E_OK; GS_E_INVALID with problems */
gs_err config_check_reload(const struct config *c, const struct config *fresh,
                           struct gs_problems *problems) GS_MUST_CHECK;
/* Take over what may change; fresh is c's from now on. All other values stay the very same memory.
 * What c had taken over before is returned for the caller to free once nobody looks at it any more;
 * NULL: it came with c. */
struct config *config_take_over(struct config *c, struct config *fresh);
/* Do both say the same of it, wherever it is written? */
bool config_same_service(const struct config_service *a, const struct config_service *b);
bool config_same_instance(const struct config_instance *a, const struct config_instance *b);
bool config_same_timeouts(const struct config *a, const struct config *b);
/* The one with this namespace, name and port; NULL: none. */
const struct config_service *config_find_service(const struct config_services *all,
                                                 const struct config_service *like);
const struct config_instance *config_find_instance(const struct config_service *s,
                                                   const struct gs_addr *address);
/* A finding about a service of c, at the place where it is written. */
struct config_place {
    const char *file;
    unsigned line, column;
    char field[64];
};
struct config_place config_place_of(const struct config *c, const struct config_service *s);

/* Where things are without configuration; texts in the arena, NULL where no home is known. */
struct config_paths {
    const char *file, *state_dir, *socket;
};

void config_paths_get(uint32_t uid, char *const *env, struct gs_arena *arena,
                      struct config_paths *out);
const char *config_env(char *const *env, const char *name); /* NULL: unset or empty */

/* The gossip keys in a file, in its order: base64 of 32 bytes, one a line; empty lines and those
 * starting with # are skipped. Every bad line is told. At most GOSSIP_KEYS_MAX (limits.h). A file
 * that everybody may read is refused, one that a group may read is warned of. */
struct config_keys {
    uint8_t (*items)[CONFIG_KEY_BYTES];
    size_t count;
};

gs_err config_load_keys(const char *path, struct config_keys *out, struct gs_problems *problems)
    GS_MUST_CHECK;
void config_keys_fini(struct config_keys *k); /* wipes them */
#define CONFIG_KEY_TEXT 45                    /* a key as a line of such a file, with NUL */
void config_key_text(const uint8_t key[CONFIG_KEY_BYTES], char out[CONFIG_KEY_TEXT]);

/* ---- showing ---- */

enum config_show {
    CONFIG_SHOW_YAML,   /* as a configuration file */
    CONFIG_SHOW_ORIGIN, /* KEY VALUE ORIGIN */
    CONFIG_SHOW_JSON,   /* {"config": [{key, value, origin}]} */
};

void config_show(const struct config *c, enum config_show how, struct gs_buf *out);
void config_show_json(const struct config *c, struct json_out *j); /* "config" of an open object */
void config_help(struct gs_buf *out);                              /* every key, from the schema */

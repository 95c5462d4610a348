/* config_rules.c - checks across values: what is not built, what is there twice, what collides. */
#include "mesh/config/config_rules.h"

#include <stdarg.h>
#include <stdio.h>

#include <gossamer/buf.h>

#include "mesh/config/codes.h"
#include "mesh/config/config_apply.h"
#include "mesh/config/config_walk.h"

struct rules {
    const struct config *c;
    struct gs_problems *problems;
};

/* ---- telling ---- */

/* A finding about the value of `row` in `object`, at the place it came from. */
GS_PRINTF(7, 8)
static struct gs_problem *
tell(const struct rules *r, enum gs_severity severity, const char *code, const void *object,
     const struct schema_row *row, const char *field, const char *fmt, ...)
{
    const struct config_origin *o = config_origin_of(object, row);
    const char *file = o->source == CONFIG_FILE ? r->c->file : o->name;
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return gs_problems_add(r->problems, severity, code, file, o->line, o->column, field, "%s",
                           text);
}

static const struct schema_row *
row_of(const char *path)
{
    const struct schema_row *row = schema_find(path);

    GS_ASSERT(row);
    return row;
}

/* ---- not in this version ---- */

static bool
is_built(const struct schema_row *row, const void *value)
{
    struct gs_buf text;
    bool built;

    if (!row->built || !value_present(&row->value, value))
        return true;
    if (row->value.kind != VALUE_WORD)
        return false;
    gs_buf_init(&text, 128);
    value_print(&row->value, value, &text);
    built = value_among(row->built, gs_buf_cstr(&text));
    gs_buf_fini(&text);
    return built;
}

static void
check_built(const struct schema_row *row, const void *object, const char *field, void *arg)
{
    const struct rules *r = arg;
    const void *value = config_member_const(object, row);
    struct gs_problem *item;
    struct gs_buf text;

    if (!config_is_given(object, row) || is_built(row, value))
        return;
    gs_buf_init(&text, 4096);
    if (row->value.kind != VALUE_LIST)
        value_print(&row->value, value, &text);
    item = tell(r, GS_SEV_ERROR, CODE_CONFIG_NOT_BUILT, object, row, field,
                "%s is not in this version", text.len > 0 ? gs_buf_cstr(&text) : "this");
    if (row->built[0])
        gs_problem_hint(r->problems, item, "write %s, or leave it out", row->built);
    else
        gs_problem_hint(r->problems, item, "leave it out");
    gs_buf_fini(&text);
}

/* ---- addresses ---- */

static bool
is_loopback(const struct gs_addr *a)
{
    static const uint8_t v6[16] = { [15] = 1 };

    return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, v6, 16) == 0;
}

/* Two listeners that cannot both be bound. An IPv6 wildcard takes IPv4 too. */
static bool
collide(const struct gs_addr *a, const struct gs_addr *b)
{
    if (a->family == 0 || b->family == 0 || a->port != b->port || a->port == 0)
        return false; /* port 0: whichever is free */
    return gs_addr_eq(a, b) || gs_addr_is_any(a) || gs_addr_is_any(b);
}

static const char *const listener_paths[] = {
    "proxy.outbound", "proxy.inbound", "admin.listen", "gossip.bind", /* UDP and TCP */
};
#define PROXY_LISTENERS 2 /* the first ones, which a node without a proxy does not open */

static size_t
first_listener(const struct config *c)
{
    return c->proxy.mode == CONFIG_PROXY_OFF ? PROXY_LISTENERS : 0;
}

static void
check_listeners(const struct rules *r)
{
    for (size_t i = first_listener(r->c); i < GS_COUNT(listener_paths); i++) {
        const struct schema_row *one = row_of(listener_paths[i]);
        const struct gs_addr *a = config_member_const(r->c, one);

        for (size_t k = first_listener(r->c); k < i; k++) {
            const struct schema_row *other = row_of(listener_paths[k]);
            const struct schema_row *blamed = config_is_given(r->c, one) ? one : other;
            const struct gs_addr *b = config_member_const(r->c, other);
            char text[GS_ADDR_TEXT];

            if (collide(a, b))
                (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_CLASH, r->c, blamed, blamed->path,
                           "port %u is taken by %s %s", a->port,
                           blamed == one ? other->path : one->path,
                           gs_addr_text(blamed == one ? b : a, text));
        }
    }
}

/* The node's own listener that a connection to this address would reach, NULL if none. */
static const char *
own_listener(const struct config *c, const struct gs_addr *to)
{
    for (size_t i = first_listener(c); i < GS_COUNT(listener_paths); i++) {
        const struct gs_addr *l = config_member_const(c, row_of(listener_paths[i]));

        if (l->port == to->port && (gs_addr_eq(l, to) || (gs_addr_is_any(l) && is_loopback(to))))
            return listener_paths[i];
    }
    return NULL;
}

static void
check_advertise(const struct rules *r)
{
    const struct schema_row *row = row_of("gossip.advertise");

    if (r->c->gossip.advertise.family != 0 && gs_addr_is_any(&r->c->gossip.advertise))
        (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_VALUE, r->c, row, row->path,
                   "no node can be reached at this address: give one of this machine's own");
}

static void
check_join(const struct rules *r)
{
    const struct schema_row *row = row_of("gossip.join");
    const struct schema_row *bind = row_of("gossip.bind");
    const struct schema_row *own =
        r->c->gossip.advertise.family ? row_of("gossip.advertise") : bind;
    const struct gs_addr *self = config_member_const(r->c, own);
    char text[GS_ADDR_TEXT];
    struct gs_problem *item;

    for (size_t i = 0; i < r->c->gossip.join.count; i++) {
        const struct gs_addr *to = &r->c->gossip.join.items[i];

        if (gs_addr_is_any(to)) {
            (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_VALUE, r->c, row, row->path,
                       "no node can be reached at %s", gs_addr_text(to, text));
            return;
        }
        if (is_loopback(self) && !is_loopback(to)) {
            item = tell(r, GS_SEV_ERROR, CODE_CONFIG_VALUE, r->c, own, own->path,
                        "the node at %s could not answer: to it, this address is its own machine",
                        gs_addr_text(to, text));
            gs_problem_hint(r->problems, item, "give an address that other machines reach");
            return;
        }
    }
    if (r->c->gossip.join.count > 0 && r->c->gossip.bind.port == 0)
        (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_VALUE, r->c, bind, bind->path,
                   "a node of a mesh needs a port that the others can remember, such as 4190");
}

/* ---- services ---- */

static void
check_health(const struct rules *r, const struct config_instance *in, const char *field)
{
    const struct schema_row *tcp = row_of("services[].instances[].health.tcp");
    const struct schema_row *http = row_of("services[].instances[].health.http");
    char at[CONFIG_FIELD_MAX + 16];

    (void)snprintf(at, sizeof(at), "%s.health.tcp", field);
    if (!config_is_given(in, tcp))
        return;
    if (config_is_given(in, http))
        (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_EITHER, in, tcp, at,
                   "only one of http and tcp can be given");
    else if (!in->health.tcp)
        (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_VALUE, in, tcp, at,
                   "false would leave no check: every instance is checked");
}

static void
check_instance(const struct rules *r, const struct config_service *s, size_t n, const char *field)
{
    const struct schema_row *row = row_of("services[].instances[].address");
    const struct config_instance *in = &s->instances.items[n];
    const char *listener;
    char at[CONFIG_FIELD_MAX + 16];
    struct gs_problem *item;

    check_health(r, in, field);
    if (in->address.family == 0)
        return;
    (void)snprintf(at, sizeof(at), "%s.address", field);
    if (gs_addr_is_any(&in->address)) {
        item = tell(r, GS_SEV_ERROR, CODE_CONFIG_VALUE, in, row, at,
                    "there is nothing to connect to at this address");
        gs_problem_hint(r->problems, item, "write 127.0.0.1:%u", in->address.port);
        return;
    }
    listener = own_listener(r->c, &in->address);
    if (listener)
        (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_CLASH, in, row, at,
                   "this is the node's own %s: it would call itself", listener);
    for (size_t i = 0; i < n; i++) {
        const struct config_instance *other = &s->instances.items[i];

        if (gs_addr_eq(&other->address, &in->address)) {
            (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_DUPLICATE, in, row, at,
                       "this address is an instance of the service already, in line %u",
                       config_origin_of(other, row)->line);
            return;
        }
    }
}

static bool
same_service(const struct config_service *a, const struct config_service *b)
{
    return a->name && b->name && a->ns && b->ns && strcmp(a->name, b->name) == 0 &&
           strcmp(a->ns, b->ns) == 0 && a->port == b->port;
}

/* An outbound listener of its own must be bound beside all others. */
static void
check_outbound(const struct rules *r, size_t n)
{
    const struct schema_row *row = row_of("services[].outbound");
    const struct config_service *s = &r->c->services.items[n];
    const char *taken = NULL;
    char field[CONFIG_FIELD_MAX + 16];
    char other[CONFIG_FIELD_MAX + 16];

    for (size_t i = 0; i < GS_COUNT(listener_paths) && !taken; i++) {
        if (collide(&s->outbound, config_member_const(r->c, row_of(listener_paths[i]))))
            taken = listener_paths[i];
    }
    for (size_t i = 0; i < n && !taken; i++) {
        if (!collide(&s->outbound, &r->c->services.items[i].outbound))
            continue;
        (void)snprintf(other, sizeof(other), "services[%zu].outbound", i);
        taken = other;
    }
    (void)snprintf(field, sizeof(field), "services[%zu].outbound", n);
    if (taken)
        (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_CLASH, s, row, field, "port %u is taken by %s",
                   s->outbound.port, taken);
}

static void
check_services(const struct rules *r)
{
    const struct schema_row *row = row_of("services[].name");
    const struct config_services *all = &r->c->services;

    for (size_t i = 0; i < all->count; i++) {
        const struct config_service *s = &all->items[i];
        char field[CONFIG_FIELD_MAX];

        for (size_t k = 0; k < i; k++) {
            if (!same_service(s, &all->items[k]))
                continue;
            (void)snprintf(field, sizeof(field), "services[%zu]", i);
            (void)tell(r, GS_SEV_ERROR, CODE_CONFIG_DUPLICATE, s, row, field,
                       "%s in namespace %s with port %u is there already, in line %u", s->name,
                       s->ns, s->port, config_origin_of(&all->items[k], row)->line);
            break;
        }
        check_outbound(r, i);
        for (size_t n = 0; n < s->instances.count; n++) {
            (void)snprintf(field, sizeof(field), "services[%zu].instances[%zu]", i, n);
            check_instance(r, s, n, field);
        }
    }
}

/* ---- the node ---- */

static void
check_proxy(const struct rules *r)
{
    const struct schema_row *row = row_of("services");
    struct gs_problem *item;

    if (r->c->proxy.mode == CONFIG_PROXY_ON || r->c->services.count == 0)
        return;
    item = tell(r, GS_SEV_ERROR, CODE_CONFIG_EITHER, r->c, row, row->path,
                "without a proxy (proxy.mode: off) nobody could reach services of this node");
    gs_problem_hint(r->problems, item, "remove them, or write proxy: { mode: on }");
}

/* A default that could not be found out is missing only if nobody gave a value. */
static void
check_found_out(const struct rules *r)
{
    static const char *const paths[] = { "node", "state_dir", "admin.socket" };

    for (size_t i = 0; i < GS_COUNT(paths); i++) {
        const struct schema_row *row = row_of(paths[i]);
        struct gs_problem *item;
        char env[SCHEMA_PATH_MAX + 16];

        if (value_present(&row->value, config_member_const(r->c, row)))
            continue;
        item = tell(r, GS_SEV_ERROR, CODE_CONFIG_MISSING, r->c, row, row->path,
                    "there is no default for it here, and none was given");
        gs_problem_hint(r->problems, item, "set it in the file, or %s", schema_env_name(row, env));
    }
}

static void
check_identity(const struct rules *r)
{
    const struct schema_row *row = row_of("identity.mode");
    bool chosen = config_is_given(r->c, row);
    enum gs_severity severity = chosen ? GS_SEV_NOTE : GS_SEV_WARNING;
    char outbound[GS_ADDR_TEXT], inbound[GS_ADDR_TEXT];

    if (r->c->identity.mode != CONFIG_IDENTITY_OFF)
        return;
    if (r->c->proxy.mode == CONFIG_PROXY_OFF)
        (void)tell(r, severity, CODE_CONFIG_NO_IDENTITY, r->c, row, row->path,
                   "identity is off: whoever has the gossip key can be any node, and write policy");
    else
        (void)tell(r, severity, CODE_CONFIG_NO_IDENTITY, r->c, row, row->path,
                   "identity is off: nobody is authenticated and requests between nodes are not "
                   "encrypted; whoever reaches %s can call every service that this node knows, and "
                   "whoever reaches %s can call its instances and read what it knows of the mesh",
                   gs_addr_text(&r->c->proxy.outbound, outbound),
                   gs_addr_text(&r->c->proxy.inbound, inbound));
}

void
config_rules_check(const struct config *c, struct gs_problems *problems)
{
    struct rules r = { c, problems };

    check_found_out(&r);
    config_walk(c, check_built, &r);
    check_listeners(&r);
    check_advertise(&r);
    check_join(&r);
    check_proxy(&r);
    check_services(&r);
    check_identity(&r);
}

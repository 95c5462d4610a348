/* host.c - names of hosts, and the rules for names and labels. */
#include "mesh/model/host.h"

#include <arpa/inet.h>

#define HOST_MAX 255
#define LABEL_MAX 63
#define SUBDOMAIN_MAX 253

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool
is_alnum(char c)
{
    return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool
is_number(struct gs_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

/* A label of a domain name; capitals are fine there. */
static bool
is_dns_label(struct gs_slice s)
{
    if (s.len == 0 || s.len > LABEL_MAX || !is_alnum(s.ptr[0]) || !is_alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    }
    return true;
}

static bool
is_ip(struct gs_slice host)
{
    char text[64];
    struct in6_addr any;

    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    return strlen(text) == host.len &&
           (inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1);
}

gs_err
host_check(struct gs_slice host, struct gs_why *why)
{
    struct gs_slice rest = host;
    struct gs_slice label = GS_SLICE_NONE;

    if (host.len == 0)
        return gs_refuse(why, GS_E_INVALID, "a host may not be empty");
    if (host.len > HOST_MAX)
        return gs_refuse(why, GS_E_INVALID, "a host has at most %d bytes", HOST_MAX);
    if (host.ptr[0] == '*')
        return gs_refuse(why, GS_E_UNSUPPORTED, "a wildcard host is not supported in this version");
    if (is_ip(host))
        return gs_refuse(why, GS_E_UNSUPPORTED,
                         "an IP address as host is not supported in this version");
    if (host.ptr[host.len - 1] == '.')
        rest.len--;
    while (gs_slice_cut(&rest, '.', &label)) {
        if (!is_dns_label(label))
            return gs_refuse(why, GS_E_INVALID,
                             "host \"%.*s\" is not valid: \"%.*s\" is no part of a name",
                             GS_SLICE_FMT(host), GS_SLICE_FMT(label));
    }
    if (is_number(label))
        return gs_refuse(why, GS_E_INVALID, "host \"%.*s\" is not valid: its last part is a number",
                         GS_SLICE_FMT(host));
    return GS_E_OK;
}

static bool
cut_suffix(struct gs_slice *s, struct gs_slice suffix)
{
    if (s->len <= suffix.len || !gs_slice_ends(*s, suffix))
        return false;
    s->len -= suffix.len;
    return true;
}

static size_t
lower_into(char *out, struct gs_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        out[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] - 'A' + 'a') : s.ptr[i];
    return s.len;
}

struct gs_slice
host_canonical(struct gs_slice host, struct gs_slice ns, char out[HOST_TEXT])
{
    struct gs_slice name;

    if (host.len > 1 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len > HOST_MAX)
        host.len = HOST_MAX; /* of a record that nobody validated; it will match nothing */
    if (ns.len > LABEL_MAX)
        ns.len = LABEL_MAX;
    name = gs_slice(out, lower_into(out, host));
    GS_ASSERT(name.len <= HOST_MAX);
    if (!cut_suffix(&name, GS_SLICE(".svc.cluster.local")) && !cut_suffix(&name, GS_SLICE(".svc")))
        (void)cut_suffix(&name, GS_SLICE(".mesh"));
    if (gs_slice_find(name, '.') < 0) {
        out[name.len] = '.';
        name.len += 1 + lower_into(out + name.len + 1, ns);
    }
    GS_ASSERT(name.len < HOST_TEXT);
    out[name.len] = '\0';
    return name;
}

/* ---- names and labels ---- */

/* Lower case, digits and '-', the last not at an end. */
static bool
is_name_part(struct gs_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool inner = i > 0 && i + 1 < s.len;

        if (!is_digit(s.ptr[i]) && !is_lower(s.ptr[i]) && !(inner && s.ptr[i] == '-'))
            return false;
    }
    return s.len > 0;
}

bool
name_is_label(struct gs_slice s)
{
    return s.len <= LABEL_MAX && is_name_part(s);
}

bool
name_is_subdomain(struct gs_slice s)
{
    struct gs_slice rest = s;
    struct gs_slice part;

    if (s.len == 0 || s.len > SUBDOMAIN_MAX)
        return false;
    while (gs_slice_cut(&rest, '.', &part)) {
        if (!is_name_part(part)) /* only in a host has each part its own limit */
            return false;
    }
    return true;
}

static bool
is_label_text(struct gs_slice s)
{
    if (s.len > LABEL_MAX || !is_alnum(s.ptr[0]) || !is_alnum(s.ptr[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alnum(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_' && s.ptr[i] != '.')
            return false;
    }
    return true;
}

gs_err
label_check_key(struct gs_slice key, struct gs_why *why)
{
    ptrdiff_t slash = gs_slice_find(key, '/');
    struct gs_slice name = slash < 0 ? key : gs_slice_from(key, (size_t)slash + 1);

    if (slash >= 0 && !name_is_subdomain(gs_slice_head(key, (size_t)slash)))
        return gs_refuse(why, GS_E_INVALID,
                         "label \"%.*s\" is not valid: what is before the slash is no domain name",
                         GS_SLICE_FMT(key));
    if (name.len == 0 || !is_label_text(name))
        return gs_refuse(why, GS_E_INVALID,
                         "label \"%.*s\" is not valid: a name has 1 to %d letters, digits, '-', "
                         "'_' and '.', and begins and ends with a letter or digit",
                         GS_SLICE_FMT(key), LABEL_MAX);
    return GS_E_OK;
}

gs_err
label_check_value(struct gs_slice value, struct gs_why *why)
{
    if (value.len > 0 && !is_label_text(value))
        return gs_refuse(why, GS_E_INVALID,
                         "label value \"%.*s\" is not valid: it has at most %d letters, digits, "
                         "'-', '_' and '.', and begins and ends with a letter or digit",
                         GS_SLICE_FMT(value), LABEL_MAX);
    return GS_E_OK;
}

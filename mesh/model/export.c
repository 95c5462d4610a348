/* export.c - an object as the manifest it came from, with what a server adds. */
#include <gossamer/policy.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

const char *
policy_duration_text(uint64_t ms, char out[32])
{
    uint64_t h = ms / 3600000, m = ms / 60000 % 60, s = ms / 1000 % 60, rest = ms % 1000;
    size_t len = 0;

    if (ms < 1000) {
        (void)snprintf(out, 32, "%" PRIu64 "ms", ms);
        return out;
    }
    if (h > 0)
        len += (size_t)snprintf(out + len, 32 - len, "%" PRIu64 "h", h);
    if (m > 0)
        len += (size_t)snprintf(out + len, 32 - len, "%" PRIu64 "m", m);
    if (s == 0 && rest == 0)
        return out;
    len += (size_t)snprintf(out + len, 32 - len, "%" PRIu64, s);
    if (rest > 0) {
        len += (size_t)snprintf(out + len, 32 - len, ".%03" PRIu64, rest);
        while (out[len - 1] == '0')
            len--;
    }
    (void)snprintf(out + len, 32 - len, "s");
    return out;
}

static void
write_time(struct json_out *j, const char *key, uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    char text[32];
    struct tm tm;

    if (gmtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
        json_kstr(j, key, text);
}

static void
write_pairs(struct json_out *j, const char *key, const struct policy_pair *pairs, size_t count)
{
    if (count == 0)
        return;
    json_key(j, key);
    json_obj(j);
    for (size_t i = 0; i < count; i++)
        json_kslice(j, pairs[i].name.ptr, pairs[i].value); /* names end in NUL: policy.h's copies */
    json_obj_end(j);
}

static void
write_metadata(struct json_out *j, const struct policy_object *o, const struct gs_version *version,
               uint64_t born_hlc)
{
    char text[GS_VERSION_TEXT];

    json_key(j, "metadata");
    json_obj(j);
    json_kslice(j, "name", o->name);
    json_kslice(j, "namespace", o->ns);
    write_pairs(j, "labels", o->labels, o->label_count);
    write_pairs(j, "annotations", o->annotations, o->annotation_count);
    if (version) {
        json_ku64(j, "generation", version->generation);
        json_kstr(j, "resourceVersion", gs_version_text(version, text));
        write_time(j, "creationTimestamp", gs_hlc_ms(born_hlc));
    }
    json_obj_end(j);
}

static void
write_texts(struct json_out *j, const char *key, const struct policy_text *texts, size_t count)
{
    if (count == 0)
        return;
    json_key(j, key);
    json_arr(j);
    for (size_t i = 0; i < count; i++)
        json_slice(j, texts[i].text);
    json_arr_end(j);
}

/* ---- VirtualService ---- */

static void
write_text_match(struct json_out *j, const char *key, const struct vs_text_match *m)
{
    json_key(j, key);
    json_obj(j);
    if (m->kind == POLICY_EXACT)
        json_kslice(j, "exact", m->text);
    else if (m->kind == POLICY_PREFIX)
        json_kslice(j, "prefix", m->text);
    else if (m->kind == POLICY_REGEX)
        json_kslice(j, "regex", m->text);
    json_obj_end(j);
}

static void
write_match(struct json_out *j, const struct vs_match *m)
{
    json_obj(j);
    if (m->name.len > 0)
        json_kslice(j, "name", m->name);
    if (m->has_uri)
        write_text_match(j, "uri", &m->uri);
    if (m->header_count > 0) {
        json_key(j, "headers");
        json_obj(j);
        for (size_t i = 0; i < m->header_count; i++)
            write_text_match(j, m->headers[i].name.ptr, &m->headers[i].value);
        json_obj_end(j);
    }
    json_obj_end(j);
}

static void
write_destination(struct json_out *j, const struct vs_destination *d)
{
    json_obj(j);
    json_key(j, "destination");
    json_obj(j);
    json_kslice(j, "host", d->host.text);
    if (d->subset.text.len > 0)
        json_kslice(j, "subset", d->subset.text);
    if (d->port != 0) {
        json_key(j, "port");
        json_obj(j);
        json_ku64(j, "number", d->port);
        json_obj_end(j);
    }
    json_obj_end(j);
    if (d->weight_written)
        json_ku64(j, "weight", d->weight);
    json_obj_end(j);
}

static void
write_rule(struct json_out *j, const struct vs_rule *r)
{
    char text[32];

    json_obj(j);
    if (r->name.len > 0)
        json_kslice(j, "name", r->name);
    if (r->match_count > 0) {
        json_key(j, "match");
        json_arr(j);
        for (size_t i = 0; i < r->match_count; i++)
            write_match(j, &r->matches[i]);
        json_arr_end(j);
    }
    json_key(j, "route");
    json_arr(j);
    for (size_t i = 0; i < r->destination_count; i++)
        write_destination(j, &r->destinations[i]);
    json_arr_end(j);
    if (r->timeout_ms > 0)
        json_kstr(j, "timeout", policy_duration_text(r->timeout_ms, text));
    json_obj_end(j);
}

static void
write_vs(struct json_out *j, const struct virtual_service *vs)
{
    write_texts(j, "hosts", vs->hosts, vs->host_count);
    write_texts(j, "gateways", vs->gateways, vs->gateway_count);
    json_key(j, "http");
    json_arr(j);
    for (size_t i = 0; i < vs->rule_count; i++)
        write_rule(j, &vs->rules[i]);
    json_arr_end(j);
}

/* ---- DestinationRule ---- */

static void
write_count(struct json_out *j, const char *key, const struct dr_count *c)
{
    GS_ASSERT(c->n >= 0);
    if (c->written)
        json_ku64(j, key, (uint64_t)c->n);
}

static void
write_outliers(struct json_out *j, const struct dr_outliers *o)
{
    char text[32];

    if (!o)
        return;
    json_key(j, "outlierDetection");
    json_obj(j);
    write_count(j, "consecutive5xxErrors", &o->errors_5xx);
    write_count(j, "consecutiveGatewayErrors", &o->errors_gateway);
    write_count(j, "consecutiveLocalOriginFailures", &o->errors_local);
    if (o->split)
        json_kbool(j, "splitExternalLocalOriginErrors", true);
    if (o->interval_ms > 0)
        json_kstr(j, "interval", policy_duration_text(o->interval_ms, text));
    if (o->base_ms > 0)
        json_kstr(j, "baseEjectionTime", policy_duration_text(o->base_ms, text));
    if (o->max_percent > 0)
        json_ku64(j, "maxEjectionPercent", (uint64_t)o->max_percent);
    if (o->min_health_percent > 0)
        json_ku64(j, "minHealthPercent", (uint64_t)o->min_health_percent);
    json_obj_end(j);
}

static void
write_traffic(struct json_out *j, const struct dr_traffic *t)
{
    if (!t)
        return;
    json_key(j, "trafficPolicy");
    json_obj(j);
    write_outliers(j, t->outliers);
    if (t->port_count > 0) {
        json_key(j, "portLevelSettings");
        json_arr(j);
        for (size_t i = 0; i < t->port_count; i++) {
            json_obj(j);
            json_key(j, "port");
            json_obj(j);
            json_ku64(j, "number", t->ports[i].port);
            json_obj_end(j);
            write_outliers(j, t->ports[i].outliers);
            json_obj_end(j);
        }
        json_arr_end(j);
    }
    json_obj_end(j);
}

static void
write_dr(struct json_out *j, const struct destination_rule *dr)
{
    json_kslice(j, "host", dr->host.text);
    write_traffic(j, dr->traffic);
    if (dr->subset_count == 0)
        return;
    json_key(j, "subsets");
    json_arr(j);
    for (size_t i = 0; i < dr->subset_count; i++) {
        json_obj(j);
        json_kslice(j, "name", dr->subsets[i].name.text);
        write_pairs(j, "labels", dr->subsets[i].labels, dr->subsets[i].label_count);
        write_traffic(j, dr->subsets[i].traffic);
        json_obj_end(j);
    }
    json_arr_end(j);
}

/* ---- Maintenance ---- */

static void
write_maintenance(struct json_out *j, const struct maintenance *m)
{
    if (m->node.text.len > 0)
        json_kslice(j, "node", m->node.text);
    if (m->service.text.len > 0) {
        json_key(j, "service");
        json_obj(j);
        if (m->service_ns.text.len > 0)
            json_kslice(j, "namespace", m->service_ns.text);
        json_kslice(j, "name", m->service.text);
        if (m->port > 0)
            json_ku64(j, "port", m->port);
        json_obj_end(j);
    }
    if (m->instance.text.len > 0)
        json_kslice(j, "instance", m->instance.text);
    if (m->drain)
        json_kbool(j, "drain", true);
    if (m->weight_written)
        json_ku64(j, "weight", m->weight);
    if (m->reason.text.len > 0)
        json_kslice(j, "reason", m->reason.text);
    if (m->by.text.len > 0)
        json_kslice(j, "by", m->by.text);
}

void
policy_export(const struct policy_object *o, const struct gs_version *version, uint64_t born_hlc,
              struct json_out *j)
{
    GS_ASSERT(o->name.len > 0 && o->ns.len > 0);
    json_obj(j);
    json_kstr(j, "apiVersion", policy_kind_api(o->kind));
    json_kstr(j, "kind", policy_kind_name(o->kind));
    write_metadata(j, o, version, born_hlc);
    json_key(j, "spec");
    json_obj(j);
    switch (o->kind) {
    case POLICY_VIRTUAL_SERVICE:
        write_vs(j, &o->vs);
        break;
    case POLICY_DESTINATION_RULE:
        write_dr(j, &o->dr);
        break;
    case POLICY_NOTE:
        json_kslice(j, "text", o->note.text.text);
        break;
    case POLICY_MAINTENANCE:
        write_maintenance(j, &o->maint);
        break;
    case POLICY_NONE:
        GS_UNREACHABLE("policy kind");
    }
    json_obj_end(j);
    json_obj_end(j);
}

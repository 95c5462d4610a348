/* journal.c - the last lines about the mesh, and how an event of the gossip reads as one. */
#include "mesh/journal.h"

#include <inttypes.h>

#include <gossamer/alloc.h>
#include <gossamer/json_out.h>
#include <gossamer/policy.h>

#include "mesh/roster.h"

#define LINE_BYTES_MAX 8192
#define LOGGED_TEXT_MAX 256 /* of one value: all fields of a line have to fit a log line */

struct journal {
    char *lines[JOURNAL_MAX]; /* number n at n % JOURNAL_MAX */
    uint64_t told;            /* so far */
    struct gs_list followers;
};

struct journal *
journal_new(void)
{
    struct journal *j = gs_zalloc(sizeof(*j));

    gs_list_init(&j->followers);
    return j;
}

void
journal_free(struct journal *j)
{
    if (!j)
        return;
    GS_ASSERT(gs_list_empty(&j->followers));
    for (size_t i = 0; i < JOURNAL_MAX; i++)
        gs_free(j->lines[i]);
    gs_free(j);
}

/* ---- a line ---- */

static bool
is_plain(struct gs_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == '"' || s.ptr[i] == '=')
            return false;
    }
    return s.len > 0;
}

/* The log's key=value knows no escape for a quote, so that a text cannot end its field early it
 * loses those it has; the journal keeps them. */
static void
log_text(struct gs_buf *out, struct gs_slice s)
{
    struct gs_slice text = s.len > LOGGED_TEXT_MAX ? gs_slice_head(s, LOGGED_TEXT_MAX) : s;
    bool quote = !is_plain(text) || text.len < s.len;

    if (quote)
        (void)gs_buf_put(out, "\"", 1);
    for (size_t i = 0; i < text.len; i++)
        (void)gs_buf_put(out, text.ptr[i] == '"' ? "'" : &text.ptr[i], 1);
    if (text.len < s.len)
        (void)gs_buf_put_str(out, "...");
    if (quote)
        (void)gs_buf_put(out, "\"", 1);
}

static void
log_line(enum gs_log_level level, const char *event, const struct journal_field *fields,
         size_t count)
{
    struct gs_buf out;

    gs_buf_init(&out, LINE_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        (void)gs_buf_printf(&out, "%s%s=", i > 0 ? " " : "", fields[i].key);
        if (fields[i].text.ptr)
            log_text(&out, fields[i].text);
        else
            (void)gs_buf_printf(&out, "%" PRIu64, fields[i].number);
    }
    /* A mesh of hundreds may come up within a second, and each is another line. */
    GS_LOG_AT_MOST(GS_LOG_MANY, level, event, "%s", gs_buf_cstr(&out));
    gs_buf_fini(&out);
}

static char *
json_line(uint64_t wall_ms, const char *event, const struct journal_field *fields, size_t count)
{
    struct gs_buf out;
    struct json_out j;
    char *line;

    gs_buf_init(&out, LINE_BYTES_MAX);
    json_init(&j, &out);
    json_obj(&j);
    json_kdouble(&j, "time", (double)wall_ms / 1000);
    json_kstr(&j, "event", event);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].text.ptr)
            json_kslice(&j, fields[i].key, fields[i].text);
        else
            json_ku64(&j, fields[i].key, fields[i].number);
    }
    json_obj_end(&j);
    line = out.failed ? NULL : gs_strdup(gs_buf_cstr(&out));
    gs_buf_fini(&out);
    return line;
}

void
journal_tell(struct journal *j, uint64_t wall_ms, enum gs_log_level level, const char *event,
             const struct journal_field *fields, size_t count)
{
    char *line;

    log_line(level, event, fields, count);
    if (!j)
        return;
    line = json_line(wall_ms, event, fields, count);
    if (!line) { /* a text of mostly control characters: what happened counts more than that */
        line = json_line(wall_ms, event, NULL, 0);
        GS_ASSERT(line);
    }
    gs_free(j->lines[j->told % JOURNAL_MAX]);
    j->lines[j->told++ % JOURNAL_MAX] = line;
    GS_LIST_EACH_SAFE(n, &j->followers) {
        struct journal_follower *f = GS_LIST_ENTRY(n, struct journal_follower, link);

        f->told(f);
    }
}

/* ---- reading ---- */

uint64_t
journal_oldest(const struct journal *j)
{
    return j->told > JOURNAL_MAX ? j->told - JOURNAL_MAX : 0;
}

uint64_t
journal_next_number(const struct journal *j)
{
    return j->told;
}

struct gs_slice
journal_line(const struct journal *j, uint64_t number)
{
    GS_ASSERT(number >= journal_oldest(j));
    GS_ASSERT(number < j->told);
    return gs_slice_str(j->lines[number % JOURNAL_MAX]);
}

void
journal_follow(struct journal *j, struct journal_follower *f)
{
    gs_list_init(&f->link);
    gs_list_push_back(&j->followers, &f->link);
}

void
journal_unfollow(struct journal_follower *f)
{
    gs_list_remove(&f->link);
}

/* ---- events of the gossip ---- */

struct telling { /* of one event; room for what its fields point to */
    struct journal *j;
    const struct roster *roster;
    uint64_t wall_ms;
    struct journal_field fields[8];
    size_t count;
    char version[GS_VERSION_TEXT];
    char origin[GS_ID_TEXT], sender[GS_ID_TEXT];
};

static void
add(struct telling *t, struct journal_field f)
{
    GS_ASSERT(t->count < GS_COUNT(t->fields));
    t->fields[t->count++] = f;
}

static void
add_version(struct telling *t, const struct gs_version *v)
{
    add(t, journal_text("version", gs_slice_str(gs_version_text(v, t->version))));
}

static void
add_sender(struct telling *t, const struct gs_id *sender)
{
    add(t, journal_text("from", roster_call(t->roster, sender, t->sender)));
}

static void
tell(struct telling *t, enum gs_log_level level, const char *event)
{
    journal_tell(t->j, t->wall_ms, level, event, t->fields, t->count);
}

/* The text of a Note, in the arena; a note that cannot be read here has none. */
static struct gs_slice
note_text(const struct gossip_record *r, struct gs_arena *arena)
{
    struct policy_object *o;

    if (r->tombstone || policy_decode(r->key, r->value, arena, &o, NULL) != GS_E_OK)
        return GS_SLICE("");
    return o->note.text.text;
}

static void
tell_policy(struct telling *t, const struct gossip_record *r)
{
    struct gs_slice ns = GS_SLICE(""), name = r->key;
    enum policy_kind kind = POLICY_NONE;
    struct gs_arena arena;

    gs_arena_init(&arena, NULL, 0, 512);
    if (policy_key_parse(r->key, &kind, &ns, &name) != GS_E_OK)
        kind = POLICY_NONE; /* of a newer version: it has a key, and that is all we know */
    add(t, journal_text("kind", gs_slice_str(policy_kind_name(kind))));
    add(t, journal_text("ns", ns));
    add(t, journal_text("name", name));
    add_version(t, &r->version);
    add(t, journal_text("origin", roster_call(t->roster, &r->version.writer, t->origin)));
    if (r->tombstone)
        add(t, journal_number("deleted", 1));
    if (kind == POLICY_NOTE)
        add(t, journal_text("text", note_text(r, &arena)));
    tell(t, GS_LOG_INFO, kind == POLICY_NOTE ? "note.arrived" : "policy.arrived");
    gs_arena_fini(&arena);
}

static void
tell_record(struct telling *t, const struct gossip_record *r)
{
    if (r->class == GOSSIP_OPERATOR) {
        tell_policy(t, r);
        return;
    }
    add(t, journal_text("owner", roster_call(t->roster, &r->version.writer, t->origin)));
    add(t, journal_number("kind", r->kind));
    add(t, journal_text("key", r->key));
    if (r->tombstone)
        add(t, journal_number("deleted", 1));
    tell(t, GS_LOG_INFO, "record.arrived");
}

static void
tell_notice(struct telling *t, const struct gossip_event *e, const char *event)
{
    if (e->key.len > 0)
        add(t, journal_text("key", e->key));
    if (e->version.generation > 0) {
        add_version(t, &e->version);
        add(t, journal_text("origin", roster_call(t->roster, &e->version.writer, t->origin)));
    }
    if (e->ahead_ms > 0)
        add(t, journal_number("ahead_ms", e->ahead_ms));
    if (e->type != GOSSIP_EVENT_CONFLICT && e->type != GOSSIP_EVENT_CLOCK_AHEAD)
        add_sender(t, &e->sender);
    tell(t, GS_LOG_WARN, event);
}

void
journal_on_event(struct journal *j, const struct gossip_event *e, const struct roster *roster,
                 uint64_t wall_ms)
{
    struct telling t = { .j = j, .roster = roster, .wall_ms = wall_ms };

    switch (e->type) {
    case GOSSIP_EVENT_RECORD:
        tell_record(&t, &e->record);
        break;
    case GOSSIP_EVENT_CONFLICT:
        tell_notice(&t, e, "policy.conflict");
        break;
    case GOSSIP_EVENT_REFUSED:
        tell_notice(&t, e, "record.refused");
        break;
    case GOSSIP_EVENT_BELOW_FLOOR:
        tell_notice(&t, e, "record.too_old");
        break;
    case GOSSIP_EVENT_CLOCK_AHEAD:
        tell_notice(&t, e, "clock.ahead");
        break;
    case GOSSIP_EVENT_OPENED:
        tell(&t, GS_LOG_INFO, "mesh.opened");
        break;
    case GOSSIP_EVENT_TRANSACTION: /* its objects are told one by one */
    case GOSSIP_EVENT_NODE:        /* roster_on_event */
    case GOSSIP_EVENT_FORGOTTEN:   /* the same */
        break;
    }
}

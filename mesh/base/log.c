/* log.c - one line, one write(2), so lines of several threads never mix. Nothing is buffered:
 * what was logged before a crash is on the screen. */
#include <gossamer/log.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <gossamer/json_out.h>

#define LOG_LINE_MAX 4096     /* the whole line; longer ones are cut. PIPE_BUF: atomic on a pipe */
#define LOG_FIELDS_MAX 2048   /* the rendered key=value part, before escaping */
#define LOG_FIELDS_SURE 512   /* times six for \u00xx still fits the line */
#define LOG_SITE_LINES_MAX 10 /* a second: what a person can still read, and no disk minds */

static _Atomic int log_level = GS_LOG_INFO;
static _Atomic int log_format = GS_LOG_TEXT;

static const char *const level_text[] = { "ERROR", "WARN ", "INFO ", "DEBUG" };
static const char *const level_json[] = { "error", "warn", "info", "debug" };

void
gs_log_setup(enum gs_log_level level, enum gs_log_format format)
{
    atomic_store(&log_level, (int)level);
    atomic_store(&log_format, (int)format);
}

void
gs_log_set_level(enum gs_log_level level)
{
    atomic_store(&log_level, (int)level);
}

bool
gs_log_on(enum gs_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* May this site write now? The lines it was not allowed before are returned in *suppressed. Two
 * threads at one site may miscount by a line: that is cheaper than a lock. */
static bool
site_allows(struct gs_log_site *site, unsigned long long now_s, unsigned *suppressed)
{
    unsigned most = site->most > 0 ? site->most : LOG_SITE_LINES_MAX;

    *suppressed = 0;
    if (__atomic_exchange_n(&site->window_s, now_s, __ATOMIC_RELAXED) != now_s)
        __atomic_store_n(&site->count, 0, __ATOMIC_RELAXED);
    if (__atomic_fetch_add(&site->count, 1, __ATOMIC_RELAXED) >= most) {
        __atomic_fetch_add(&site->suppressed, 1, __ATOMIC_RELAXED);
        return false;
    }
    *suppressed = __atomic_exchange_n(&site->suppressed, 0, __ATOMIC_RELAXED);
    return true;
}

static void
format_time(char *out, size_t size, const struct timespec *now)
{
    struct tm tm;
    char seconds[32];

    GS_ASSERT(gmtime_r(&now->tv_sec, &tm));
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out, size, "%s.%03dZ", seconds, (int)(now->tv_nsec / 1000000));
}

/* The rest of a text line: control characters are escaped, so that a value chosen by a peer
 * cannot forge a line of ours. */
static void
put_text(struct gs_buf *out, struct gs_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        size_t control = gs_slice_control(gs_slice_from(s, i));

        if (s.ptr[i] == '\n')
            (void)gs_buf_put(out, "\\n", 2);
        else if (control > 0)
            (void)gs_buf_printf(out, "\\x%02x", (uint8_t)s.ptr[i += control - 1]);
        else
            (void)gs_buf_put(out, &s.ptr[i], 1);
    }
}

/* The value at the start of *rest, which is behind `key=`: quoted or up to the next blank. */
static struct gs_slice
take_value(struct gs_slice *rest)
{
    struct gs_slice value = GS_SLICE("");
    ptrdiff_t end;

    if (rest->len > 0 && rest->ptr[0] == '"') {
        struct gs_slice inner = gs_slice_from(*rest, 1);

        end = gs_slice_find(inner, '"');
        value = end < 0 ? inner : gs_slice_head(inner, (size_t)end);
        *rest = end < 0 ? GS_SLICE_NONE : gs_slice_from(inner, (size_t)end + 1);
        return value;
    }
    (void)gs_slice_cut(rest, ' ', &value);
    return value;
}

static void
put_json_fields(struct json_out *j, struct gs_slice fields)
{
    char key[64];

    while (fields.len > 0) {
        ptrdiff_t blank = gs_slice_find(fields, ' ');
        ptrdiff_t equals = gs_slice_find(fields, '=');

        if (blank == 0) {
            fields = gs_slice_from(fields, 1);
            continue;
        }
        if (equals <= 0 || (blank >= 0 && blank < equals)) { /* not our shape: keep it readable */
            json_kslice(j, "text", fields);
            return;
        }
        (void)snprintf(key, sizeof(key), "%.*s", (int)equals, fields.ptr);
        fields = gs_slice_from(fields, (size_t)equals + 1);
        json_kslice(j, key, take_value(&fields));
    }
}

static void
render_json(struct gs_buf *out, const char *time, enum gs_log_level level, const char *event,
            struct gs_slice fields, unsigned suppressed)
{
    struct json_out j;

    json_init(&j, out);
    json_obj(&j);
    json_kstr(&j, "time", time);
    json_kstr(&j, "level", level_json[level]);
    json_kstr(&j, "event", event);
    put_json_fields(&j, fields);
    if (suppressed > 0)
        json_ku64(&j, "suppressed", suppressed);
    json_obj_end(&j);
}

static void
render_text(struct gs_buf *out, const char *time, enum gs_log_level level, const char *event,
            struct gs_slice fields, unsigned suppressed)
{
    (void)gs_buf_printf(out, "%s %s %s", time, level_text[level], event);
    if (fields.len > 0)
        (void)gs_buf_put(out, " ", 1);
    put_text(out, fields);
    if (suppressed > 0)
        (void)gs_buf_printf(out, " suppressed=%u", suppressed);
}

static void
render(struct gs_buf *out, const char *time, enum gs_log_level level, const char *event,
       struct gs_slice fields, unsigned suppressed)
{
    gs_buf_clear(out);
    if (atomic_load_explicit(&log_format, memory_order_relaxed) == GS_LOG_JSON)
        render_json(out, time, level, event, fields, suppressed);
    else
        render_text(out, time, level, event, fields, suppressed);
    (void)gs_buf_put(out, "\n", 1);
}

void
gs_log_write(struct gs_log_site *site, enum gs_log_level level, const char *event, const char *fmt,
             ...)
{
    char fields[LOG_FIELDS_MAX];
    char time[48];
    struct timespec now;
    struct gs_buf line;
    unsigned suppressed;
    va_list ap;
    int n;

    GS_ASSERT((unsigned)level < GS_COUNT(level_text));
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!site_allows(site, (unsigned long long)now.tv_sec, &suppressed))
        return;
    format_time(time, sizeof(time), &now);
    va_start(ap, fmt);
    n = vsnprintf(fields, sizeof(fields), fmt, ap);
    va_end(ap);
    GS_ASSERT(n >= 0);
    if ((size_t)n >= sizeof(fields))
        n = sizeof(fields) - 1;
    gs_buf_init(&line, LOG_LINE_MAX);
    render(&line, time, level, event, gs_slice(fields, (size_t)n), suppressed);
    if (line.failed) /* mostly escapes: as many bytes as surely fit, so that JSON stays whole */
        render(&line, time, level, event,
               gs_slice(fields, n < LOG_FIELDS_SURE ? (size_t)n : LOG_FIELDS_SURE), suppressed);
    GS_ASSERT(!line.failed);
    (void)!write(STDERR_FILENO, line.ptr, line.len);
    gs_buf_fini(&line);
}

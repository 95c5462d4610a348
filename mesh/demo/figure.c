/* figure.c - figures and their bounds. */
#include "mesh/demo/figure.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <gossamer/json_out.h>

static void
add(struct result *r, const struct figure *f)
{
    GS_ASSERT(r->count < FIGURES_MAX);
    GS_ASSERT(f->key[0]);
    GS_ASSERT(f->within >= 0);
    r->figures[r->count++] = *f;
}

void
figure_note(struct result *r, const char *key, double value)
{
    add(r, &(struct figure){ key, value, BOUND_NONE, 0, 0 });
}

void
figure_below(struct result *r, const char *key, double value, double promised)
{
    add(r, &(struct figure){ key, value, BOUND_BELOW, promised, 0 });
}

void
figure_at_most(struct result *r, const char *key, double value, double promised)
{
    add(r, &(struct figure){ key, value, BOUND_AT_MOST, promised, 0 });
}

void
figure_at_least(struct result *r, const char *key, double value, double promised)
{
    add(r, &(struct figure){ key, value, BOUND_AT_LEAST, promised, 0 });
}

void
figure_is(struct result *r, const char *key, double value, double promised)
{
    add(r, &(struct figure){ key, value, BOUND_IS, promised, 0 });
}

void
figure_near(struct result *r, const char *key, double value, double promised, double within)
{
    add(r, &(struct figure){ key, value, BOUND_NEAR, promised, within });
}

double
figure_get(const struct result *r, const char *key)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->figures[i].key, key) == 0)
            return r->figures[i].value;
    }
    GS_UNREACHABLE("a figure that nobody measured");
}

void
result_saw(struct result *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(r->saw, sizeof(r->saw), fmt, ap);
    va_end(ap);
}

/* ---- did it hold? ---- */

bool
figure_held(const struct figure *f)
{
    switch (f->bound) {
    case BOUND_NONE:
        return true;
    case BOUND_BELOW:
        return f->value < f->promised;
    case BOUND_AT_MOST:
        return f->value <= f->promised;
    case BOUND_AT_LEAST:
        return f->value >= f->promised;
    case BOUND_IS:
        return f->value >= f->promised && f->value <= f->promised;
    case BOUND_NEAR:
        return fabs(f->value - f->promised) <= f->within;
    }
    GS_UNREACHABLE("a bound of the enum");
}

bool
result_held(const struct result *r)
{
    if (r->why[0] || r->count == 0)
        return false;
    for (size_t i = 0; i < r->count; i++) {
        if (!figure_held(&r->figures[i]))
            return false;
    }
    return true;
}

static const char *const words[] = { "", "below ", "at most ", "at least ", "", "" };
static const char *const keys[] = { "", "below", "at_most", "at_least", "is", "is" };

/* "below 1000", "10 within 3". */
static void
put_bound(const struct figure *f, char *out, size_t size)
{
    if (f->bound == BOUND_NEAR)
        (void)snprintf(out, size, "%g within %g", f->promised, f->within);
    else
        (void)snprintf(out, size, "%s%g", words[f->bound], f->promised);
}

void
result_promised(const struct result *r, char *out, size_t size)
{
    size_t used = 0;
    char bound[64];

    GS_ASSERT(size > 0);
    out[0] = '\0';
    for (size_t i = 0; i < r->count; i++) {
        const struct figure *f = &r->figures[i];

        if (f->bound == BOUND_NONE)
            continue;
        put_bound(f, bound, sizeof(bound));
        (void)snprintf(out + used, size - used, "%s%s %s", used > 0 ? ", " : "", f->key, bound);
        used += strlen(out + used);
        GS_ASSERT(used < size);
    }
}

void
result_broken(const struct result *r, char *out, size_t size)
{
    char bound[64];

    (void)snprintf(out, size, "%s", r->why);
    for (size_t i = 0; i < r->count && !out[0]; i++) {
        const struct figure *f = &r->figures[i];

        if (figure_held(f))
            continue;
        put_bound(f, bound, sizeof(bound));
        (void)snprintf(out, size, "%s is %g, promised was %s", f->key, f->value, bound);
    }
}

/* ---- JSON ---- */

static void
promise_json(const struct figure *f, struct json_out *j)
{
    GS_ASSERT(f->bound != BOUND_NONE);
    json_key(j, f->key);
    json_obj(j);
    json_kdouble(j, keys[f->bound], f->promised);
    if (f->bound == BOUND_NEAR)
        json_kdouble(j, "within", f->within);
    json_obj_end(j);
}

void
result_json(const struct result *r, struct json_out *j)
{
    json_obj(j);
    json_kstr(j, "step", r->step->name);
    json_key(j, "promised");
    json_obj(j);
    for (size_t i = 0; i < r->count; i++) {
        if (r->figures[i].bound != BOUND_NONE)
            promise_json(&r->figures[i], j);
    }
    json_obj_end(j);
    json_key(j, "measured");
    json_obj(j);
    for (size_t i = 0; i < r->count; i++)
        json_kdouble(j, r->figures[i].key, r->figures[i].value);
    json_obj_end(j);
    if (r->why[0])
        json_kstr(j, "why", r->why);
    json_kbool(j, "held", result_held(r));
    json_obj_end(j);
}

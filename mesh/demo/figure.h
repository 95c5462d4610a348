/* figure.h - what a step promised and what was measured: a list of figures, each with its bound.
 * Whether the step held, what is said of it and what stands in the JSON all come from them. */
#pragma once

#include <gossamer/check.h>

#include "mesh/demo/script.h"

struct json_out;

enum figure_bound { BOUND_NONE, BOUND_BELOW, BOUND_AT_MOST, BOUND_AT_LEAST, BOUND_IS, BOUND_NEAR };

struct figure {
    const char *key; /* its unit last: "apply_ms" */
    double value;
    enum figure_bound bound;
    double promised, within; /* within: of BOUND_NEAR, both ways */
};

#define FIGURES_MAX 16

struct result { /* of a step */
    const struct script_step *step;
    struct figure figures[FIGURES_MAX];
    size_t count;
    char why[256]; /* something did not work at all; "" otherwise */
    char saw[256]; /* what happened, in a sentence for people */
};

void figure_note(struct result *r, const char *key, double value); /* promised nothing */
void figure_below(struct result *r, const char *key, double value, double promised);
void figure_at_most(struct result *r, const char *key, double value, double promised);
void figure_at_least(struct result *r, const char *key, double value, double promised);
void figure_is(struct result *r, const char *key, double value, double promised);
void figure_near(struct result *r, const char *key, double value, double promised, double within);
/* As measured; asserts that there is such a figure. */
double figure_get(const struct result *r, const char *key);

void result_saw(struct result *r, const char *fmt, ...) GS_PRINTF(2, 3);

bool figure_held(const struct figure *f);
bool result_held(const struct result *r);
/* "apply_ms below 1000, failed 0, v2_percent 10 within 3". */
void result_promised(const struct result *r, char *out, size_t size);
/* "v2_percent 14.5, promised 10 within 3" of the first that did not hold; "" if all did. */
void result_broken(const struct result *r, char *out, size_t size);
/* {"step", "promised": {key: {"below": 1}}, "measured": {key: value}, "held"} */
void result_json(const struct result *r, struct json_out *j);

/* re2.h - regular expressions as users write them for Envoy (RE2's dialect), for regcomp(3). */
#pragma once

#include <regex.h>

#include <gossamer/check.h>
#include <gossamer/err.h>
#include <gossamer/slice.h>

/* Compile a pattern that has to match a whole value. Whether a whole value matches depends on
 * neither greed nor captures, so those are dropped; look-around, word boundaries, Unicode classes
 * and flags inside have no counterpart and are refused by name, as is what RE2 itself refuses.
 * out       regfree() it; untouched on failure; NULL to check only
 * returns   GS_E_INVALID (no regular expression), GS_E_UNSUPPORTED (one that we do not have),
 *           GS_E_LIMIT (longer than POLICY_REGEX_MAX, or repeated into something huge) */
gs_err re2_compile(struct gs_slice pattern, regex_t *out, struct gs_why *why) GS_MUST_CHECK;

/* build_text.h - what this binary is, for `version`, the API and metrics. */
#pragma once

struct json_out;

const char *build_version(void);     /* "0.1.0" */
const char *build_commit(void);      /* 12 hex digits, or "unknown" */
const char *build_date(void);        /* of the source, not of the build: "2026-11-28" */
const char *build_llhttp(void);      /* "llhttp 8.1.0 strict, bundled by distribution" */
void build_json(struct json_out *j); /* {version, commit, llhttp} */

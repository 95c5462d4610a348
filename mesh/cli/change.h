/* change.h - what the verbs that change policy share: options, how they become parameters of a
 * request, and how its outcome is told. */
#pragma once

#include "mesh/cli/ask.h"

struct change {
    const char *ns, *if_version, *socket;
    bool force, dry_run, no_wait;
    uint64_t timeout_ms;
    enum cli_format format;
};

#define CHANGE_DEFAULTS                                                                            \
    {                                                                                              \
        .timeout_ms = 10000                                                                        \
    }

/* Rows of a table, not code. */
/* clang-format off */
#define CHANGE_OPTIONS(c)                                                                          \
    { 'n', "namespace", CLI_TEXT, &(c).ns, "NS",                                                   \
      "namespace where none is written (default: that of the node)", { 0 } },                      \
    { 0, "if-version", CLI_TEXT, &(c).if_version, "V",                                             \
      "only if this is the object's version; 0: only if it is not there", { 0 } },                 \
    { 0, "force", CLI_SWITCH, &(c).force, NULL, "even if other objects need what goes", { 0 } },   \
    { 0, "dry-run", CLI_SWITCH, &(c).dry_run, NULL, "check only; change nothing", { 0 } },         \
    { 0, "no-wait", CLI_SWITCH, &(c).no_wait, NULL,                                                \
      "do not wait until nodes route by it (the disk is waited for)", { 0 } },                     \
    { 0, "timeout", CLI_VALUE, &(c).timeout_ms, "TIME", "how long to wait (default: 10s)",         \
      { .kind = VALUE_DURATION, .min = 1, .max = 600000 } },                                       \
    { 0, "socket", CLI_TEXT, &(c).socket, "PATH", "admin socket of the node to ask", { 0 } },      \
    CLI_FORMAT_OPTION((c).format)
/* clang-format on */

/* The request, its outcome told; returns the exit code. path: with other parameters already. */
int change_request(const struct change *c, const char *method, struct gs_buf *path,
                   struct gs_slice body);

/* cli.h - what all verbs share: exit codes, tables of verbs and options, errors, output, the
 * configuration's options, and asking a node.
 *
 *     main.c ─▶ cli_dispatch ─▶ cmd_VERB ─▶ cli_parse (its table of options)
 *                                        ─▶ cli_http (ask the node) or cli_config_load
 *                                        ─▶ cli_print (data: standard output)
 *                                        ─▶ cli_fail (everything else: standard error) */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <gossamer/buf.h>
#include <gossamer/problem.h>

#include "mesh/config/config.h"
#include "mesh/config/value.h"

enum cli_exit {
    CLI_GOOD = 0,
    CLI_REFUSED = 1, /* refused, or a check failed */
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3, /* the node */
    CLI_TIMEOUT = 4,
    CLI_CONFLICT = 5,
};

/* ---- verbs: one row each in main.c; sub-verbs the same way ---- */

struct cli_verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an exit code */
    const char *help;                  /* one line */
};

/* argv[1] names the verb. prefix: "gossamer" or "gossamer config". more: appended to the help;
 * may be NULL. */
int cli_dispatch(const char *prefix, const struct cli_verb *verbs, size_t count, int argc,
                 char **argv, void (*more)(struct gs_buf *out));
/* The exit code, or CLI_REFUSED if what was printed could not be written. */
int cli_finish(int code);

/* ---- options: one table yields parsing and --help ---- */

#define CLI_TEXTS_MAX 64

struct cli_texts { /* an option that may be given several times */
    const char *items[CLI_TEXTS_MAX];
    size_t count;
};

enum cli_option_kind {
    CLI_SWITCH, /* bool */
    CLI_TEXT,   /* const char *, borrowed from argv */
    CLI_TEXTS,  /* struct cli_texts */
    CLI_VALUE,  /* as `value` says: a word, number, duration or address */
};

struct cli_option {
    char letter; /* 0: only the long name */
    const char *name;
    enum cli_option_kind kind;
    void *out;            /* holds the default already */
    const char *argument; /* its name in the help; NULL for a switch */
    const char *help;
    struct value_type value;
};

struct cli_command {
    const char *name;     /* "config show" */
    const char *operands; /* for the usage line: "FILE..."; "" for none */
    const char *help;     /* one paragraph */
    const struct cli_option *options;
    size_t option_count;
    int operands_min, operands_max;
};

#define CLI_GO_ON (-1)

/* Options may stand anywhere before `--`. The operands are moved to argv[1..*operands].
 * returns CLI_GO_ON, or the exit code to end with: help was printed, or an error told. */
int cli_parse(const struct cli_command *cmd, int argc, char **argv, int *operands);

/* ---- the tables themselves, for who tells of them: completion and the manual ---- */

struct cli_visitor {
    /* Each verb, before what it has; under: "" or the verb that it is one of. */
    void (*verb)(struct cli_visitor *v, const char *under, const struct cli_verb *verb);
    /* What it takes; for the call only. */
    void (*command)(struct cli_visitor *v, const struct cli_command *cmd);
};

/* Each verb of main.c and what it has, without running any; name: of that one only, NULL: all. */
void cli_visit(struct cli_visitor *v, const char *name);
/* NULL, but within cli_visit(): then cli_parse() only shows. */
extern struct cli_visitor *cli_visiting;

/* ---- output ---- */

enum cli_format { CLI_TABLE, CLI_WIDE, CLI_JSON, CLI_YAML };

/* A row of a table, not code. */
/* clang-format off */
#define CLI_FORMAT_OPTION(format)                                                                  \
    { 'o', "output", CLI_VALUE, &(format), "FORMAT", "table, wide, json or yaml",                  \
      { .kind = VALUE_WORD, .words = "table|wide|json|yaml" } }
/* clang-format on */

/* To standard output. */
void cli_print(struct gs_slice text);
/* A JSON document as it is, or as YAML. format: CLI_JSON or CLI_YAML. */
void cli_print_json(enum cli_format format, struct gs_slice json);
/* May this stream be coloured? By NO_COLOR, CLICOLOR_FORCE, TERM, and whether it is a terminal. */
bool cli_colour(FILE *stream);

struct cli_table {
    const char *const *headers;
    size_t columns;
    const char **cells;
    size_t count, cap; /* cells */
    struct gs_arena arena;
};

void cli_table_init(struct cli_table *t, const char *const *headers, size_t columns);
void cli_table_fini(struct cli_table *t);
void cli_table_row(struct cli_table *t, const char *const *cells); /* copied; NULL reads "-" */
void cli_table_render(const struct cli_table *t, bool colour, struct gs_buf *out);

/* ---- errors ---- */

/* "gossamer: MESSAGE" and what to type next (NULL: nothing to type); returns code. */
int cli_fail(enum cli_exit code, const char *next, const char *fmt, ...) GS_PRINTF(3, 4);
void cli_problems_print(const struct gs_problems *p, struct gs_buf *out);
/* {"errors": [...], "warnings": [...], "notes": [...]} into an object that is open. */
struct json_out;
void cli_problems_json(struct json_out *j, const struct gs_problems *p);

/* ---- the configuration ---- */

struct cli_config {
    const char *file, *node;
    struct cli_texts sets;
};

/* clang-format off */
#define CLI_CONFIG_OPTIONS(c)                                                                      \
    { 'c', "config", CLI_TEXT, &(c).file, "FILE", "configuration file", { 0 } },                   \
    { 0, "set", CLI_TEXTS, &(c).sets, "KEY=VALUE",                                                 \
      "set a key of the configuration, such as log.level=debug", { 0 } },                          \
    { 0, "node", CLI_TEXT, &(c).node, "NAME", "name of this node", { 0 } }
/* clang-format on */

/* What such options ask for; what cannot be read is left out, false then. Texts are in the arena or
 * the options' own. */
bool cli_config_opts(const struct cli_config *o, struct gs_arena *arena, struct config_opts *out,
                     struct gs_problems *problems);
/* File, environment, flags. NULL when there are errors; findings are in problems either way. */
struct config *cli_config_load(const struct cli_config *o, struct gs_problems *problems);
/* The same; errors and warnings go to standard error.
 * returns CLI_GO_ON with *out set, or CLI_REFUSED */
int cli_config_need(const struct cli_config *o, struct config **out);

/* ---- the node ---- */

/* clang-format off */
#define CLI_SOCKET_OPTION(path)                                                                    \
    { 0, "socket", CLI_TEXT, &(path), "PATH", "admin socket of the node to ask", { 0 } }
/* clang-format on */

/* --socket, else GOSSAMER_SOCKET, else the default; in the arena or argv. NULL: no home known. */
const char *cli_socket(const char *option, struct gs_arena *arena);

struct cli_answer {
    unsigned status;
    struct gs_buf body;
};

/* One request to the admin socket. out->body is the caller's to gs_buf_fini.
 * returns GS_E_OK whatever the status; GS_E_NOT_FOUND: nobody listens; GS_E_TIMEOUT;
 *         GS_E_DENIED; GS_E_IO, GS_E_MALFORMED, GS_E_LIMIT */
gs_err cli_http(const char *socket, const char *method, const char *path, struct gs_slice body,
                uint64_t timeout_ms, struct cli_answer *out, struct gs_why *why) GS_MUST_CHECK;
/* GET of an answer that goes on: line(arg, ...) for each of its lines, until the node ends it. With
 * another status than 200 the body is in *out, as above.
 * returns GS_E_IO when the connection broke off, else as cli_http */
gs_err cli_http_follow(const char *socket, const char *path,
                       void (*line)(void *arg, struct gs_slice line), void *arg,
                       struct cli_answer *out, struct gs_why *why) GS_MUST_CHECK;
/* Tells that the node could not be asked, and what to do; returns the exit code. */
int cli_unreachable(gs_err e, const char *socket, const struct gs_why *why);

/* ---- verbs ---- */

int cmd_analyze(int argc, char **argv);
int cmd_apply(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_debug(int argc, char **argv);
int cmd_delete(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_endpoints(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_keys(int argc, char **argv);
int cmd_leave(int argc, char **argv);
int cmd_man(int argc, char **argv);
int cmd_members(int argc, char **argv);
int cmd_rtt(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_services(int argc, char **argv);
int cmd_split(int argc, char **argv);
int cmd_rollback(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_undrain(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_weight(int argc, char **argv);

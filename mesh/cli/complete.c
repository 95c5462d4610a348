/* complete.c - the candidates for the last word.
 *
 *     words ─▶ verb, perhaps one below it ─▶ its table ─▶ a value of an option ─┐
 *                                                    ├─▶ an option             ├─▶ offer
 *                                                    └─▶ an operand ───────────┘
 *
 * An operand or an option's argument is known by its name in the usage line: NODE, SERVICE, KIND,
 * NAME, NS, FILE, ... are looked up, words in lower case are meant as they stand. */
#include "mesh/cli/complete.h"

#include <gossamer/policy.h>

#include "mesh/cli/ask.h"
#include "mesh/config/json.h"
#include "mesh/config/schema.h"

#define OPERANDS_MAX 64
#define NODE_MS 300 /* whoever has pressed a key does not wait longer */
#define DESCRIPTION_MAX 80
#define KIND_NUMBERS_MAX 256

struct completion {
    struct cli_visitor visitor;
    char **words;
    int count;
    const char *current; /* what is typed of the candidate */
    const char *lead;    /* "--output=", which the candidate stands behind */
    char operands[OPERANDS_MAX][256];
    int operand_count;
    const char *socket, *ns;
    bool found;     /* the command that the words mean */
    bool has_below; /* verbs of its own */
};

/* ---- candidates ---- */

static bool
is_plain(const char *word)
{
    for (const char *c = word; *c; c++) {
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127 ||
            strchr("'\"\\$`|&;<>()*?[]{}!#", *c))
            return false;
    }
    return word[0] != '\0';
}

/* A name that a shell would not take as it stands is left out. */
static void
offer(const struct completion *c, const char *word, const char *description)
{
    if (strncmp(word, c->current, strlen(c->current)) == 0 && is_plain(word))
        (void)printf("%s%s\t%.*s\n", c->lead, word, DESCRIPTION_MAX, description);
}

/* "a|b|c"; what is written in capitals or with a dash is no word but a name for one. */
static void
offer_words(const struct completion *c, const char *words, const char *description)
{
    struct gs_slice rest = gs_slice_str(words);
    struct gs_slice part;

    while (gs_slice_cut(&rest, '|', &part)) {
        char word[64];

        (void)snprintf(word, sizeof(word), "%.*s", GS_SLICE_FMT(part));
        offer(c, word, description);
    }
}

/* ---- what the node knows ---- */

struct lookup {
    struct gs_arena arena;
    const struct tree *list; /* NULL: nobody answered */
};

static void
look_up(const struct completion *c, struct lookup *l, const char *path, const char *name)
{
    struct gs_problems problems;
    struct cli_answer answer;
    struct tree *root = NULL;
    struct gs_why why;
    const char *socket;

    gs_arena_init(&l->arena, NULL, 0, 4096);
    l->list = NULL;
    socket = cli_socket(c->socket, &l->arena);
    if (!socket || cli_http(socket, "GET", path, GS_SLICE_NONE, NODE_MS, &answer, &why) != GS_E_OK)
        return;
    gs_problems_init(&problems);
    if (answer.status == 200 &&
        tree_parse_json(gs_buf_slice(&answer.body), NULL, &l->arena, &root, &problems) == GS_E_OK)
        l->list = tree_find(root, name);
    if (l->list && l->list->kind != TREE_SEQ)
        l->list = NULL;
    gs_problems_fini(&problems);
    gs_buf_fini(&answer.body);
}

/* Each value of a field, once. */
static void
offer_field(const struct completion *c, const struct lookup *l, const char *field,
            const char *beside)
{
    for (size_t i = 0; l->list && i < l->list->count; i++) {
        const char *word = ask_text(l->list->items[i], field);
        const char *text = beside ? ask_text(l->list->items[i], beside) : NULL;
        bool told = false;

        for (size_t k = 0; word && k < i && !told; k++) {
            const char *other = ask_text(l->list->items[k], field);

            told = other && strcmp(word, other) == 0;
        }
        if (word && !told)
            offer(c, word, text ? text : "");
    }
}

static void
offer_nodes(const struct completion *c)
{
    struct lookup l;

    look_up(c, &l, "/api/v1/members", "members");
    offer_field(c, &l, "name", "state");
    gs_arena_fini(&l.arena);
}

static void
offer_services(const struct completion *c, const char *field)
{
    struct lookup l;

    look_up(c, &l, "/api/v1/services", "services");
    offer_field(c, &l, field, strcmp(field, "service") == 0 ? "namespace" : NULL);
    gs_arena_fini(&l.arena);
}

static void
offer_instances(const struct completion *c)
{
    struct lookup l;

    look_up(c, &l, "/api/v1/endpoints", "endpoints");
    for (size_t i = 0; l.list && i < l.list->count; i++) {
        const char *service = ask_text(l.list->items[i], "service");
        const char *address = ask_text(l.list->items[i], "address");
        const char *node = ask_text(l.list->items[i], "node");
        char word[512];

        if (!service || !address)
            continue;
        (void)snprintf(word, sizeof(word), "%s/%s", service, address);
        offer(c, word, node ? node : "");
    }
    gs_arena_fini(&l.arena);
}

/* "v1=" of the service that was named. */
static void
offer_subsets(const struct completion *c)
{
    const char *service = c->operand_count > 0 ? c->operands[0] : "";
    struct lookup l;

    look_up(c, &l, "/api/v1/services", "services");
    for (size_t i = 0; l.list && i < l.list->count; i++) {
        const char *name = ask_text(l.list->items[i], "service");
        const struct tree *subsets = tree_find(l.list->items[i], "subsets");
        size_t len = name ? strlen(name) : 0;

        if (!name || strncmp(service, name, len) != 0 || (service[len] && service[len] != '.') ||
            !subsets || subsets->kind != TREE_SEQ)
            continue;
        for (size_t k = 0; k < subsets->count; k++) {
            char word[256];

            if (subsets->items[k]->kind != TREE_SCALAR)
                continue;
            (void)snprintf(word, sizeof(word), "%.*s=", GS_SLICE_FMT(subsets->items[k]->text));
            offer(c, word, "");
        }
    }
    gs_arena_fini(&l.arena);
}

/* Of the kind that was named. */
static void
offer_objects(const struct completion *c)
{
    struct gs_buf path;
    struct lookup l;

    ask_path(&path, "objects");
    ask_param(&path, "kind", c->operand_count > 0 ? c->operands[c->operand_count - 1] : NULL);
    ask_param(&path, "namespace", c->ns ? c->ns : "-");
    look_up(c, &l, gs_buf_cstr(&path), "objects");
    offer_field(c, &l, "name", "state");
    gs_arena_fini(&l.arena);
    gs_buf_fini(&path);
}

/* ---- what the tables know ---- */

static void
offer_kinds(const struct completion *c)
{
    for (unsigned k = POLICY_NONE + 1; k < KIND_NUMBERS_MAX; k++) {
        const char *name = policy_kind_name((enum policy_kind)k);

        if (name[0] != '?')
            offer(c, name, policy_kind_api((enum policy_kind)k));
    }
}

static void
offer_keys(const struct completion *c)
{
    for (size_t i = 0; i < schema_count; i++) {
        char word[SCHEMA_PATH_MAX + 1];

        if (schema_in_list(&schema_rows[i]))
            continue;
        (void)snprintf(word, sizeof(word), "%s=", schema_rows[i].path);
        offer(c, word, schema_rows[i].help);
    }
}

/* What can be taken out of use: a node, a service, an instance of one. */
static void
offer_targets(const struct completion *c)
{
    if (strchr(c->current, '/')) {
        offer_instances(c);
        return;
    }
    offer_nodes(c);
    offer_services(c, "service");
}

/* By what an operand or an argument is called in the usage line; true if it is known. */
static bool
offer_named(const struct completion *c, struct gs_slice name)
{
    if (gs_slice_eq(name, GS_SLICE("FILE")) || gs_slice_eq(name, GS_SLICE("PATH")))
        (void)printf(":files\n");
    else if (gs_slice_eq(name, GS_SLICE("NODE")))
        offer_nodes(c);
    else if (gs_slice_eq(name, GS_SLICE("SERVICE")))
        offer_services(c, "service");
    else if (gs_slice_eq(name, GS_SLICE("SERVICE/INSTANCE")))
        offer_instances(c);
    else if (gs_slice_eq(name, GS_SLICE("TARGET")))
        offer_targets(c);
    else if (gs_slice_eq(name, GS_SLICE("NS")))
        offer_services(c, "namespace");
    else if (gs_slice_eq(name, GS_SLICE("KIND")))
        offer_kinds(c);
    else if (gs_slice_eq(name, GS_SLICE("NAME")))
        offer_objects(c);
    else if (gs_slice_eq(name, GS_SLICE("SUBSET=WEIGHT")))
        offer_subsets(c);
    else if (gs_slice_eq(name, GS_SLICE("KEY=VALUE")))
        offer_keys(c);
    else
        return false;
    return true;
}

/* ---- a command ---- */

static const struct cli_option *
find_option(const struct cli_command *cmd, struct gs_slice name, char letter)
{
    for (size_t i = 0; i < cmd->option_count; i++) {
        const struct cli_option *o = &cmd->options[i];

        if (letter ? o->letter == letter : gs_slice_eq(name, gs_slice_str(o->name)))
            return o;
    }
    return NULL;
}

static void
offer_value(struct completion *c, const struct cli_option *o, const char *typed, const char *lead)
{
    c->current = typed;
    c->lead = lead;
    if (o->kind == CLI_VALUE && o->value.words)
        offer_words(c, o->value.words, "");
    else if (strcmp(o->name, "node") != 0) /* --node NAME is a new one */
        (void)offer_named(c, gs_slice_str(o->argument));
}

static void
offer_options(const struct completion *c, const struct cli_command *cmd)
{
    for (size_t i = 0; i < cmd->option_count; i++) {
        char word[64];

        (void)snprintf(word, sizeof(word), "--%s", cmd->options[i].name);
        offer(c, word, cmd->options[i].help);
    }
    offer(c, "--help", "what it does, and its options");
}

/* "[KIND [NAME]]", "SERVICE[.NS] SUBSET=WEIGHT...", "NODE...|--all", "bash|zsh|fish": what stands
 * at the place of the operand that is typed. */
static void
offer_operand(const struct completion *c, const char *usage)
{
    struct gs_slice rest = gs_slice_str(usage), token = GS_SLICE_NONE, next;
    struct gs_slice name;

    for (int i = 0; gs_slice_cut(&rest, ' ', &next); i++) {
        if (gs_slice_eq(next, GS_SLICE("|")))
            return; /* there are as many as there may be; what follows is another usage */
        token = next;
        if (i == c->operand_count)
            break;
        if (rest.len == 0 && !memmem(token.ptr, token.len, "...", 3))
            return; /* there are as many as there may be */
    }
    while (token.len > 0 && token.ptr[0] == '[')
        token = gs_slice_from(token, 1);
    name = token;
    for (size_t i = 0; i < token.len; i++) {
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ=/", token.ptr[i])) {
            name = gs_slice_head(token, i);
            break;
        }
    }
    if (name.len == 0) {
        char words[128];

        (void)snprintf(words, sizeof(words), "%.*s", GS_SLICE_FMT(token));
        words[strcspn(words, "]")] = '\0';
        offer_words(c, words, "");
    } else {
        (void)offer_named(c, name);
    }
}

/* What a value that is typed already says about where to ask. */
static void
note_value(struct completion *c, const struct cli_option *o, const char *value)
{
    if (strcmp(o->name, "socket") == 0)
        c->socket = value;
    else if (strcmp(o->name, "namespace") == 0)
        c->ns = value;
}

/* One word before the last; returns the option that waits for its value. */
static const struct cli_option *
pass_over(struct completion *c, const struct cli_command *cmd, char *word, bool *only_operands)
{
    struct gs_slice rest = gs_slice_str(word + 2), name;
    const struct cli_option *o;

    if (strcmp(word, "--") == 0 && !*only_operands) {
        *only_operands = true;
        return NULL;
    }
    if (*only_operands || word[0] != '-' || word[1] == '\0') {
        if (c->operand_count < OPERANDS_MAX)
            (void)snprintf(c->operands[c->operand_count++], sizeof(c->operands[0]), "%s", word);
        return NULL;
    }
    if (word[1] != '-') {
        o = find_option(cmd, GS_SLICE_NONE, word[strlen(word) - 1]);
        return o && o->kind != CLI_SWITCH ? o : NULL;
    }
    (void)gs_slice_cut(&rest, '=', &name);
    o = find_option(cmd, name, 0);
    if (!o || o->kind == CLI_SWITCH)
        return NULL;
    if (!rest.ptr)
        return o;
    note_value(c, o, rest.ptr);
    return NULL;
}

static void
complete_command(struct completion *c, const struct cli_command *cmd, char **words, int count)
{
    const struct cli_option *waits = NULL;
    bool only_operands = false;
    char *last = words[count - 1];
    char *equals = strchr(last, '=');

    for (int i = 0; i + 1 < count; i++) {
        if (waits) {
            note_value(c, waits, words[i]);
            waits = NULL;
        } else {
            waits = pass_over(c, cmd, words[i], &only_operands);
        }
    }
    if (waits) {
        offer_value(c, waits, last, "");
    } else if (!only_operands && strncmp(last, "--", 2) == 0 && equals) {
        struct gs_slice name = gs_slice(last + 2, (size_t)(equals - last - 2));
        const struct cli_option *o = find_option(cmd, name, 0);
        char lead[64];

        (void)snprintf(lead, sizeof(lead), "%.*s", (int)(equals + 1 - last), last);
        if (o && o->kind != CLI_SWITCH)
            offer_value(c, o, equals + 1, lead);
    } else if (!only_operands && last[0] == '-') {
        c->current = last;
        offer_options(c, cmd);
    } else {
        c->current = last;
        offer_operand(c, cmd->operands);
    }
}

/* ---- verbs ---- */

static void
on_top_verb(struct cli_visitor *v, const char *under, const struct cli_verb *verb)
{
    if (under[0] == '\0')
        offer(GS_CONTAINER(v, struct completion, visitor), verb->name, verb->help);
}

static void
on_no_command(struct cli_visitor *v, const struct cli_command *cmd)
{
    (void)v;
    (void)cmd;
}

static void
on_verb(struct cli_visitor *v, const char *under, const struct cli_verb *verb)
{
    struct completion *c = GS_CONTAINER(v, struct completion, visitor);

    if (under[0] == '\0')
        return;
    c->has_below = true;
    if (c->count == 2)
        offer(c, verb->name, verb->help);
}

static void
on_command(struct cli_visitor *v, const struct cli_command *cmd)
{
    struct completion *c = GS_CONTAINER(v, struct completion, visitor);
    int skipped = c->has_below ? 2 : 1;
    const char *name = strrchr(cmd->name, ' ');

    if (c->found || c->count <= skipped ||
        (c->has_below && strcmp(name ? name + 1 : cmd->name, c->words[1]) != 0))
        return;
    c->found = true;
    complete_command(c, cmd, c->words + skipped, c->count - skipped);
}

void
complete(char **words, int count)
{
    struct completion c = { .visitor = { on_top_verb, on_no_command },
                            .words = words,
                            .count = count,
                            .current = count > 0 ? words[count - 1] : "",
                            .lead = "" };
    bool help = count > 1 && strcmp(words[0], "help") == 0;

    if (count <= 1 || (help && count == 2)) {
        cli_visit(&c.visitor, NULL);
        return;
    }
    c.visitor = (struct cli_visitor){ on_verb, on_command };
    if (!help)
        cli_visit(&c.visitor, words[0]);
}

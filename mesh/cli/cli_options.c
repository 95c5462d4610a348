/* cli_options.c - a command line against a table of options. */
#include "mesh/cli/cli.h"

#define OPTIONS_MAX 32
#define HELP_BYTES_MAX 65536

struct parse {
    const struct cli_command *cmd;
    int argc;
    char **argv;
    int at; /* next argument */
};

/* ---- help ---- */

static void
option_help(const struct cli_option *o, struct gs_buf *out)
{
    char names[64];
    char letter[8] = "    ";

    if (o->letter)
        (void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    (void)snprintf(names, sizeof(names), "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
                   o->argument ? o->argument : "");
    (void)gs_buf_printf(out, "  %-26s %s\n", names, o->help);
}

static int
help(const struct cli_command *cmd)
{
    struct gs_buf out;

    gs_buf_init(&out, HELP_BYTES_MAX);
    (void)gs_buf_printf(&out, "usage: gossamer %s [OPTION...]%s%s\n\n%s\n\n", cmd->name,
                        cmd->operands[0] ? " " : "", cmd->operands, cmd->help);
    for (size_t i = 0; i < cmd->option_count; i++)
        option_help(&cmd->options[i], &out);
    option_help(&(struct cli_option){ .letter = 'h', .name = "help", .help = "this text" }, &out);
    cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
    return CLI_GOOD;
}

/* ---- errors ---- */

static const struct cli_option *
find_name(const struct cli_command *cmd, struct gs_slice name)
{
    for (size_t i = 0; i < cmd->option_count; i++) {
        if (gs_slice_eq(name, gs_slice_str(cmd->options[i].name)))
            return &cmd->options[i];
    }
    return NULL;
}

static const struct cli_option *
find_letter(const struct cli_command *cmd, char letter)
{
    for (size_t i = 0; i < cmd->option_count; i++) {
        if (cmd->options[i].letter == letter)
            return &cmd->options[i];
    }
    return NULL;
}

static int
unknown(const struct cli_command *cmd, const char *typed, struct gs_slice name)
{
    const char *names[OPTIONS_MAX + 1];
    const char *meant;
    char next[128];

    GS_ASSERT(cmd->option_count <= OPTIONS_MAX);
    for (size_t i = 0; i < cmd->option_count; i++)
        names[i] = cmd->options[i].name;
    names[cmd->option_count] = "help";
    meant = gs_did_you_mean(name.ptr, name.len, names, cmd->option_count + 1);
    if (meant)
        (void)snprintf(next, sizeof(next), "did you mean --%s?", meant);
    else
        (void)snprintf(next, sizeof(next), "gossamer %s --help lists the options", cmd->name);
    return cli_fail(CLI_USAGE, next, "%s: there is no option %s", cmd->name, typed);
}

/* ---- values ---- */

static int
set_value(const struct cli_command *cmd, const struct cli_option *o, const char *text)
{
    struct value_fault fault;

    /* Only kinds that keep no memory: there is no arena to hold it. */
    GS_ASSERT(o->value.kind == VALUE_WORD || o->value.kind == VALUE_UINT ||
              o->value.kind == VALUE_DURATION || o->value.kind == VALUE_ADDRESS);
    if (value_parse(&o->value, gs_slice_str(text), NULL, o->out, &fault) == GS_E_OK)
        return CLI_GO_ON;
    return cli_fail(CLI_USAGE, fault.hint.text[0] ? fault.hint.text : NULL, "%s: --%s: %s",
                    cmd->name, o->name, fault.why.text);
}

static int
set_option(const struct cli_command *cmd, const struct cli_option *o, const char *text)
{
    struct cli_texts *texts = o->out;

    switch (o->kind) {
    case CLI_SWITCH:
        *(bool *)o->out = true;
        return CLI_GO_ON;
    case CLI_TEXT:
        *(const char **)o->out = text;
        return CLI_GO_ON;
    case CLI_TEXTS:
        if (texts->count == CLI_TEXTS_MAX)
            return cli_fail(CLI_USAGE, NULL, "%s: --%s is given more than %d times", cmd->name,
                            o->name, CLI_TEXTS_MAX);
        texts->items[texts->count++] = text;
        return CLI_GO_ON;
    case CLI_VALUE:
        return set_value(cmd, o, text);
    }
    GS_UNREACHABLE("kind of an option");
}

/* The option's argument: what is attached to it, else the next word. */
static int
take_argument(struct parse *p, const struct cli_option *o, const char *attached)
{
    if (o->kind == CLI_SWITCH && attached)
        return cli_fail(CLI_USAGE, NULL, "%s: --%s takes no value", p->cmd->name, o->name);
    if (o->kind != CLI_SWITCH && !attached) {
        if (p->at == p->argc)
            return cli_fail(CLI_USAGE, NULL, "%s: --%s needs a value: --%s %s", p->cmd->name,
                            o->name, o->name, o->argument);
        attached = p->argv[p->at++];
    }
    return set_option(p->cmd, o, attached);
}

static int
parse_long(struct parse *p, const char *word)
{
    struct gs_slice rest = gs_slice_str(word + 2);
    struct gs_slice name = rest;
    const struct cli_option *o;

    (void)gs_slice_cut(&rest, '=', &name);
    if (gs_slice_eq(name, GS_SLICE("help")))
        return help(p->cmd);
    o = find_name(p->cmd, name);
    if (!o)
        return unknown(p->cmd, word, name);
    return take_argument(p, o, rest.ptr); /* argv's texts end where the slice does */
}

/* -o json, -ojson, and several switches in one word. */
static int
parse_letters(struct parse *p, const char *word)
{
    for (const char *at = word + 1; *at; at++) {
        const struct cli_option *o = find_letter(p->cmd, *at);
        const char *attached = at[1] ? at + 1 : NULL;
        int code;

        if (*at == 'h')
            return help(p->cmd);
        if (!o)
            return unknown(p->cmd, word, gs_slice(at, 1));
        if (o->kind != CLI_SWITCH)
            return take_argument(p, o, attached);
        code = take_argument(p, o, NULL);
        if (code != CLI_GO_ON)
            return code;
    }
    return CLI_GO_ON;
}

static int
check_operands(const struct cli_command *cmd, char **argv, int count)
{
    char next[128];

    if (count >= cmd->operands_min && count <= cmd->operands_max)
        return CLI_GO_ON;
    (void)snprintf(next, sizeof(next), "usage: gossamer %s [OPTION...]%s%s", cmd->name,
                   cmd->operands[0] ? " " : "", cmd->operands);
    if (count > cmd->operands_max)
        return cli_fail(CLI_USAGE, next, "%s: \"%s\" is one word too many", cmd->name,
                        argv[cmd->operands_max + 1]);
    return cli_fail(CLI_USAGE, next, "%s: %s missing", cmd->name,
                    count == 0 ? "its operand is" : "an operand is");
}

struct cli_visitor *cli_visiting;

int
cli_parse(const struct cli_command *cmd, int argc, char **argv, int *operands)
{
    struct parse p = { cmd, argc, argv, 1 };
    bool only_operands = false;
    int count = 0;

    if (cli_visiting) {
        cli_visiting->command(cli_visiting, cmd);
        return CLI_GOOD;
    }
    while (p.at < argc) {
        char *word = argv[p.at++];
        int code = CLI_GO_ON;

        if (only_operands || word[0] != '-' || word[1] == '\0') { /* "-" is standard input */
            argv[++count] = word;
            GS_ASSERT(count < p.at);
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (word[1] == '-') {
            code = parse_long(&p, word);
        } else {
            code = parse_letters(&p, word);
        }
        if (code != CLI_GO_ON)
            return code;
    }
    *operands = count;
    return check_operands(cmd, argv, count);
}

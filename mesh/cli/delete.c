/* delete.c - `gossamer delete`: one object by name, or what the documents of files name. */
#include "mesh/cli/change.h"
#include "mesh/cli/files.h"

static int
delete_one(const struct change *c, const char *kind, const char *name)
{
    struct gs_buf path;
    int code;

    ask_path(&path, "objects");
    ask_segment(&path, kind);
    ask_segment(&path, c->ns ? c->ns : "-");
    ask_segment(&path, name);
    code = change_request(c, "DELETE", &path, GS_SLICE_NONE);
    gs_buf_fini(&path);
    return code;
}

static int
delete_files(const struct change *c, const struct cli_texts *names)
{
    struct gs_buf path, body = { 0 };
    struct files files;
    int code;

    files_init(&files);
    ask_path(&path, "delete");
    ask_param(&path, "namespace", c->ns);
    code = files_add_all(&files, "delete", names, NULL, 0);
    if (code == CLI_GO_ON)
        code = files_request(&files, "delete", &path, &body);
    if (code == CLI_GO_ON)
        code = change_request(c, "POST", &path, gs_buf_slice(&body));
    gs_buf_fini(&body);
    gs_buf_fini(&path);
    files_fini(&files);
    return code;
}

int
cmd_delete(int argc, char **argv)
{
    struct change c = CHANGE_DEFAULTS;
    struct cli_texts names = { .count = 0 };
    const struct cli_option table[] = {
        { 'f',
          "file",
          CLI_TEXTS,
          &names,
          "FILE",
          "a file, a folder, or - for standard input",
          { 0 } },
        CHANGE_OPTIONS(c),
    };
    const struct cli_command cmd = {
        .name = "delete",
        .operands = "KIND NAME | -f FILE",
        .help = "Delete an object, or all that these files name, together. What another object\n"
                "needs is kept unless --force: its share of requests is then answered 503.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_max = 2,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    if (operands == 2 && names.count == 0)
        return delete_one(&c, argv[1], argv[2]);
    if (operands == 0 && names.count > 0)
        return delete_files(&c, &names);
    return cli_fail(CLI_USAGE, "gossamer delete KIND NAME [-n NS], or gossamer delete -f FILE",
                    "delete: %s",
                    names.count > 0 ? "a kind and name, or files: not both"
                    : operands == 1 ? "the name is missing"
                                    : "of what kind, and which?");
}

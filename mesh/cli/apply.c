/* apply.c - `gossamer apply`: manifests of files take effect, all together or not at all. */
#include "mesh/cli/change.h"
#include "mesh/cli/files.h"

int
cmd_apply(int argc, char **argv)
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
        .name = "apply",
        .operands = "[FILE...]",
        .help = "Apply the VirtualServices and DestinationRules of these files (YAML or JSON, any\n"
                "number of documents). All of them take effect together, or none does; what is\n"
                "there already is left alone. Kinds of Kubernetes itself are skipped, one line\n"
                "each. Waits until the change is on disk and nodes route by it.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_max = CLI_TEXTS_MAX,
    };
    struct gs_buf path, body = { 0 };
    struct files files;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    files_init(&files);
    ask_path(&path, "apply");
    ask_param(&path, "namespace", c.ns);
    code = files_add_all(&files, "apply", &names, argv + 1, operands);
    if (code == CLI_GO_ON)
        code = files_request(&files, "apply", &path, &body);
    if (code == CLI_GO_ON)
        code = change_request(&c, "POST", &path, gs_buf_slice(&body));
    gs_buf_fini(&body);
    gs_buf_fini(&path);
    files_fini(&files);
    return code;
}

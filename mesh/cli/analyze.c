/* analyze.c - `gossamer analyze`: every finding about manifests in files, with no node; or about
 * what a node holds. Findings are what was asked for, so they go to standard output. */
#include <gossamer/json_out.h>
#include <gossamer/policy.h>
#include <gossamer/model.h>

#include "mesh/cli/ask.h"
#include "mesh/cli/files.h"

#define OUTPUT_BYTES_MAX (8u << 20)

struct analysis {
    struct manifest manifest;
    struct gs_problems problems;
};

static void
read_file(struct analysis *a, const struct files_item *f, const char *ns)
{
    struct manifest_options o = { .file = f->name, .ns = gs_slice_str(ns) };
    struct tree_docs docs;
    struct gs_arena arena;

    gs_arena_init(&arena, NULL, 0, 65536);
    if (tree_parse_yaml(f->bytes, f->name, &arena, &docs, &a->problems) == GS_E_OK &&
        manifest_read(&a->manifest, &docs, &o, &a->problems) != GS_E_OK)
        GS_ASSERT(a->problems.errors > 0);
    gs_arena_fini(&arena);
}

static void
count_line(struct gs_buf *out, size_t errors, size_t warnings, size_t objects, size_t skipped)
{
    (void)gs_buf_printf(out, "%zu error%s, %zu warning%s in %zu object%s", errors,
                        errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s", objects,
                        objects == 1 ? "" : "s");
    if (skipped > 0)
        (void)gs_buf_printf(out, ", %zu not ours", skipped);
    (void)gs_buf_put_str(out, "\n");
}

static void
print_findings(const struct analysis *a, enum cli_format format)
{
    struct json_out j;
    struct gs_buf out;

    gs_buf_init(&out, OUTPUT_BYTES_MAX);
    if (format == CLI_JSON || format == CLI_YAML) {
        json_init(&j, &out);
        json_obj(&j);
        cli_problems_json(&j, &a->problems);
        json_ku64(&j, "objects", a->manifest.count);
        json_ku64(&j, "skipped", a->manifest.skipped_count);
        json_obj_end(&j);
        cli_print_json(format, gs_buf_slice(&out));
    } else {
        cli_problems_print(&a->problems, &out);
        count_line(&out, a->problems.errors, a->problems.warnings, a->manifest.count,
                   a->manifest.skipped_count);
        cli_print(gs_buf_slice(&out));
    }
    gs_buf_fini(&out);
}

static int
analyze_files(const struct files *f, const char *ns, enum cli_format format)
{
    struct analysis a;
    int code;

    manifest_init(&a.manifest);
    gs_problems_init(&a.problems);
    for (size_t i = 0; i < f->count; i++)
        read_file(&a, &f->items[i], ns ? ns : "default");
    /* Also when some were refused: what is wrong between the others is worth knowing too. */
    model_analyze_files((const struct policy_object *const *)a.manifest.objects, a.manifest.count,
                        &a.problems);
    print_findings(&a, format);
    code = a.problems.errors > 0 ? CLI_REFUSED : CLI_GOOD;
    gs_problems_fini(&a.problems);
    manifest_fini(&a.manifest);
    return code;
}

/* ---- what a node holds ---- */

static size_t
print_list(const struct tree *root, const char *key, const char *severity)
{
    const struct tree *list = tree_find(root, key);
    size_t count = list && list->kind == TREE_SEQ ? list->count : 0;
    struct gs_buf out;

    gs_buf_init(&out, OUTPUT_BYTES_MAX);
    for (size_t i = 0; i < count; i++)
        ask_print_finding(list->items[i], severity, &out);
    if (count > 0)
        cli_print(gs_buf_slice(&out));
    gs_buf_fini(&out);
    return count;
}

static int
analyze_node(const char *socket, enum cli_format format)
{
    size_t errors, warnings;
    struct gs_buf path;
    struct ask a;
    int code;

    ask_init(&a, socket);
    ask_path(&path, "analyze");
    code = ask_node(&a, "GET", &path, GS_SLICE_NONE, ASK_MS);
    if (code == CLI_GO_ON && (a.status != 200 || !a.root)) {
        code = ask_refused(&a, format);
    } else if (code == CLI_GO_ON && (format == CLI_JSON || format == CLI_YAML)) {
        const struct tree *list = tree_find(a.root, "errors");

        cli_print_json(format, a.body);
        code = list && list->count > 0 ? CLI_REFUSED : CLI_GOOD;
    } else if (code == CLI_GO_ON) {
        errors = print_list(a.root, "errors", "error");
        warnings = print_list(a.root, "warnings", "warning");
        if (errors + warnings == 0)
            cli_print(GS_SLICE("nothing to say about what this node holds\n"));
        code = errors > 0 ? CLI_REFUSED : CLI_GOOD;
    }
    gs_buf_fini(&path);
    ask_fini(&a);
    return code;
}

int
cmd_analyze(int argc, char **argv)
{
    enum cli_format format = CLI_TABLE;
    struct cli_texts names = { .count = 0 };
    const char *socket = NULL, *ns = NULL;
    const struct cli_option table[] = {
        { 'f', "file", CLI_TEXTS, &names, "FILE", "the same as naming it without -f", { 0 } },
        { 'n',
          "namespace",
          CLI_TEXT,
          &ns,
          "NS",
          "where none is written (default: default)",
          { 0 } },
        CLI_SOCKET_OPTION(socket),
        CLI_FORMAT_OPTION(format),
    };
    const struct cli_command cmd = {
        .name = "analyze",
        .operands = "[FILE...]",
        .help = "Tell everything that is wrong with the manifests of these files, or allowed but\n"
                "probably not meant; no node is asked. Without files: what the node holds. Exit\n"
                "status 1 if there are errors.",
        .options = table,
        .option_count = GS_COUNT(table),
        .operands_max = CLI_TEXTS_MAX,
    };
    struct files files;
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    if (operands == 0 && names.count == 0)
        return analyze_node(socket, format);
    files_init(&files);
    code = files_add_all(&files, "analyze", &names, argv + 1, operands);
    if (code == CLI_GO_ON)
        code = analyze_files(&files, ns, format);
    files_fini(&files);
    return code;
}

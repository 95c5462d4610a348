/* files.c - reading manifests, whole, before anything is sent. */
#include "mesh/cli/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

#include "mesh/cli/ask.h"
#include "mesh/parts.h"

#define FILES_MAX 1024 /* of a folder */

void
files_init(struct files *f)
{
    *f = (struct files){ 0 };
    gs_arena_init(&f->arena, NULL, 0, 65536);
}

void
files_fini(struct files *f)
{
    gs_free(f->items);
    gs_arena_fini(&f->arena);
}

static void
add(struct files *f, const char *name, struct gs_slice bytes)
{
    if (f->count == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 8;
        f->items = gs_realloc(f->items, f->cap * sizeof(*f->items));
    }
    f->items[f->count++] = (struct files_item){ name, gs_arena_copy(&f->arena, bytes) };
    f->bytes += bytes.len;
}

static int
too_many_bytes(const char *verb)
{
    return cli_fail(CLI_REFUSED, "give it fewer files at a time",
                    "%s: the files hold more than %u bytes, the most that one request takes", verb,
                    ADMIN_BODY_MAX);
}

static int
read_whole(struct files *f, const char *verb, const char *name, int fd)
{
    struct gs_buf bytes;
    int code = CLI_GO_ON;

    gs_buf_init(&bytes, ADMIN_BODY_MAX + 65536);
    while (code == CLI_GO_ON) {
        char *at = gs_buf_reserve(&bytes, 65536);
        ssize_t n = at ? read(fd, at, 65536) : 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code =
                cli_fail(CLI_REFUSED, NULL, "%s: cannot read %s: %s", verb, name, strerror(errno));
        else if (!at || f->bytes + bytes.len + (size_t)n > ADMIN_BODY_MAX)
            code = too_many_bytes(verb);
        else if (n == 0)
            break;
        else
            gs_buf_grew(&bytes, (size_t)n);
    }
    if (code == CLI_GO_ON)
        add(f, name, gs_buf_slice(&bytes));
    gs_buf_fini(&bytes);
    return code;
}

static int
add_file(struct files *f, const char *verb, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int code;

    if (fd < 0)
        return cli_fail(CLI_REFUSED, NULL, "%s: cannot open %s: %s", verb, path, strerror(errno));
    code = read_whole(f, verb, path, fd);
    (void)close(fd);
    return code;
}

/* ---- folders ---- */

static bool
is_manifest(const char *name)
{
    struct gs_slice s = gs_slice_str(name);

    return name[0] != '.' &&
           (gs_slice_ends(s, GS_SLICE(".yaml")) || gs_slice_ends(s, GS_SLICE(".yml")) ||
            gs_slice_ends(s, GS_SLICE(".json")));
}

static int
by_name(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;

    return strcmp(*x, *y);
}

static size_t
list_folder(struct files *f, DIR *dir, const char *path, const char *names[FILES_MAX])
{
    size_t count = 0;
    const struct dirent *entry;

    while ((entry = readdir(dir)) && count < FILES_MAX) {
        const char *slash = gs_slice_ends(gs_slice_str(path), GS_SLICE("/")) ? "" : "/";
        struct stat st;

        if (!is_manifest(entry->d_name))
            continue;
        names[count] = gs_arena_printf(&f->arena, "%s%s%s", path, slash, entry->d_name);
        count += stat(names[count], &st) != 0 || S_ISREG(st.st_mode);
    }
    if (count > 0)
        qsort(names, count, sizeof(names[0]), by_name);
    return count;
}

static int
add_folder(struct files *f, const char *verb, const char *path)
{
    const char *names[FILES_MAX];
    DIR *dir = opendir(path);
    int code = CLI_GO_ON;
    size_t count;

    if (!dir)
        return cli_fail(CLI_REFUSED, NULL, "%s: cannot open %s: %s", verb, path, strerror(errno));
    count = list_folder(f, dir, path, names);
    (void)closedir(dir);
    if (count == 0)
        return cli_fail(CLI_REFUSED, "folders in it are not looked into: name them too",
                        "%s: %s holds no .yaml, .yml or .json file", verb, path);
    for (size_t i = 0; i < count && code == CLI_GO_ON; i++)
        code = add_file(f, verb, names[i]);
    return code;
}

int
files_add(struct files *f, const char *verb, const char *path)
{
    struct stat st;

    if (strcmp(path, "-") != 0)
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? add_folder(f, verb, path)
                                                           : add_file(f, verb, path);
    if (f->stdin_read)
        return cli_fail(CLI_USAGE, NULL, "%s: standard input is named twice", verb);
    f->stdin_read = true;
    return read_whole(f, verb, "<stdin>", STDIN_FILENO);
}

int
files_add_all(struct files *f, const char *verb, const struct cli_texts *options, char **operands,
              int operand_count)
{
    int code = CLI_GO_ON;

    if (options->count == 0 && operand_count == 0)
        return cli_fail(CLI_USAGE, "-f FILE, -f FOLDER, or -f - for standard input",
                        "%s: which file?", verb);
    for (size_t i = 0; i < options->count && code == CLI_GO_ON; i++)
        code = files_add(f, verb, options->items[i]);
    for (int i = 0; i < operand_count && code == CLI_GO_ON; i++)
        code = files_add(f, verb, operands[i]);
    return code;
}

int
files_request(const struct files *f, const char *verb, struct gs_buf *path, struct gs_buf *body)
{
    char count[24];

    GS_ASSERT(f->count > 0);
    gs_buf_init(body, ADMIN_BODY_MAX);
    if (f->count == 1) {
        ask_param(path, "name", f->items[0].name);
        (void)gs_buf_put_slice(body, f->items[0].bytes);
        return CLI_GO_ON;
    }
    (void)snprintf(count, sizeof(count), "%zu", f->count);
    ask_param(path, "files", count);
    for (size_t i = 0; i < f->count; i++) {
        struct part p = { gs_slice_str(f->items[i].name), f->items[i].bytes };

        parts_put(body, &p);
    }
    return body->failed ? too_many_bytes(verb) : CLI_GO_ON;
}

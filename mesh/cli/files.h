/* files.h - the manifests that a verb is given: files, folders, standard input. */
#pragma once

#include <gossamer/arena.h>

#include "mesh/cli/cli.h"

struct files_item {
    const char *name; /* as typed; "<stdin>" */
    struct gs_slice bytes;
};

struct files {
    struct gs_arena arena;
    struct files_item *items;
    size_t count, cap;
    size_t bytes;
    bool stdin_read;
};

void files_init(struct files *f);
void files_fini(struct files *f);
/* "-", a file, or a folder: its .yaml, .yml and .json files by name, not those of its folders.
 * returns CLI_GO_ON, or the exit code, told */
int files_add(struct files *f, const char *verb, const char *path);
/* All of them; at least one is demanded. */
int files_add_all(struct files *f, const char *verb, const struct cli_texts *options,
                  char **operands, int operand_count);
/* As the admin API takes them: one as it stands, several as parts.h says. */
int files_request(const struct files *f, const char *verb, struct gs_buf *path,
                  struct gs_buf *body);

/* replay.c - feeds the files of the folders given to a fuzz target, once each. It stands in for
 * libFuzzer, so that past crashers and seeds are tests on every machine and compiler. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES_MAX (1u << 20) /* libFuzzer keeps inputs far smaller */

/* Each input lies in an allocation of exactly its size: sanitizers see the first byte too many. */
static void
feed(const char *bytes, size_t size)
{
    uint8_t *data = calloc(1, size > 0 ? size : 1);

    if (!data)
        abort();
    memcpy(data, bytes, size);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int
replay_file(const char *path)
{
    static char bytes[INPUT_BYTES_MAX];
    FILE *f = fopen(path, "rb");
    size_t size;
    int failed;

    if (!f) {
        perror(path);
        return -1;
    }
    size = fread(bytes, 1, sizeof(bytes), f);
    failed = ferror(f);
    (void)fclose(f);
    if (failed || size == sizeof(bytes)) {
        (void)fprintf(stderr, "%s: cannot be read, or holds 1 MiB or more\n", path);
        return -1;
    }
    /* Told before, so that the last line names the input that crashed. */
    (void)printf("%s\n", path);
    (void)fflush(stdout);
    feed(bytes, size);
    return 0;
}

/* The number of inputs replayed, or -1. */
static int
replay_folder(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    int replayed = 0;

    if (count < 0) {
        perror(path);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        int len = snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);

        if (names[i]->d_name[0] == '.' || replayed < 0)
            continue;
        if (len < 0 || (size_t)len >= sizeof(file) || replay_file(file) < 0)
            replayed = -1;
        else
            replayed++;
    }
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return replayed;
}

int
main(int argc, char **argv)
{
    int total = 0;

    feed("", 0);
    for (int i = 1; i < argc; i++) {
        int replayed = replay_folder(argv[i]);

        if (replayed < 0)
            return 1;
        total += replayed;
    }
    (void)printf("%d inputs replayed\n", total);
    if (total == 0) { /* a replay of nothing would pass for ever */
        (void)fprintf(stderr, "no inputs: usage: %s FOLDER...\n", argv[0]);
        return 1;
    }
    return 0;
}

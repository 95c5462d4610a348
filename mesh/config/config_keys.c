/* config_keys.c - the gossip key ring in a file. Secrets: what was read is wiped. */
#include "mesh/config/config.h"

#include <string.h>
#include <sys/stat.h>

#include <gossamer/alloc.h>
#include <gossamer/limits.h>

#include "mesh/config/codes.h"
#include "mesh/config/config_file.h"

#define KEY_TEXT_BYTES 44 /* base64 of 32 bytes, with its one `=` */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
config_key_text(const uint8_t key[CONFIG_KEY_BYTES], char out[CONFIG_KEY_TEXT])
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t wrote = 0;

    _Static_assert(CONFIG_KEY_TEXT == KEY_TEXT_BYTES + 1, "NUL behind");
    for (size_t i = 0; i < CONFIG_KEY_BYTES; i++) {
        bits = bits << 8 | key[i];
        for (have += 8; have >= 6; have -= 6)
            out[wrote++] = digits[bits >> (have - 6) & 63];
    }
    out[wrote++] = digits[bits << (6 - have) & 63];
    out[wrote++] = '=';
    out[wrote] = '\0';
    GS_ASSERT(wrote == KEY_TEXT_BYTES);
}

static int
sextet(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* RFC 4648 4, strictly: the bits that pad the last byte must be 0. */
static bool
decode_key(struct gs_slice text, uint8_t out[CONFIG_KEY_BYTES])
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t wrote = 0;

    if (text.len != KEY_TEXT_BYTES || text.ptr[KEY_TEXT_BYTES - 1] != '=')
        return false;
    for (size_t i = 0; i < KEY_TEXT_BYTES - 1; i++) {
        int v = sextet(text.ptr[i]);

        if (v < 0)
            return false;
        bits = (bits << 6 | (uint32_t)v) & 0xffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            GS_ASSERT(wrote < CONFIG_KEY_BYTES);
            out[wrote++] = (uint8_t)(bits >> have);
        }
    }
    GS_ASSERT(wrote == CONFIG_KEY_BYTES);
    return (bits & ((1u << have) - 1)) == 0;
}

static bool
known(const struct config_keys *k, const uint8_t key[CONFIG_KEY_BYTES])
{
    for (size_t i = 0; i < k->count; i++) {
        if (memcmp(k->items[i], key, CONFIG_KEY_BYTES) == 0)
            return true;
    }
    return false;
}

static void
refuse(struct gs_problems *problems, const char *path, unsigned line, const char *what)
{
    struct gs_problem *item = gs_problems_add(problems, GS_SEV_ERROR, CODE_CONFIG_KEYS, path, line,
                                              line ? 1 : 0, NULL, "%s", what);

    gs_problem_hint(problems, item, "gossamer keys generate prints a key");
}

static void
take_line(struct config_keys *k, struct gs_slice text, const char *path, unsigned line,
          struct gs_problems *problems)
{
    uint8_t key[CONFIG_KEY_BYTES];

    if (gs_slice_ends(text, GS_SLICE("\r")))
        text.len--;
    text = gs_slice_trim(text);
    if (text.len == 0 || text.ptr[0] == '#')
        return;
    if (!decode_key(text, key))
        refuse(problems, path, line, "no key: base64 of 32 bytes is due, one key a line");
    else if (known(k, key))
        refuse(problems, path, line, "this key is there already");
    else if (k->count == GOSSIP_KEYS_MAX)
        refuse(problems, path, line, "too many keys, at most 16 are taken");
    else
        memcpy(k->items[k->count++], key, sizeof(key));
    explicit_bzero(key, sizeof(key));
}

/* Whoever reads a key is a node of the mesh. A pipe (`<(pass show mesh)`) is nobody else's. */
static void
check_mode(const char *path, struct gs_problems *problems)
{
    enum gs_severity severity;
    struct gs_problem *item;
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 066))
        return;
    severity = st.st_mode & 06 ? GS_SEV_ERROR : GS_SEV_WARNING;
    item = gs_problems_add(problems, severity, CODE_CONFIG_KEYS, path, 0, 0, NULL,
                           "%s (mode %03o), and who has a key of it is a node of the mesh",
                           st.st_mode & 06 ? "it is open to everybody" : "it is open to a group",
                           (unsigned)st.st_mode & 0777);
    gs_problem_hint(problems, item, "chmod 600 %s; if somebody may have read it, take a new key",
                    path);
}

gs_err
config_load_keys(const char *path, struct config_keys *out, struct gs_problems *problems)
{
    struct config_keys k = { gs_calloc(GOSSIP_KEYS_MAX, CONFIG_KEY_BYTES), 0 };
    size_t errors_before = problems->errors;
    struct gs_slice rest, line;
    struct gs_buf text;
    struct gs_why why;

    _Static_assert(GOSSIP_KEYS_MAX == 16, "named in a message");
    gs_buf_init(&text, CONFIG_KEY_FILE_BYTES_MAX);
    /* Room is made once, so that no copy of a secret is left in memory given back. */
    GS_ASSERT(gs_buf_reserve(&text, CONFIG_KEY_FILE_BYTES_MAX));
    if (config_file_read(path, CONFIG_FILE_ANY, &text, &why) != GS_E_OK) {
        refuse(problems, path, 0, why.text);
    } else {
        check_mode(path, problems);
        rest = gs_buf_slice(&text);
        for (unsigned n = 1; gs_slice_cut(&rest, '\n', &line); n++)
            take_line(&k, line, path, n, problems);
        if (k.count == 0 && problems->errors == errors_before)
            refuse(problems, path, 0, "there is no key in it");
    }
    explicit_bzero(text.ptr, text.cap);
    gs_buf_fini(&text);
    if (problems->errors > errors_before) {
        config_keys_fini(&k);
        return GS_E_INVALID;
    }
    *out = k;
    return GS_E_OK;
}

void
config_keys_fini(struct config_keys *k)
{
    if (!k || !k->items)
        return;
    explicit_bzero(k->items, GOSSIP_KEYS_MAX * CONFIG_KEY_BYTES);
    gs_free(k->items);
    *k = (struct config_keys){ 0 };
}

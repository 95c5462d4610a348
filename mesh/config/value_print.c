/* value_print.c - values in memory back to text, and types described for people. What is printed
 * here value.c reads as the same value. */
#include "mesh/config/value.h"

#include <inttypes.h>

#include <gossamer/json_out.h>

#include "mesh/config/config.h"

bool
value_present(const struct value_type *type, const void *value)
{
    const char *text;
    uint32_t number;

    switch (type->kind) {
    case VALUE_STRING:
    case VALUE_LABEL:
    case VALUE_HOST:
    case VALUE_PATH:
    case VALUE_URLPATH:
        memcpy(&text, value, sizeof(text));
        return text != NULL;
    case VALUE_UINT:
        memcpy(&number, value, sizeof(number));
        return number != CONFIG_UINT_NONE;
    case VALUE_BOOL:
    case VALUE_DURATION:
    case VALUE_WORD:
        return true;
    case VALUE_ADDRESS:
        return ((const struct gs_addr *)value)->family != 0;
    case VALUE_RANGE:
        return ((const struct config_range *)value)->base.family != 0;
    case VALUE_ADDRESSES:
        return ((const struct config_addrs *)value)->count > 0;
    case VALUE_TARGETS:
        return ((const struct config_targets *)value)->count > 0;
    case VALUE_LABELS:
        return ((const struct config_labels *)value)->count > 0;
    case VALUE_LIST:
        return ((const struct config_services *)value)->count > 0; /* the shape of every list */
    }
    GS_UNREACHABLE("kind of a value");
}

static void
print_quoted(const char *text, struct gs_buf *out)
{
    struct json_out j;

    json_init(&j, out);
    json_str(&j, text); /* JSON's strings are YAML's in double quotes */
}

static void
print_word(const char *words, uint32_t number, struct gs_buf *out)
{
    struct gs_slice rest = gs_slice_str(words);
    struct gs_slice part = GS_SLICE("");

    for (uint32_t i = 0; i <= number; i++)
        GS_ASSERT(gs_slice_cut(&rest, '|', &part));
    (void)gs_buf_put_slice(out, part);
}

static void
print_duration(uint64_t ms, struct gs_buf *out)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

    if (ms == 0)
        (void)gs_buf_put_str(out, "0");
    for (size_t i = 0; i < GS_COUNT(units); i++) {
        if (ms >= units[i].ms)
            (void)gs_buf_printf(out, "%" PRIu64 "%s", ms / units[i].ms, units[i].name);
        ms %= units[i].ms;
    }
}

static void
print_addresses(const struct config_addrs *list, struct gs_buf *out)
{
    char text[GS_ADDR_TEXT];

    (void)gs_buf_put_str(out, "[");
    for (size_t i = 0; i < list->count; i++)
        (void)gs_buf_printf(out, "%s\"%s\"", i ? ", " : "", gs_addr_text(&list->items[i], text));
    (void)gs_buf_put_str(out, "]");
}

static void
print_targets(const struct config_targets *list, struct gs_buf *out)
{
    (void)gs_buf_put_str(out, "[");
    for (size_t i = 0; i < list->count; i++) {
        const struct config_target *t = &list->items[i];
        bool v6 = strchr(t->host, ':') != NULL;

        (void)gs_buf_printf(out, "%s\"http%s://%s%s%s:%u\"", i ? ", " : "", t->tls ? "s" : "",
                            v6 ? "[" : "", t->host, v6 ? "]" : "", t->port);
    }
    (void)gs_buf_put_str(out, "]");
}

static void
print_labels(const struct config_labels *list, struct gs_buf *out)
{
    (void)gs_buf_put_str(out, "{");
    for (size_t i = 0; i < list->count; i++) {
        (void)gs_buf_put_str(out, i ? ", " : "");
        print_quoted(list->items[i].name, out);
        (void)gs_buf_put_str(out, ": ");
        print_quoted(list->items[i].value, out);
    }
    (void)gs_buf_put_str(out, "}");
}

static void
print_address(const struct gs_addr *a, struct gs_buf *out)
{
    char text[GS_ADDR_TEXT];

    /* A bracket would start a list in YAML. */
    (void)gs_buf_printf(out, a->family == 6 ? "\"%s\"" : "%s", gs_addr_text(a, text));
}

static void
print_range(const struct config_range *r, struct gs_buf *out)
{
    (void)gs_buf_printf(out, "%u.%u.%u.%u/%u", r->base.ip[0], r->base.ip[1], r->base.ip[2],
                        r->base.ip[3], r->bits);
}

static void
print_number(const struct value_type *type, const void *value, struct gs_buf *out)
{
    uint32_t number;

    memcpy(&number, value, sizeof(number));
    if (type->kind == VALUE_WORD)
        print_word(type->words, number, out);
    else if (number == 0 && type->words)
        (void)gs_buf_put_str(out, type->words);
    else
        (void)gs_buf_printf(out, "%" PRIu32, number);
}

void
value_print(const struct value_type *type, const void *value, struct gs_buf *out)
{
    const char *text;
    uint64_t ms;

    GS_ASSERT(value_present(type, value));
    switch (type->kind) {
    case VALUE_STRING:
    case VALUE_LABEL:
    case VALUE_HOST:
    case VALUE_PATH:
    case VALUE_URLPATH:
        memcpy(&text, value, sizeof(text));
        print_quoted(text, out);
        return;
    case VALUE_BOOL:
        (void)gs_buf_put_str(out, *(const bool *)value ? "true" : "false");
        return;
    case VALUE_UINT:
    case VALUE_WORD:
        print_number(type, value, out);
        return;
    case VALUE_DURATION:
        memcpy(&ms, value, sizeof(ms));
        print_duration(ms, out);
        return;
    case VALUE_ADDRESS:
        print_address(value, out);
        return;
    case VALUE_RANGE:
        print_range(value, out);
        return;
    case VALUE_ADDRESSES:
        print_addresses(value, out);
        return;
    case VALUE_TARGETS:
        print_targets(value, out);
        return;
    case VALUE_LABELS:
        print_labels(value, out);
        return;
    case VALUE_LIST:
        break;
    }
    GS_UNREACHABLE("a list of objects has no text of its own");
}

static void
describe_words(const char *words, struct gs_buf *out)
{
    struct gs_slice rest = gs_slice_str(words);
    struct gs_slice part;
    const char *between = "";

    while (gs_slice_cut(&rest, '|', &part)) {
        (void)gs_buf_printf(out, "%s%.*s", between, GS_SLICE_FMT(part));
        between = "|";
    }
}

void
value_describe(const struct value_type *type, struct gs_buf *out)
{
    switch (type->kind) {
    case VALUE_BOOL:
        (void)gs_buf_put_str(out, "true|false");
        return;
    case VALUE_WORD:
        describe_words(type->words, out);
        return;
    case VALUE_UINT:
        (void)gs_buf_printf(out, "%" PRIu64 " to %" PRIu64 "%s%s", type->min, type->max,
                            type->words ? " or " : "", type->words ? type->words : "");
        return;
    case VALUE_DURATION:
        print_duration(type->min, out);
        (void)gs_buf_put_str(out, " to ");
        print_duration(type->max, out);
        return;
    case VALUE_ADDRESS:
        (void)gs_buf_put_str(out, "ADDRESS:PORT");
        return;
    case VALUE_ADDRESSES:
        (void)gs_buf_put_str(out, "[ADDRESS:PORT, ...]");
        return;
    case VALUE_RANGE:
        (void)gs_buf_put_str(out, "ADDRESS/BITS");
        return;
    case VALUE_TARGETS:
        (void)gs_buf_put_str(out, "[http[s]://HOST[:PORT], ...]");
        return;
    case VALUE_LABELS:
        (void)gs_buf_put_str(out, "{NAME: \"VALUE\", ...}");
        return;
    case VALUE_PATH:
        (void)gs_buf_put_str(out, "/PATH");
        return;
    case VALUE_URLPATH:
        (void)gs_buf_put_str(out, "/path");
        return;
    case VALUE_STRING:
    case VALUE_LABEL:
    case VALUE_HOST:
        (void)gs_buf_put_str(out, "NAME");
        return;
    case VALUE_LIST:
        (void)gs_buf_put_str(out, "list");
        return;
    }
    GS_UNREACHABLE("kind of a value");
}

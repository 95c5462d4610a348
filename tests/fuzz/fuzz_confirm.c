/* fuzz_confirm.c - what is to be confirmed, as another node may ask it: the list of a request line.
 * It is refused, or it is sorted, within its bounds, and written again reads back as the same; and
 * the same bytes taken for items are written as a list that is no different. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include <gossamer/limits.h>

#include "mesh/confirm.h"

#define ITEM_BYTES 23 /* that the input is cut into */

static void
check_same(const struct confirm_item *a, const struct confirm_item *b)
{
    GS_ASSERT(a->key == b->key);
    GS_ASSERT(a->generation == b->generation);
    GS_ASSERT(a->hlc == b->hlc);
    GS_ASSERT(a->writer == b->writer);
    GS_ASSERT(a->flags == b->flags);
}

static void
check_sorted(const struct confirm_item *items, size_t count)
{
    GS_ASSERT(count > 0);
    GS_ASSERT(count <= APPLY_OBJECTS_MAX);
    for (size_t i = 0; i < count; i++) {
        GS_ASSERT(items[i].key >> 48 == 0);
        GS_ASSERT(items[i].generation <= CONFIRM_GENERATION_MAX);
        GS_ASSERT(i == 0 || items[i - 1].key <= items[i].key);
    }
}

/* The text of a list is as long as its items are many: there is one way to write them. */
static void
as_text(struct gs_slice text)
{
    struct confirm_item items[APPLY_OBJECTS_MAX], again[APPLY_OBJECTS_MAX];
    size_t count, count_again;
    struct gs_buf out;

    if (confirm_list_read(text, items, &count) != GS_E_OK)
        return;
    check_sorted(items, count);
    gs_buf_init(&out, MUX_HEADER_BYTES_MAX);
    confirm_list_put(&out, items, count);
    GS_ASSERT(!out.failed);
    GS_ASSERT(out.len == text.len);
    GS_ASSERT(confirm_list_read(gs_buf_slice(&out), again, &count_again) == GS_E_OK);
    GS_ASSERT(count == count_again);
    check_sorted(again, count);
    for (size_t i = 0; i < count; i++) {
        if ((i == 0 || items[i - 1].key != items[i].key) &&
            (i + 1 == count || items[i + 1].key != items[i].key)) /* else in any order */
            check_same(&items[i], &again[i]);
    }
    gs_buf_fini(&out);
}

static struct confirm_item
item_of(const uint8_t *bytes)
{
    uint64_t numbers[2];

    memcpy(numbers, bytes, sizeof(numbers));
    return (struct confirm_item){
        .key = confirm_key(gs_slice((const char *)bytes, ITEM_BYTES)),
        .generation = numbers[0] & CONFIRM_GENERATION_MAX,
        .hlc = numbers[1],
        .writer = (uint16_t)(bytes[16] << 8 | bytes[17]),
        .flags = bytes[18],
    };
}

static void
as_items(const uint8_t *data, size_t size)
{
    struct confirm_item items[APPLY_OBJECTS_MAX], read[APPLY_OBJECTS_MAX];
    size_t count = 0, count_read;
    struct gs_buf out;

    for (; count < APPLY_OBJECTS_MAX && size >= ITEM_BYTES; size -= ITEM_BYTES, data += ITEM_BYTES)
        items[count++] = item_of(data);
    if (count == 0)
        return;
    gs_buf_init(&out, MUX_HEADER_BYTES_MAX);
    confirm_list_put(&out, items, count);
    GS_ASSERT(!out.failed);
    GS_ASSERT(confirm_list_read(gs_buf_slice(&out), read, &count_read) == GS_E_OK);
    GS_ASSERT(count == count_read);
    check_sorted(read, count);
    if (count == 1)
        check_same(&items[0], &read[0]);
    gs_buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_text(gs_slice(data, size));
    as_items(data, size);
    return 0;
}

/* json_out.h - a streaming JSON writer: commas, nesting and escapes, no tree.
 * Short names on purpose: jansson exports json_object, json_array and json_null, and a program's
 * own function of such a name would be called by that library in place of its own. */
#pragma once

#include <gossamer/buf.h>

struct json_out {
    struct gs_buf *out;
    uint32_t depth;
    uint64_t has_items; /* bit per depth */
    bool after_key;
};

void json_init(struct json_out *j, struct gs_buf *out);
void json_obj(struct json_out *j);
void json_obj_end(struct json_out *j);
void json_arr(struct json_out *j);
void json_arr_end(struct json_out *j);
void json_key(struct json_out *j, const char *key);
void json_str(struct json_out *j, const char *s);       /* NULL writes null */
void json_slice(struct json_out *j, struct gs_slice s); /* bytes that are no UTF-8 become U+FFFD */
void json_u64(struct json_out *j, uint64_t v);
void json_i64(struct json_out *j, int64_t v);
void json_double(struct json_out *j, double v); /* at most 3 decimals; not finite: null */
void json_bool(struct json_out *j, bool v);
void json_nil(struct json_out *j);
void json_raw(struct json_out *j, struct gs_slice text); /* already JSON */
/* key and value in one call */
void json_kstr(struct json_out *j, const char *key, const char *v);
void json_kslice(struct json_out *j, const char *key, struct gs_slice v);
void json_ku64(struct json_out *j, const char *key, uint64_t v);
void json_kdouble(struct json_out *j, const char *key, double v);
void json_kbool(struct json_out *j, const char *key, bool v);

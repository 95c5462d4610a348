/* answer.c - the answers that the proxy makes itself: the reason as status, as Proxy-Status (RFC
 * 9209) and as a line of text. Between nodes they also tell what became of the request. */
#include <gossamer/http.h>

#include <gossamer/buf.h>

static void
put_quoted(struct gs_buf *out, const char *s)
{
    for (; *s; s++) { /* an RFC 8941 string: printable ASCII, two escapes */
        if (*s == '"' || *s == '\\')
            gs_buf_put(out, "\\", 1);
        if (*s >= 0x20 && *s < 0x7f)
            gs_buf_put(out, s, 1);
    }
}

static const char *
phrase_of(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 408:
        return "Request Timeout";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 421:
        return "Misdirected Request";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Refused";
    }
}

static void
put_proxy_status(struct gs_buf *out, const struct own_answer *a, const struct reason_info *info)
{
    gs_buf_printf(out, "%s; error=%s; details=\"%s%s%s ", a->via, info->error, info->flag,
                  a->retries_used ? "," : "",
                  a->retries_used ? reason_info(REASON_RETRIES_USED)->flag : "");
    put_quoted(out, a->details ? a->details : info->text);
    gs_buf_put_str(out, "\"");
}

void
answer_own(struct side *answer, const struct own_answer *a)
{
    const struct reason_info *info = reason_info(a->reason);
    struct field fields[3] = { 0 };
    struct head h = { .status = info->status, .framing = FRAMING_LENGTH, .has_length = true };
    struct gs_buf status;
    struct gs_buf text;

    GS_ASSERT(info->status > 0);
    GS_ASSERT(info->error);
    GS_ASSERT(a->via);
    gs_buf_init(&status, 1024);
    gs_buf_init(&text, 1024);
    gs_buf_printf(&text, "%s: %s%s%s\n", a->via, info->text, a->details ? ": " : "",
                  a->details ? a->details : "");
    put_proxy_status(&status, a, info);
    fields[0] = (struct field){ .name = GS_SLICE("proxy-status"), .value = gs_buf_slice(&status) };
    fields[1] = (struct field){ .name = GS_SLICE("content-type"),
                                .value = GS_SLICE("text/plain; charset=utf-8") };
    fields[2] =
        (struct field){ .name = GS_SLICE("gossamer-outcome"), .value = gs_slice_str(a->outcome) };
    h.fields = fields;
    h.count = a->outcome ? 3 : 2;
    h.length = text.len;
    h.phrase = gs_slice_str(phrase_of(info->status));
    if (a->to_head)
        h.framing = FRAMING_NONE;
    answer->ops->head(answer, &h);
    if (!a->to_head)
        answer->ops->data(answer, gs_buf_slice(&text));
    answer->ops->end(answer);
    gs_buf_fini(&status);
    gs_buf_fini(&text);
}

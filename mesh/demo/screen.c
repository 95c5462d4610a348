/* screen.c - escape codes and termios. The block is erased by going up as many lines as were drawn,
 * so none of its lines may wrap: they are cut to the width. After a change of size nobody knows
 * where they went; then all is written anew. */
#include "mesh/demo/screen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <gossamer/alloc.h>

#include "mesh/cli/cli.h"

#define LINE_BYTES_MAX 4096
#define BLOCK_BYTES_MAX 65536
#define OUT_BYTES_MAX (1u << 20)
#define ROWS_UNKNOWN 24
#define COLUMNS_UNKNOWN 80

static void
measure(struct screen *s)
{
    struct winsize w = { 0 };
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;

    s->rows = known && w.ws_row > 0 ? w.ws_row : ROWS_UNKNOWN;
    s->columns = known && w.ws_col > 0 ? w.ws_col : COLUMNS_UNKNOWN;
    GS_ASSERT(s->rows > 0);
    GS_ASSERT(s->columns > 0);
}

static void
write_out(struct screen *s, const struct gs_buf *out)
{
    GS_ASSERT(!out->failed);
    if (s->silent)
        return;
    if (s->error != 0)
        return; /* the first failure is told in the end, and why */
    cli_print(gs_buf_slice(out));
    if (ferror(stdout) || fflush(stdout) != 0)
        s->error = errno;
}

/* ---- the block ---- */

/* The cursor stands at the end of its last line. */
static void
erase(struct screen *s, struct gs_buf *out)
{
    if (s->drawn == 0)
        return;
    (void)gs_buf_put_str(out, "\r");
    if (s->drawn > 1)
        (void)gs_buf_printf(out, "\x1b[%uA", s->drawn - 1);
    (void)gs_buf_put_str(out, "\x1b[J");
    s->drawn = 0;
}

/* Bytes of the line up to so many characters; codes of colour have no width. */
static size_t
fitting(struct gs_slice line, unsigned columns)
{
    unsigned width = 0;

    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] == '\x1b') {
            while (i < line.len && line.ptr[i] != 'm')
                i++;
        } else if (((unsigned char)line.ptr[i] & 0xc0) != 0x80 && ++width > columns) {
            return i;
        }
    }
    return line.len;
}

static void
draw(struct screen *s, struct gs_buf *out)
{
    struct gs_slice rest = gs_buf_slice(&s->block);
    struct gs_slice line;

    GS_ASSERT(s->drawn == 0);
    if (!s->live)
        return;
    while (rest.len > 0 && s->drawn + 1 < s->rows && gs_slice_cut(&rest, '\n', &line)) {
        size_t len = fitting(line, s->columns - 1); /* the last column would wrap on some */

        (void)gs_buf_printf(out, "%s%.*s%s", s->drawn > 0 ? "\n" : "", (int)len, line.ptr,
                            len < line.len && s->colour ? "\x1b[0m" : "");
        s->drawn++;
    }
    GS_ASSERT(s->drawn == 0 || s->drawn < s->rows);
}

void
screen_block(struct screen *s, struct gs_slice text)
{
    struct gs_buf out;

    if (gs_slice_eq(text, gs_buf_slice(&s->block)) && (s->drawn > 0) == (text.len > 0))
        return; /* it stands there */
    gs_buf_init(&out, OUT_BYTES_MAX);
    erase(s, &out);
    gs_buf_clear(&s->block);
    (void)gs_buf_put_slice(&s->block, text);
    GS_ASSERT(!s->block.failed);
    draw(s, &out);
    if (s->live)
        write_out(s, &out);
    gs_buf_fini(&out);
}

/* ---- lines ---- */

static void
keep(struct screen *s, struct gs_slice text)
{
    struct gs_slice line;

    while (text.len > 0 && gs_slice_cut(&text, '\n', &line)) {
        struct gs_buf *b = &s->kept[s->kept_next++ % SCREEN_KEPT_LINES];

        gs_buf_clear(b);
        (void)gs_buf_put(b, line.ptr, line.len < LINE_BYTES_MAX ? line.len : LINE_BYTES_MAX);
    }
}

void
screen_say(struct screen *s, struct gs_slice text)
{
    struct gs_buf out;

    if (s->silent || text.len == 0)
        return;
    gs_buf_init(&out, OUT_BYTES_MAX);
    if (s->live)
        keep(s, text);
    erase(s, &out);
    (void)gs_buf_put_slice(&out, text);
    draw(s, &out);
    write_out(s, &out);
    gs_buf_fini(&out);
}

void
screen_resized(struct screen *s)
{
    unsigned from = s->kept_next > SCREEN_KEPT_LINES ? s->kept_next - SCREEN_KEPT_LINES : 0;
    struct gs_buf out;

    if (!s->live)
        return;
    measure(s);
    gs_buf_init(&out, OUT_BYTES_MAX);
    (void)gs_buf_put_str(&out, "\x1b[2J\x1b[H");
    s->drawn = 0;
    for (unsigned i = from; i < s->kept_next; i++) {
        (void)gs_buf_put_slice(&out, gs_buf_slice(&s->kept[i % SCREEN_KEPT_LINES]));
        (void)gs_buf_put_str(&out, "\n");
    }
    draw(s, &out);
    write_out(s, &out);
    gs_buf_fini(&out);
}

/* ---- life ---- */

/* Keys come one by one and unseen. Ctrl-C stays a signal; Ctrl-Z would leave the terminal so. */
static void
read_keys(struct screen *s)
{
    struct termios *t = gs_zalloc(sizeof(*t));
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, t) != 0) {
        gs_free(t);
        return;
    }
    raw = *t;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;
    GS_ASSERT(!s->terminal);
    s->terminal = t;
    s->keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void
screen_init(struct screen *s, bool silent, bool by_hand)
{
    const char *term = getenv("TERM");

    *s = (struct screen){ .silent = silent, .colour = !silent && cli_colour(stdout) };
    s->live = !silent && isatty(STDOUT_FILENO) && term && term[0] && strcmp(term, "dumb") != 0;
    gs_buf_init(&s->block, BLOCK_BYTES_MAX);
    for (unsigned i = 0; i < SCREEN_KEPT_LINES; i++)
        gs_buf_init(&s->kept[i], LINE_BYTES_MAX);
    measure(s);
    if (by_hand && s->live)
        read_keys(s);
}

void
screen_fini(struct screen *s)
{
    struct gs_buf out;

    gs_buf_init(&out, OUT_BYTES_MAX);
    erase(s, &out);
    write_out(s, &out);
    gs_buf_fini(&out);
    if (s->terminal)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, s->terminal);
    gs_free(s->terminal);
    gs_buf_fini(&s->block);
    for (unsigned i = 0; i < SCREEN_KEPT_LINES; i++)
        gs_buf_fini(&s->kept[i]);
}

/* state.h - the files in state_dir: mesh.state (records, what is active) and node.state (boot,
 * clock). Frames behind a header, closed by an end frame, so that a file cut anywhere is noticed.
 * Building and parsing are pure; reading and writing block on the disk and may run on any thread.
 *
 *     "GSMRSTAT" format:u32 type:u32 crc:u32 | len:u32 crc:u32 kind:u16 bytes | ... | end frame
 *
 * Little endian. crc is CRC-32C over len, kind and bytes of a frame, and over what stands before
 * it in the header. */
#pragma once

#include <gossamer/buf.h>
#include <gossamer/limits.h>

enum state_type { STATE_MESH = 1, STATE_NODE = 2 };

/* Frame kinds up to 0xfffe belong to whoever owns the content: gossip.h (1..15), model.h
 * (16..31), this file (32..). */
enum { STATE_FRAME_NODE = 32, STATE_FRAME_END = 0xffff };

struct state_frame {
    uint16_t kind;
    struct gs_slice bytes;
};

/* ---- building ---- */

struct state_writer {
    struct gs_buf out;
    uint32_t frames;
};

void state_writer_init(struct state_writer *w, enum state_type type); /* writes the header */
void state_writer_fini(struct state_writer *w);
void state_put(struct state_writer *w, uint16_t kind, struct gs_slice bytes);
/* Ends the file. GS_E_LIMIT: it is beyond STATE_BYTES_MAX and must not be written. The slice is
 * the writer's; take w->out itself to keep it. */
gs_err state_end(struct state_writer *w, struct gs_slice *bytes) GS_MUST_CHECK;

/* ---- parsing ---- */

struct state_file { /* zeroed is empty */
    char *bytes;    /* owned */
    struct state_frame *frames;
    size_t count;
};

void state_file_fini(struct state_file *f);
/* GS_E_CORRUPT: torn or altered, why says where. GS_E_UNSUPPORTED: another format. bytes are
 * borrowed by the frames. */
gs_err state_parse(struct gs_slice bytes, enum state_type type, struct state_file *out,
                   struct gs_why *why) GS_MUST_CHECK;

/* ---- the disk ---- */

/* DIR/NAME. What cannot be used, whatever it is, is renamed NAME.bad.<wall_ms>, why says so, and
 * the error is told: start without it. Of those set aside the last STATE_BAD_KEPT_MAX stay.
 * returns  GS_E_OK, GS_E_NOT_FOUND (there is none), GS_E_CORRUPT, GS_E_UNSUPPORTED,
 *          GS_E_TOO_LARGE, GS_E_IO (could not be read) */
gs_err state_load(const char *dir, const char *name, enum state_type type, uint64_t wall_ms,
                  struct state_file *out, struct gs_why *why) GS_MUST_CHECK;
/* Of a file that was loaded, but holds what nobody here can use: keep it, too, as one set aside,
 * for the next save replaces it. why says under which name, or why not. */
void state_keep(const char *dir, const char *name, uint64_t wall_ms, struct gs_why *why);
/* Temporary file, fsync, rename, fsync of the directory; mode 0600. GS_E_IO. */
gs_err state_save(const char *dir, const char *name, struct gs_slice bytes, struct gs_why *why)
    GS_MUST_CHECK;

/* ---- node.state ---- */

struct state_node {
    uint64_t boot; /* of the last start; the next is greater */
    uint64_t incarnation;
    uint64_t hlc; /* highest clock given out */
};

void state_put_node(struct state_writer *w, const struct state_node *n);
/* GS_E_CORRUPT: it says nothing of this node, or numbers that no life of a node comes to. */
gs_err state_read_node(const struct state_file *f, struct state_node *out, struct gs_why *why)
    GS_MUST_CHECK;

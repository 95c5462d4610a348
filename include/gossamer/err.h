/* err.h - one table of errors, each with the fault that decides how loudly it is told. */
#pragma once

typedef int gs_err; /* GS_E_OK or a negative value of the table */

enum gs_fault {
    GS_FAULT_NOBODY,   /* an ordinary answer */
    GS_FAULT_PEER,     /* somebody on the network: a counter and a debug line */
    GS_FAULT_OPERATOR, /* what a person wrote: file, line, field and what to type next */
    GS_FAULT_HOST,     /* this machine: disk, descriptors, ports */
    GS_FAULT_BUG,      /* us */
};

/* X(name, fault, text) */
#define GS_ERR_TABLE(X)                                                                            \
    X(LIMIT, NOBODY, "a configured limit was reached")                                             \
    X(AGAIN, NOBODY, "not now, more is needed")                                                    \
    X(NOT_FOUND, NOBODY, "there is no such thing")                                                 \
    X(EXISTS, NOBODY, "it exists already")                                                         \
    X(STALE, NOBODY, "a newer version is known")                                                   \
    X(CONFLICT, OPERATOR, "it was changed by somebody else meanwhile")                             \
    X(CLOSED, NOBODY, "it is closed")                                                              \
    X(TIMEOUT, NOBODY, "it took too long")                                                         \
    X(MALFORMED, PEER, "bytes that do not follow the format")                                      \
    X(TOO_LARGE, PEER, "more bytes than allowed")                                                  \
    X(REFUSED, PEER, "the other side refused")                                                     \
    X(RESET, PEER, "the other side reset the connection")                                          \
    X(INVALID, OPERATOR, "a value that is not allowed")                                            \
    X(UNSUPPORTED, OPERATOR, "known, but not in this version")                                     \
    X(IN_USE, HOST, "somebody else holds it")                                                      \
    X(IO, HOST, "the operating system refused")                                                    \
    X(DENIED, HOST, "not permitted")                                                               \
    X(CORRUPT, HOST, "a file that is not what was written")                                        \
    X(BUG, BUG, "a fault of this program")

enum gs_err_index {
    GS_ERR_INDEX_OK,
#define X(name, fault, text) GS_ERR_INDEX_##name,
    GS_ERR_TABLE(X)
#undef X
};

enum {
    GS_E_OK = 0,
#define X(name, fault, text) GS_E_##name = -GS_ERR_INDEX_##name,
    GS_ERR_TABLE(X)
#undef X
};

const char *gs_err_name(gs_err e); /* "LIMIT"; "OK" for 0; never NULL */
const char *gs_err_text(gs_err e);
enum gs_fault gs_err_fault(gs_err e);

/* The reason of one refusal, for people. Filled by whoever refuses, printed once by whoever
 * decides. */
struct gs_why {
    char text[256];
};

/* Write why (NULL is allowed) and return e, so that a refusal is one statement. */
gs_err gs_refuse(struct gs_why *why, gs_err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

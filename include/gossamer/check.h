/* check.h - assertions that stay on in release. They state what this program guarantees to
 * itself and are never about bytes, files or peers (those are answered by a gs_err). */
#pragma once

#define GS_MUST_CHECK __attribute__((warn_unused_result))
#define GS_PRINTF(n, m) __attribute__((format(printf, n, m)))
#define GS_NORETURN __attribute__((noreturn))

/* Prints the place, the condition, this thread's last state machine moves and a backtrace, then
 * aborts. Safe to call with the heap in any state. */
GS_NORETURN void gs_panic(const char *file, int line, const char *what);

#define GS_ASSERT(cond) ((cond) ? (void)0 : gs_panic(__FILE__, __LINE__, #cond))

/* For checks that walk something; on in debug and sanitizer builds only. */
#ifdef GS_DEBUG
#define GS_DEBUG_ASSERT(cond) GS_ASSERT(cond)
#else
#define GS_DEBUG_ASSERT(cond) ((void)0)
#endif

#define GS_UNREACHABLE(what) gs_panic(__FILE__, __LINE__, "unreachable: " what)

#define GS_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The object that embeds `member` at `ptr`. */
#define GS_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

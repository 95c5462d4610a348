/* live_memory.h - how much of the heap the program under test holds at this moment: what was asked
 * for and not given back, to the byte. What the C library says of itself is no measure of that: it
 * counts what it keeps for the next caller as in use, each version and each sanitizer in its own
 * way.
 *
 * Link with live_memory_dep. It stands between malloc() and whoever calls it from an object of
 * ours; shared libraries are not counted. For tests of one thread. */
#pragma once

#include <stddef.h>

size_t live_memory(void);

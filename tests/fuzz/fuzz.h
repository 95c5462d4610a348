/* fuzz.h - what a fuzz target defines. libFuzzer calls it, or replay.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* data: exactly size bytes and not one more may be read. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

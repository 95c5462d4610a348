/* pack.h - is this one canonical msgpack value? Asked of every byte from a peer or a disk before
 * msgpack-c sees it: six hostile bytes make its unpacker ask for 1.6 GB. */
#pragma once

#include <gossamer/check.h>
#include <gossamer/err.h>
#include <gossamer/slice.h>

/* Canonical, so that equal content has equal bytes and one hash: smallest encodings, map keys
 * unsigned integers in ascending order, no floats, no extension types; and nothing behind it.
 * returns  GS_E_OK, GS_E_MALFORMED, GS_E_LIMIT (depth_max <= 32, objects_max) */
gs_err gs_pack_check(struct gs_slice bytes, unsigned depth_max, size_t objects_max) GS_MUST_CHECK;

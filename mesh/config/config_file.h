/* config_file.h - a whole small file. */
#pragma once

#include <gossamer/buf.h>

/* At most out->max bytes. GS_E_NOT_FOUND, GS_E_TOO_LARGE, GS_E_DENIED or GS_E_IO, why says which
 * and why (without the path: problems carry that). */
gs_err config_file_read(const char *path, struct gs_buf *out, struct gs_why *why) GS_MUST_CHECK;

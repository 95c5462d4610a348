/* config_file.h - a whole small file. */
#pragma once

#include <gossamer/buf.h>

enum config_file {
    CONFIG_FILE_ANY,     /* a pipe will do: it may be waited for */
    CONFIG_FILE_REGULAR, /* anything else is refused: GS_E_INVALID */
};

/* At most out->max bytes. GS_E_NOT_FOUND, GS_E_TOO_LARGE, GS_E_DENIED or GS_E_IO, why says which
 * and why (without the path: problems carry that). */
gs_err config_file_read(const char *path, enum config_file kind, struct gs_buf *out,
                        struct gs_why *why) GS_MUST_CHECK;

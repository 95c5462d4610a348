/* trim.h - give back memory that only the start needed. */
#pragma once

/* Drops the resident pages of read-only code and data of this program and its libraries (they are
 * read again from the page cache when touched) and the heap's free top. OpenSSL alone leaves 2 MiB
 * behind after making one key. Call once, after start. */
void gs_trim(void);

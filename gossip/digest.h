/* digest.h - two nodes find out what one has and the other has not (sync.c asks). */
#pragma once

#include "gossip/wire.h"

struct sync;

/* Sums of what is here, by class and bucket. */
void digest_sums(const struct gossip *g, uint64_t sums[WIRE_CLASSES][DIGEST_BUCKETS]);
/* Entries of the records in the buckets of the mask; returns the bytes in out. */
size_t digest_entries(const struct gossip *g, enum gossip_class class, uint64_t mask,
                      struct gs_buf *out);
/* Of the entries in p: notes for those that are not here, or other than here. */
void digest_wants(const struct gossip *g, const struct wire_packet *p, enum gossip_class class,
                  struct gs_buf *pull);
/* Those of ours in its masks which p does not list, or lists otherwise, go into what s gives. */
void digest_gives(const struct gossip *g, const struct wire_packet *p, enum gossip_class class,
                  struct sync *s);

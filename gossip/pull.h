/* pull.h - records that were announced, and are fetched by whoever lacks them. */
#pragma once

#include <gossamer/gossip.h>

/* Announcements: pull what is not here. */
void pull_announced(struct gossip *g, uint64_t now_ms, uint64_t peer, const struct gs_addr *from,
                    struct gs_slice notes, bool large);
/* A peer pulls: send what is here and fits. */
void pull_asked(struct gossip *g, uint64_t now_ms, uint64_t peer, const struct gs_addr *from,
                struct gs_slice notes);

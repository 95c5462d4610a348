/* fault.h - what can be done to a mesh. Each kind draws from its own random numbers, so that
 * leaving one out does not move the others. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct host;
struct world;

/* X(name, text) */
#define FAULT_TABLE(X)                                                                             \
    X(CRASH, "crash")                                                                              \
    X(POWER, "power")                                                                              \
    X(RESTART_KEPT, "restart")                                                                     \
    X(RESTART_LOST, "restart-lost")                                                                \
    X(RESTART_OLD, "restart-old")                                                                  \
    X(FREEZE, "freeze")                                                                            \
    X(CLOCK, "clock")                                                                              \
    X(BURST, "burst")                                                                              \
    X(PARTITION, "partition")                                                                      \
    X(CUT, "cut")                                                                                  \
    X(CUT_UDP, "cut-udp")                                                                          \
    X(GRACEFUL, "graceful") /* it says that it restarts, and stops */                              \
    X(LEAVE, "leave")                                                                              \
    X(LOSS, "loss")                                                                                \
    X(DUPLICATE, "duplicate")                                                                      \
    X(CORRUPT, "corrupt")                                                                          \
    X(REPLAY, "replay")

enum fault {
#define X(name, text) FAULT_##name,
    FAULT_TABLE(X)
#undef X
        FAULTS
};

struct fault_tally {
    uint32_t fired;
};

const char *fault_name(enum fault f);
enum fault fault_find(const char *name); /* FAULTS when there is none */
/* May it happen? Counts it if so. Not once the world is to come to rest. */
bool fault_fires(struct world *w, enum fault f);

/* Each does nothing if it is masked or the host is in no state for it. */
void fault_crash(struct world *w, struct host *h);
void fault_power(struct world *w, struct host *h);
/* kind: one of FAULT_RESTART_* */
void fault_restart(struct world *w, struct host *h, enum fault kind);
void fault_freeze(struct world *w, struct host *h, uint64_t for_ns);
void fault_clock(struct world *w, struct host *h, int64_t by_ms);
void fault_burst(struct world *w, uint32_t loss_ppm, uint64_t for_ns);
void fault_partition(struct world *w, const uint8_t *sides, uint64_t for_ns);
/* One way, all or (FAULT_CUT_UDP) datagrams alone. */
void fault_cut(struct world *w, struct host *from, struct host *to, enum fault kind,
               uint64_t for_ns);
void fault_leave(struct world *w, struct host *h);
void fault_graceful(struct world *w, struct host *h);
/* Everything mended, thawed, at its ordinary quality. */
void fault_all_off(struct world *w);

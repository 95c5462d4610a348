/* fsm.h - a state machine is an enum, a picture and a table of allowed moves. fsm_move() is the
 * only writer: it asserts the move and records it in this thread's ring for the crash report. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <gossamer/check.h>

struct gs_fsm_def {
    const char *name;
    const char *const *states; /* names, by number */
    const uint32_t *moves;     /* per state: bit set of states it may move to */
    uint8_t count;             /* at most 32 */
};

struct gs_fsm {
    const struct gs_fsm_def *def;
    uint8_t state;
};

#define GS_FSM_BIT(state) (UINT32_C(1) << (state))

void gs_fsm_init(struct gs_fsm *f, const struct gs_fsm_def *def, unsigned state);
void gs_fsm_move(struct gs_fsm *f, unsigned to);

static inline bool
gs_fsm_is(const struct gs_fsm *f, unsigned state)
{
    return f->state == state;
}

static inline const char *
gs_fsm_name(const struct gs_fsm *f)
{
    return f->def->states[f->state];
}

/* This thread's last moves, oldest first, one per line; async-signal-safe. */
void gs_fsm_print_moves(int fd);

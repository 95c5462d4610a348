/* fsm.c - the one writer of states, and this thread's memory of the last moves. */
#include <gossamer/fsm.h>

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define FSM_MOVES_KEPT 64 /* a power of two; 24 bytes each, per thread */
#define FSM_STATES_MAX 32

struct fsm_move {
    const struct gs_fsm_def *def;
    const struct gs_fsm *fsm; /* tells objects apart; never dereferenced */
    uint8_t from, to;
};

static _Thread_local struct fsm_move moves[FSM_MOVES_KEPT];
static _Thread_local unsigned moves_made;

void
gs_fsm_init(struct gs_fsm *f, const struct gs_fsm_def *def, unsigned state)
{
    GS_ASSERT(def);
    GS_ASSERT(def->count <= FSM_STATES_MAX);
    GS_ASSERT(state < def->count);
    f->def = def;
    f->state = (uint8_t)state;
}

void
gs_fsm_move(struct gs_fsm *f, unsigned to)
{
    GS_ASSERT(f->def);
    /* Recorded before it is judged: the move that fails is the last line of the report. */
    moves[moves_made++ % FSM_MOVES_KEPT] = (struct fsm_move){ f->def, f, f->state, (uint8_t)to };
    GS_ASSERT(f->state < f->def->count);
    GS_ASSERT(to < f->def->count);
    GS_ASSERT(f->def->moves[f->state] & GS_FSM_BIT(to));
    f->state = (uint8_t)to;
}

static void
put(int fd, const char *s)
{
    (void)!write(fd, s, strlen(s));
}

static void
put_pointer(int fd, const void *p)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * sizeof(p) + 1];
    uintptr_t v = (uintptr_t)p;

    text[sizeof(text) - 1] = '\0';
    for (size_t i = sizeof(text) - 1; i-- > 0; v >>= 4)
        text[i] = digits[v & 15];
    put(fd, text);
}

static const char *
state_name(const struct gs_fsm_def *def, unsigned state)
{
    return state < def->count ? def->states[state] : "(no such state)";
}

void
gs_fsm_print_moves(int fd)
{
    unsigned first = moves_made > FSM_MOVES_KEPT ? moves_made - FSM_MOVES_KEPT : 0;

    for (unsigned i = first; i != moves_made; i++) {
        const struct fsm_move *m = &moves[i % FSM_MOVES_KEPT];

        put(fd, "  ");
        put(fd, m->def->name);
        put(fd, " ");
        put_pointer(fd, m->fsm);
        put(fd, " ");
        put(fd, state_name(m->def, m->from));
        put(fd, " -> ");
        put(fd, state_name(m->def, m->to));
        put(fd, "\n");
    }
}

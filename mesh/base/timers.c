/* timers.c - the hashed wheel. A timer sits in slot (due tick mod slots) and is looked at once a
 * round; only what is due fires. */
#include <gossamer/timers.h>

void
gs_timer_init(struct gs_timer *t, gs_timer_cb fire)
{
    gs_list_init(&t->link);
    t->due_ms = 0;
    t->fire = fire;
}

void
gs_wheel_init(struct gs_wheel *w, uint64_t now_ms)
{
    for (unsigned i = 0; i < LOOP_WHEEL_SLOTS; i++)
        gs_list_init(&w->slot[i]);
    for (unsigned i = 0; i < GS_COUNT(w->occupied); i++)
        w->occupied[i] = 0;
    w->now_tick = now_ms / LOOP_TICK_MS;
    w->count = 0;
}

/* The tick at whose end the timer is due: rounded up, so it never fires early. */
static uint64_t
tick_of(const struct gs_wheel *w, uint64_t due_ms)
{
    uint64_t tick = (due_ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS;

    return tick <= w->now_tick ? w->now_tick + 1 : tick;
}

static void
slot_mark(struct gs_wheel *w, unsigned slot)
{
    uint64_t bit = UINT64_C(1) << (slot % 64);

    if (gs_list_empty(&w->slot[slot]))
        w->occupied[slot / 64] &= ~bit;
    else
        w->occupied[slot / 64] |= bit;
}

void
gs_wheel_arm(struct gs_wheel *w, struct gs_timer *t, uint64_t due_ms)
{
    unsigned slot;

    GS_ASSERT(due_ms > 0);
    GS_ASSERT(t->fire);
    gs_wheel_stop(w, t);
    slot = (unsigned)(tick_of(w, due_ms) % LOOP_WHEEL_SLOTS);
    t->due_ms = due_ms;
    gs_list_push_back(&w->slot[slot], &t->link);
    w->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
    w->count++;
}

void
gs_wheel_stop(struct gs_wheel *w, struct gs_timer *t)
{
    if (t->due_ms == 0)
        return;
    GS_ASSERT(w->count > 0);
    /* The slot's bit may stay set over an empty slot: it costs one look when its turn comes. */
    gs_list_remove(&t->link);
    t->due_ms = 0;
    w->count--;
}

static void
slot_fire(struct gs_wheel *w, unsigned slot, uint64_t now_ms)
{
    struct gs_list waiting;
    struct gs_list *n;

    gs_list_init(&waiting);
    gs_list_splice(&waiting, &w->slot[slot]);
    while ((n = gs_list_pop_front(&waiting))) {
        struct gs_timer *t = GS_LIST_ENTRY(n, struct gs_timer, link);

        if (t->due_ms > now_ms) { /* of a later round */
            gs_list_push_back(&w->slot[slot], &t->link);
            continue;
        }
        t->due_ms = 0;
        w->count--;
        t->fire(t);
    }
    slot_mark(w, slot);
}

void
gs_wheel_advance(struct gs_wheel *w, uint64_t now_ms)
{
    uint64_t to = now_ms / LOOP_TICK_MS;
    uint64_t rounds = to - w->now_tick;

    if (to <= w->now_tick)
        return;
    if (w->count == 0) {
        w->now_tick = to;
        return;
    }
    if (rounds > LOOP_WHEEL_SLOTS) /* asleep for more than a round: each slot once is enough */
        w->now_tick = to - LOOP_WHEEL_SLOTS;
    while (w->now_tick < to) {
        unsigned slot = (unsigned)(++w->now_tick % LOOP_WHEEL_SLOTS);

        if (w->occupied[slot / 64] & (UINT64_C(1) << (slot % 64)))
            slot_fire(w, slot, now_ms);
    }
}

uint64_t
gs_wheel_next_ms(const struct gs_wheel *w)
{
    if (w->count == 0)
        return UINT64_MAX;
    for (unsigned ahead = 1; ahead <= LOOP_WHEEL_SLOTS; ahead++) {
        unsigned slot = (unsigned)((w->now_tick + ahead) % LOOP_WHEEL_SLOTS);

        if (slot % 64 == 0 && w->occupied[slot / 64] == 0) {
            ahead += 63; /* 64 empty slots at once */
            continue;
        }
        if (w->occupied[slot / 64] & (UINT64_C(1) << (slot % 64)))
            return (w->now_tick + ahead) * LOOP_TICK_MS;
    }
    GS_UNREACHABLE("a timer is armed but no slot is occupied");
}

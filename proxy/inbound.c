/* inbound.c - the inbound stage of a request whose instance is on this node: it runs in process,
 * between the two halves of the same exchange, and counts as a hop of its own. Authorization and
 * limits of the instance's side will stand here too. */
#include "proxy/worker.h"

enum reason
inbound_open(struct inbound_call *call, struct worker *w, const struct service *s,
             const struct subset *sub, const struct endpoint *e)
{
    (void)s;
    GS_ASSERT(!call->cell);
    if (!e->local) /* the catalog lists it for another node: nothing of it runs here */
        return REASON_MISDIRECTED;
    call->cell = stat_table_get(w->stats, sub->stat_in);
    call->begun_ns = w->loop->now_ns;
    if (call->cell)
        stat_active(call->cell, 1);
    return REASON_NONE;
}

void
inbound_close(struct inbound_call *call, struct worker *w, unsigned status, enum reason r)
{
    if (!call->cell)
        return;
    stat_cell_answer(call->cell, status, r, (w->loop->now_ns - call->begun_ns) / 1000);
    stat_active(call->cell, -1);
    call->cell = NULL;
}

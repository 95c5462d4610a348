/* cut_uv.c - nodes that this one is cut off from, for the sake of a test: what they send and what
 * is for them is dropped as it comes from the core or the socket, so the core sees a network that
 * loses. With nobody cut off it costs one comparison a packet.
 *
 * Who sends is what a packet's clear header says: addresses may be shared, and a forged sender
 * only loses a packet that its seal would have lost as well. */
#include "gossip/gossip_uv.h"

#include "gossip/box.h"

static bool
applies(const struct gossip_cut *c, enum gossip_via via)
{
    return via == GOSSIP_DATAGRAM || !c->datagrams_only;
}

bool
gossip_io_cut_sender(const struct gossip_io *io, enum gossip_via via, uint64_t sender)
{
    for (size_t i = 0; i < io->cut_count; i++) {
        if (applies(&io->cuts[i], via) && box_name(&io->cuts[i].node) == sender)
            return true;
    }
    return false;
}

bool
gossip_io_cut_from(const struct gossip_io *io, enum gossip_via via, struct gs_slice packet)
{
    uint64_t sender;

    return io->cut_count > 0 && box_claims(packet, &sender) &&
           gossip_io_cut_sender(io, via, sender);
}

bool
gossip_io_cut_to(const struct gossip_io *io, enum gossip_via via, const struct gs_addr *to)
{
    for (size_t i = 0; i < io->cut_count; i++) {
        struct gossip_node n;

        if (applies(&io->cuts[i], via) && gossip_find_node(io->core, &io->cuts[i].node, &n) &&
            gs_addr_eq(&n.address, to))
            return true;
    }
    return false;
}

void
gossip_io_cut(struct gossip_io *io, const struct gossip_cut *items, size_t count)
{
    GS_ASSERT(count <= CUTS_MAX);
    if (count > 0)
        memcpy(io->cuts, items, count * sizeof(*items));
    io->cut_count = count;
}

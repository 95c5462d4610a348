/* faults.h - nodes that this one is cut off from, to see what becomes of a mesh then: `gossamer
 * debug block`. Only where `run --allow-faults` said so. Control thread.
 *
 *     api_debug.c ─▶ faults_block, faults_apply ─┬─▶ the gossip: packets and streams dropped
 *                                                └─▶ the workers: connections cut, none made
 *
 * Blocked at both ends, two nodes are partitioned, without root and without a firewall. */
#pragma once

#include <gossamer/version.h>

struct node;
struct faults;

struct fault {
    struct gs_id id;
    const char *name;  /* as it was blocked by */
    uint64_t since_ms; /* wall clock */
    bool udp_only;     /* only its datagrams are dropped */
};

struct faults *faults_new(struct node *n);
void faults_free(struct faults *f); /* NULL is fine */

/* Who is blocked already is blocked as this says. GS_E_LIMIT: CUTS_MAX are. */
gs_err faults_block(struct faults *f, const struct gs_id *id, struct gs_slice name, bool udp_only)
    GS_MUST_CHECK;
bool faults_unblock(struct faults *f, const struct gs_id *id); /* false: it is not blocked */
void faults_clear(struct faults *f);
size_t faults_count(const struct faults *f); /* 0 for NULL */
const struct fault *faults_at(const struct faults *f, size_t i);

/* What was changed takes effect; done(arg) when the gossip goes by it. */
void faults_apply(struct faults *f, void (*done)(void *arg), void *arg);

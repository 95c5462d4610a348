/* seal.h - what gossip/ needs of cryptography; the only door to OpenSSL there. */
#pragma once

#include <gossamer/version.h>

#define SEAL_PUBLIC_BYTES 32
#define SEAL_SIGNATURE_BYTES 64
#define SEAL_SHA256_BYTES 32

void seal_sha256(struct gs_slice bytes, uint8_t out[SEAL_SHA256_BYTES]);
struct gs_digest seal_digest(struct gs_slice bytes); /* SHA-256, cut to 16 bytes */

/* ---- the node's Ed25519 key ---- */

struct seal_key;
struct seal_key *seal_key_new(void); /* a fresh one */
void seal_key_free(struct seal_key *k);
/* Read DIR/node.key (32 raw bytes, the seed) or, if there is none, make one and write it: mode
 * 0600, temporary file, fsync, rename, fsync of the directory. Blocks on the disk; any thread.
 * GS_E_CORRUPT  it exists but is no seed: the operator decides, a new identity is never made
 *               silently
 * GS_E_DENIED   others may read it
 * GS_E_IO       the system's own reason is in why */
gs_err seal_key_load(const char *dir, struct seal_key **out, bool *made, struct gs_why *why)
    GS_MUST_CHECK;
const uint8_t *seal_key_public(const struct seal_key *k); /* SEAL_PUBLIC_BYTES */
struct gs_id seal_key_id(const struct seal_key *k);       /* the node id */
struct gs_id seal_id(const uint8_t public_key[SEAL_PUBLIC_BYTES]);
void seal_sign(const struct seal_key *k, struct gs_slice bytes,
               uint8_t signature[SEAL_SIGNATURE_BYTES]);
bool seal_verify(const uint8_t public_key[SEAL_PUBLIC_BYTES], struct gs_slice bytes,
                 const uint8_t signature[SEAL_SIGNATURE_BYTES]);

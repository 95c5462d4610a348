/* seal.h - what gossip/ needs of cryptography; the only door to OpenSSL there. */
#pragma once

#include <gossamer/limits.h>
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

/* ---- packets ---- */

#define SEAL_KEY_BYTES 32
#define SEAL_NONCE_BYTES 12
#define SEAL_TAG_BYTES 16

struct seal_ring { /* the group's keys; several are accepted, the first one seals */
    struct {
        uint8_t epoch; /* first byte of the key's SHA-256: which of them sealed a packet */
        uint8_t bytes[SEAL_KEY_BYTES];
    } keys[GOSSIP_KEYS_MAX];
    size_t count;
};

/* GS_E_LIMIT: there are GOSSIP_KEYS_MAX; GS_E_CONFLICT: another key has its epoch already. The same
 * key twice is one. */
gs_err seal_ring_add(struct seal_ring *r, const uint8_t key[SEAL_KEY_BYTES], struct gs_why *why)
    GS_MUST_CHECK;
const uint8_t *seal_ring_find(const struct seal_ring *r, uint8_t epoch); /* NULL when absent */
void seal_ring_wipe(struct seal_ring *r);

/* HKDF-SHA256 (RFC 5869) without salt. */
void seal_derive(const uint8_t key[SEAL_KEY_BYTES], struct gs_slice info,
                 uint8_t out[SEAL_KEY_BYTES]);

struct seal_aead; /* AES-256-GCM; what OpenSSL needs between calls. One per core. */
struct seal_aead *seal_aead_new(void);
void seal_aead_free(struct seal_aead *a);
/* plain.len + SEAL_TAG_BYTES bytes to out. (key, nonce) must never repeat. */
void seal_lock(struct seal_aead *a, const uint8_t key[SEAL_KEY_BYTES],
               const uint8_t nonce[SEAL_NONCE_BYTES], struct gs_slice aad, struct gs_slice plain,
               char *out);
/* sealed.len - SEAL_TAG_BYTES bytes to out. False: it does not fit, and out holds nothing. */
bool seal_unlock(struct seal_aead *a, const uint8_t key[SEAL_KEY_BYTES],
                 const uint8_t nonce[SEAL_NONCE_BYTES], struct gs_slice aad, struct gs_slice sealed,
                 char *out) GS_MUST_CHECK;

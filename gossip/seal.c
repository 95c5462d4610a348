/* seal.c - the one user of OpenSSL in gossip/: hashes, the node's Ed25519 key and its file, and
 * what seals packets. */
#include <gossamer/seal.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gossamer/alloc.h>
#include <gossamer/rng.h>

#define SEED_BYTES 32
#define SEAL_PATH_MAX 4096
#define SEAL_INFO_MAX 128 /* of a derived key's purpose */

struct seal_key {
    EVP_PKEY *pkey;
    uint8_t public_key[SEAL_PUBLIC_BYTES];
};

/* ---- hashes ---- */

void
seal_sha256(struct gs_slice bytes, uint8_t out[SEAL_SHA256_BYTES])
{
    unsigned len = 0;

    /* It fails for want of memory or of a provider, neither of which a caller could mend. */
    GS_ASSERT(EVP_Digest(bytes.ptr, bytes.len, out, &len, EVP_sha256(), NULL) == 1);
    GS_ASSERT(len == SEAL_SHA256_BYTES);
}

struct gs_digest
seal_digest(struct gs_slice bytes)
{
    uint8_t whole[SEAL_SHA256_BYTES];
    struct gs_digest d;

    seal_sha256(bytes, whole);
    memcpy(d.bytes, whole, sizeof(d.bytes));
    return d;
}

struct gs_id
seal_id(const uint8_t public_key[SEAL_PUBLIC_BYTES])
{
    struct gs_digest d = seal_digest(gs_slice(public_key, SEAL_PUBLIC_BYTES));
    struct gs_id id;

    _Static_assert(sizeof(id.bytes) == sizeof(d.bytes), "an id is a cut hash");
    memcpy(id.bytes, d.bytes, sizeof(id.bytes));
    return id;
}

/* ---- keys ---- */

static struct seal_key *
key_of_seed(const uint8_t seed[SEED_BYTES])
{
    struct seal_key *k = gs_zalloc(sizeof(*k));
    size_t len = sizeof(k->public_key);

    k->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED_BYTES);
    GS_ASSERT(k->pkey); /* any 32 bytes are a seed */
    GS_ASSERT(EVP_PKEY_get_raw_public_key(k->pkey, k->public_key, &len) == 1);
    GS_ASSERT(len == SEAL_PUBLIC_BYTES);
    return k;
}

struct seal_key *
seal_key_new(void)
{
    uint8_t seed[SEED_BYTES];
    struct seal_key *k;

    gs_random_bytes(seed, sizeof(seed));
    k = key_of_seed(seed);
    OPENSSL_cleanse(seed, sizeof(seed));
    return k;
}

void
seal_key_free(struct seal_key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    gs_free(k);
}

const uint8_t *
seal_key_public(const struct seal_key *k)
{
    return k->public_key;
}

struct gs_id
seal_key_id(const struct seal_key *k)
{
    return seal_id(k->public_key);
}

void
seal_sign(const struct seal_key *k, struct gs_slice bytes, uint8_t signature[SEAL_SIGNATURE_BYTES])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = SEAL_SIGNATURE_BYTES;

    GS_ASSERT(ctx);
    GS_ASSERT(EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1);
    GS_ASSERT(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)bytes.ptr, bytes.len) == 1);
    GS_ASSERT(len == SEAL_SIGNATURE_BYTES);
    EVP_MD_CTX_free(ctx);
}

bool
seal_verify(const uint8_t public_key[SEAL_PUBLIC_BYTES], struct gs_slice bytes,
            const uint8_t signature[SEAL_SIGNATURE_BYTES])
{
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, SEAL_PUBLIC_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = false;

    GS_ASSERT(ctx);
    if (pkey && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1)
        good = EVP_DigestVerify(ctx, signature, SEAL_SIGNATURE_BYTES, (const uint8_t *)bytes.ptr,
                                bytes.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return good;
}

/* ---- node.key ---- */

static gs_err
read_seed(int fd, const char *path, uint8_t seed[SEED_BYTES], struct gs_why *why)
{
    uint8_t bytes[SEED_BYTES + 1];
    ssize_t got = read(fd, bytes, sizeof(bytes));
    struct stat st;

    if (got < 0 || fstat(fd, &st) != 0)
        return gs_refuse(why, GS_E_IO, "%s cannot be read: %s", path, strerror(errno));
    if (st.st_mode & 077)
        return gs_refuse(why, GS_E_DENIED,
                         "%s is open to others (mode %03o): chmod 600 it, and if that may have "
                         "been used, remove it to get a new identity",
                         path, (unsigned)st.st_mode & 0777);
    if (got != SEED_BYTES)
        return gs_refuse(why, GS_E_CORRUPT,
                         "%s should hold %d bytes: restore it, or remove it to get a new identity",
                         path, SEED_BYTES);
    memcpy(seed, bytes, SEED_BYTES);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return GS_E_OK;
}

static bool
write_synced(int fd, const uint8_t seed[SEED_BYTES])
{
    return write(fd, seed, SEED_BYTES) == SEED_BYTES && fsync(fd) == 0;
}

static gs_err
sync_dir(const char *dir, struct gs_why *why)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    int reason = errno;

    if (fd >= 0)
        (void)close(fd);
    return good ? GS_E_OK
                : gs_refuse(why, GS_E_IO, "%s cannot be synced: %s", dir, strerror(reason));
}

static gs_err
write_seed(const char *dir, const char *path, const uint8_t seed[SEED_BYTES], struct gs_why *why)
{
    char temp[SEAL_PATH_MAX + 8];
    bool good;
    int reason;
    int fd;

    (void)snprintf(temp, sizeof(temp), "%s.tmp", path);
    (void)unlink(temp); /* left by a crash */
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    good = fd >= 0 && write_synced(fd, seed);
    reason = errno;
    if (fd >= 0)
        (void)close(fd);
    if (good && rename(temp, path) == 0)
        return sync_dir(dir, why);
    if (good)
        reason = errno;
    (void)unlink(temp);
    return gs_refuse(why, GS_E_IO, "%s cannot be written: %s", path, strerror(reason));
}

gs_err
seal_key_load(const char *dir, struct seal_key **out, bool *made, struct gs_why *why)
{
    char path[SEAL_PATH_MAX];
    uint8_t seed[SEED_BYTES];
    int len = snprintf(path, sizeof(path), "%s/node.key", dir);
    gs_err e;
    int fd;

    if (len < 0 || (size_t)len >= sizeof(path))
        return gs_refuse(why, GS_E_INVALID, "the name of the state folder is too long");
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return gs_refuse(why, GS_E_IO, "%s cannot be opened: %s", path, strerror(errno));
    *made = fd < 0;
    if (fd >= 0) {
        e = read_seed(fd, path, seed, why);
        (void)close(fd);
    } else {
        gs_random_bytes(seed, sizeof(seed));
        e = write_seed(dir, path, seed, why);
    }
    if (e == GS_E_OK)
        *out = key_of_seed(seed);
    OPENSSL_cleanse(seed, sizeof(seed));
    return e;
}

/* ---- the ring ---- */

static uint8_t
epoch_of(const uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t hash[SEAL_SHA256_BYTES];

    seal_sha256(gs_slice(key, SEAL_KEY_BYTES), hash);
    return hash[0];
}

gs_err
seal_ring_add(struct seal_ring *r, const uint8_t key[SEAL_KEY_BYTES], struct gs_why *why)
{
    uint8_t epoch = epoch_of(key);
    const uint8_t *known = seal_ring_find(r, epoch);

    GS_ASSERT(r->count <= GOSSIP_KEYS_MAX);
    if (known && CRYPTO_memcmp(known, key, SEAL_KEY_BYTES) == 0)
        return GS_E_OK;
    if (known)
        return gs_refuse(why, GS_E_CONFLICT,
                         "two keys have the same number (0x%02x), so packets could not tell which "
                         "of them they are sealed with: draw another key",
                         epoch);
    if (r->count == GOSSIP_KEYS_MAX)
        return gs_refuse(why, GS_E_LIMIT, "more than %d keys: remove the old ones",
                         GOSSIP_KEYS_MAX);
    r->keys[r->count].epoch = epoch;
    memcpy(r->keys[r->count++].bytes, key, SEAL_KEY_BYTES);
    return GS_E_OK;
}

const uint8_t *
seal_ring_find(const struct seal_ring *r, uint8_t epoch)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->keys[i].epoch == epoch)
            return r->keys[i].bytes;
    }
    return NULL;
}

void
seal_ring_wipe(struct seal_ring *r)
{
    OPENSSL_cleanse(r, sizeof(*r));
}

/* ---- packets ---- */

/* Failures below are those of memory or of a missing provider, as in seal_sha256(). */
void
seal_derive(const uint8_t key[SEAL_KEY_BYTES], struct gs_slice info, uint8_t out[SEAL_KEY_BYTES])
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    char digest[] = "SHA256";
    uint8_t secret[SEAL_KEY_BYTES];
    char text[SEAL_INFO_MAX];
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, sizeof(digest) - 1),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, secret, sizeof(secret)),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, text, info.len),
        OSSL_PARAM_END,
    };

    GS_ASSERT(ctx);
    GS_ASSERT(info.len > 0);
    GS_ASSERT(info.len <= sizeof(text));
    memcpy(secret, key, sizeof(secret)); /* OSSL_PARAM knows no const */
    memcpy(text, info.ptr, info.len);
    GS_ASSERT(EVP_KDF_derive(ctx, out, SEAL_KEY_BYTES, params) == 1);
    OPENSSL_cleanse(secret, sizeof(secret));
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

struct seal_aead {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *lock, *unlock; /* keep the cipher; key and nonce are new for each packet */
};

struct seal_aead *
seal_aead_new(void)
{
    struct seal_aead *a = gs_zalloc(sizeof(*a));

    a->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    a->lock = EVP_CIPHER_CTX_new();
    a->unlock = EVP_CIPHER_CTX_new();
    GS_ASSERT(a->cipher);
    GS_ASSERT(a->lock);
    GS_ASSERT(a->unlock);
    GS_ASSERT(EVP_CIPHER_get_key_length(a->cipher) == SEAL_KEY_BYTES);
    GS_ASSERT(EVP_CIPHER_get_iv_length(a->cipher) == SEAL_NONCE_BYTES);
    GS_ASSERT(EVP_EncryptInit_ex2(a->lock, a->cipher, NULL, NULL, NULL) == 1);
    GS_ASSERT(EVP_DecryptInit_ex2(a->unlock, a->cipher, NULL, NULL, NULL) == 1);
    return a;
}

void
seal_aead_free(struct seal_aead *a)
{
    if (!a)
        return;
    EVP_CIPHER_CTX_free(a->lock); /* wipes the last key */
    EVP_CIPHER_CTX_free(a->unlock);
    EVP_CIPHER_free(a->cipher);
    gs_free(a);
}

void
seal_lock(struct seal_aead *a, const uint8_t key[SEAL_KEY_BYTES],
          const uint8_t nonce[SEAL_NONCE_BYTES], struct gs_slice aad, struct gs_slice plain,
          char *out)
{
    uint8_t *to = (uint8_t *)out;
    int len = 0;

    GS_ASSERT(plain.len < INT_MAX);
    GS_ASSERT(aad.len < INT_MAX);
    GS_ASSERT(EVP_EncryptInit_ex2(a->lock, NULL, key, nonce, NULL) == 1);
    GS_ASSERT(EVP_EncryptUpdate(a->lock, NULL, &len, (const uint8_t *)aad.ptr, (int)aad.len) == 1);
    if (plain.len > 0)
        GS_ASSERT(
            EVP_EncryptUpdate(a->lock, to, &len, (const uint8_t *)plain.ptr, (int)plain.len) == 1);
    GS_ASSERT(EVP_EncryptFinal_ex(a->lock, to + plain.len, &len) == 1);
    GS_ASSERT(len == 0); /* counter mode holds nothing back */
    GS_ASSERT(EVP_CIPHER_CTX_ctrl(a->lock, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, to + plain.len) ==
              1);
}

bool
seal_unlock(struct seal_aead *a, const uint8_t key[SEAL_KEY_BYTES],
            const uint8_t nonce[SEAL_NONCE_BYTES], struct gs_slice aad, struct gs_slice sealed,
            char *out)
{
    uint8_t tag[SEAL_TAG_BYTES];
    uint8_t *to = (uint8_t *)out;
    size_t plain_len;
    bool good;
    int len = 0;

    if (sealed.len < SEAL_TAG_BYTES)
        return false;
    plain_len = sealed.len - SEAL_TAG_BYTES;
    GS_ASSERT(plain_len < INT_MAX);
    GS_ASSERT(aad.len < INT_MAX);
    memcpy(tag, sealed.ptr + plain_len, sizeof(tag));
    GS_ASSERT(EVP_DecryptInit_ex2(a->unlock, NULL, key, nonce, NULL) == 1);
    GS_ASSERT(EVP_CIPHER_CTX_ctrl(a->unlock, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) == 1);
    GS_ASSERT(EVP_DecryptUpdate(a->unlock, NULL, &len, (const uint8_t *)aad.ptr, (int)aad.len) ==
              1);
    if (plain_len > 0)
        GS_ASSERT(EVP_DecryptUpdate(a->unlock, to, &len, (const uint8_t *)sealed.ptr,
                                    (int)plain_len) == 1);
    good = EVP_DecryptFinal_ex(a->unlock, to + plain_len, &len) == 1;
    if (!good)
        OPENSSL_cleanse(out, plain_len); /* nobody shall look at what no tag vouches for */
    return good;
}

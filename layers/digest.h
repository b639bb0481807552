/* SHA-256 digests: the names of objects, packages and images.
 *
 * The hash is Nettle's: as fast as libcrypto's, which every process would load and relocate for a
 * millisecond. A VfHasher belongs to one thread and may be used again after vf_hasher_finish(). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VF_DIGEST_BYTES 32
#define VF_DIGEST_HEX   64

typedef struct {
  guint8 bytes[VF_DIGEST_BYTES];
} VfDigest;

typedef struct VfHasher VfHasher;
VfHasher *vf_hasher_new (void);
void vf_hasher_free (VfHasher *hasher);
void vf_hasher_update (VfHasher *hasher, const void *data, gsize length);
/* Ends the hash and makes the hasher ready for the next one. */
void vf_hasher_finish (VfHasher *hasher, VfDigest *out_digest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfHasher, vf_hasher_free)

void vf_digest_of (const void *data, gsize length, VfDigest *out_digest);

/* Lower-case hexadecimal with a terminating NUL. */
void vf_digest_to_hex (const VfDigest *digest, char out_hex[VF_DIGEST_HEX + 1]);
/* @prefix followed by those: a file named by its digest. The caller frees it. */
char *vf_digest_path (const char *prefix, const VfDigest *digest);
/* FALSE unless @hex begins with 64 hexadecimal digits (either case) and @length is 64. */
gboolean vf_digest_from_hex (const char *hex, gsize length, VfDigest *out_digest);
/* RECORD's form: urlsafe base64 without padding, 43 characters (PEP 376, PEP 427). */
void vf_digest_to_base64 (const VfDigest *digest, char out_text[44]);
gboolean vf_digest_from_base64 (const char *text, gsize length, VfDigest *out_digest);

/* For GHashTable. */
guint vf_digest_hash (gconstpointer digest);
gboolean vf_digest_equal (gconstpointer a, gconstpointer b);

G_END_DECLS

/* Identity: the hashes by which an image's nodes are ordered, numbered and dated.
 *
 * All of it is part of the on-disk format and of what users see (st_ino, st_mtime, listing order):
 * the same content must give the same answers in every release. */
#include "layers/image-format.h"

#include <string.h>

/* FNV-1a, then the finalizer of SplitMix64, since FNV leaves the high bits of short names poor. */
guint64
vf_name_hash (const char *name, gsize length)
{
  guint64 hash = G_GUINT64_CONSTANT (0xcbf29ce484222325);
  for (gsize i = 0; i < length; i++)
    hash = (hash ^ (guint8)name[i]) * G_GUINT64_CONSTANT (0x100000001b3);
  hash = (hash ^ (hash >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  hash = (hash ^ (hash >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  hash = (hash ^ (hash >> 31)) >> 1;
  return hash < 16 ? hash + 16 : hash;
}

guint32
vf_image_mtime_of (const VfDigest *digest)
{
  guint32 value;
  memcpy (&value, digest->bytes, sizeof value);
  return GUINT32_FROM_LE (value) & ((1u << VF_IMAGE_MTIME_BITS) - 1);
}

gint64
vf_content_mtime (const VfDigest *digest)
{
  return VF_IMAGE_EPOCH + vf_image_mtime_of (digest);
}

/* SHA-256 (path, NUL, type, salt, digest): a path holds no NUL, so no two nodes hash alike. */
guint64
vf_image_node_id (VfHasher *hasher, VfNodeType type, const char *path, gsize length,
                  const VfDigest *digest, guint8 salt)
{
  guint8 tail[3 + VF_DIGEST_BYTES] = {0, (guint8)type, salt};
  VfDigest result;
  guint64 id;

  if (length == 0)
    return VF_IMAGE_ROOT_ID;
  if (digest)
    memcpy (tail + 3, digest->bytes, VF_DIGEST_BYTES);
  vf_hasher_update (hasher, path, length);
  vf_hasher_update (hasher, tail, digest ? sizeof tail : 3);
  vf_hasher_finish (hasher, &result);
  memcpy (&id, result.bytes, sizeof id);
  return GUINT64_FROM_LE (id) & ((G_GUINT64_CONSTANT (1) << VF_IMAGE_ID_BITS) - 1);
}

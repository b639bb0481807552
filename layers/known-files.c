#include "layers/known-files.h"

#include <string.h>

#define FILES_TYPE "a(aytttxxay)"
/* Coarser than any clock that file systems take times from. */
#define YOUNG_NSEC (2 * G_GINT64_CONSTANT (1000000000))

typedef struct {
  guint64 device, inode, size;
  gint64 mtime_nsec, ctime_nsec;
  VfDigest digest;
} File;

struct VfKnownFiles {
  VfStore *store;             /* referenced */
  char *relative;             /* of the file in the store */
  GHashTable *former, *files; /* path → File */
  gint64 young_nsec;          /* what was changed since then is not remembered */
};

static gint64
nsec (const struct timespec *time)
{
  return time->tv_sec * G_GINT64_CONSTANT (1000000000) + time->tv_nsec;
}

static void
load (VfKnownFiles *known, GBytes *bytes)
{
  g_autoptr (GVariant) list =
      g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (FILES_TYPE), bytes, FALSE));
  GVariantIter iter;
  GVariant *path, *digest;
  File file;
  g_variant_iter_init (&iter, list);
  while (g_variant_iter_next (&iter, "(@aytttxx@ay)", &path, &file.device, &file.inode, &file.size,
                              &file.mtime_nsec, &file.ctime_nsec, &digest)) {
    gsize length;
    const void *data = g_variant_get_fixed_array (digest, &length, 1);
    if (length == sizeof file.digest) {
      memcpy (&file.digest, data, length);
      g_hash_table_insert (known->former, g_strdup (g_variant_get_bytestring (path)),
                           g_memdup2 (&file, sizeof file));
    }
    g_variant_unref (path);
    g_variant_unref (digest);
  }
}

VfKnownFiles *
vf_known_files_load (VfStore *store, const char *root)
{
  VfKnownFiles *known = g_new0 (VfKnownFiles, 1);
  VfDigest digest;
  vf_digest_of (root, strlen (root), &digest);
  known->store = vf_store_ref (store);
  known->relative = vf_digest_path ("cache/tree-", &digest);
  known->former = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  known->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  known->young_nsec = g_get_real_time () * 1000 - YOUNG_NSEC;
  g_autoptr (GBytes) bytes = vf_store_get (store, known->relative, NULL);
  if (bytes)
    load (known, bytes);
  return known;
}

void
vf_known_files_free (VfKnownFiles *known)
{
  g_hash_table_unref (known->files);
  g_hash_table_unref (known->former);
  g_free (known->relative);
  vf_store_unref (known->store);
  g_free (known);
}

static File
file_of (const struct stat *st)
{
  return (File){.device = st->st_dev,
                .inode = st->st_ino,
                .size = (guint64)st->st_size,
                .mtime_nsec = nsec (&st->st_mtim),
                .ctime_nsec = nsec (&st->st_ctim)};
}

gboolean
vf_known_files_find (VfKnownFiles *known, const char *path, const struct stat *st,
                     VfDigest *out_digest)
{
  const File *found = g_hash_table_lookup (known->former, path);
  File now = file_of (st);
  if (!found || memcmp (found, &now, G_STRUCT_OFFSET (File, digest)) != 0)
    return FALSE;
  *out_digest = found->digest;
  return TRUE;
}

void
vf_known_files_add (VfKnownFiles *known, const char *path, const struct stat *st,
                    const VfDigest *digest)
{
  File file = file_of (st);
  file.digest = *digest;
  if (file.ctime_nsec < known->young_nsec)
    g_hash_table_insert (known->files, g_strdup (path), g_memdup2 (&file, sizeof file));
}

gboolean
vf_known_files_save (VfKnownFiles *known, GError **error)
{
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE (FILES_TYPE));
  GHashTableIter iter;
  gpointer path, value;
  g_hash_table_iter_init (&iter, known->files);
  while (g_hash_table_iter_next (&iter, &path, &value)) {
    const File *file = value;
    g_variant_builder_add (
        &builder, "(^aytttxx@ay)", path, file->device, file->inode, file->size, file->mtime_nsec,
        file->ctime_nsec,
        g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, &file->digest, sizeof file->digest, 1));
  }
  g_autoptr (GVariant) list = g_variant_ref_sink (g_variant_builder_end (&builder));
  return vf_store_put (known->store, known->relative, g_variant_get_data (list),
                       g_variant_get_size (list), error);
}

/* The listings: their form, where they are, and what is known already. Compiling is
 * bytecode-compile.c's.
 *
 * Form: the magic, the number of entries, then for each entry the index of its source in the
 * package index, the size of the .pyc and its digest; integers are 32-bit little-endian, sources
 * ascend. So one listing is one byte string, and its digest can stand for it in an image id. */
#include "layers/bytecode.h"

#include <string.h>

#include "layers/error.h"
#include "layers/little-endian.h"

static const char magic[8] = "VfPyc 1\n";

#define HEAD_BYTES  (sizeof magic + 4)
#define ENTRY_BYTES (4 + 4 + VF_DIGEST_BYTES)

void
vf_bytecode_free (VfBytecode *bytecode)
{
  if (!bytecode)
    return;
  g_clear_pointer (&bytecode->entries, g_array_unref);
  g_free (bytecode);
}

char *
vf_bytecode_path (const VfInterpreter *interpreter, const VfDigest *package)
{
  g_autofree char *folder =
      g_strdup_printf ("bytecode/%s.%s/", interpreter->cache_tag, interpreter->bytecode_magic);
  return vf_digest_path (folder, package);
}

gboolean
vf_bytecode_is_module (const VfPackageFile *file)
{
  return (file->scheme == VF_SCHEME_PURELIB || file->scheme == VF_SCHEME_PLATLIB) &&
         g_str_has_suffix (file->path, ".py") && !g_str_has_suffix (file->path, "/.py") &&
         strcmp (file->path, ".py") != 0;
}

GBytes *
vf_bytecode_serialize (const GArray *entries)
{
  GByteArray *bytes = g_byte_array_sized_new ((guint)(HEAD_BYTES + entries->len * ENTRY_BYTES));
  guint32 count = GUINT32_TO_LE (entries->len);
  g_byte_array_append (bytes, (const guint8 *)magic, sizeof magic);
  g_byte_array_append (bytes, (const guint8 *)&count, sizeof count);
  for (guint i = 0; i < entries->len; i++) {
    const VfBytecodeEntry *entry = &g_array_index (entries, VfBytecodeEntry, i);
    guint32 head[2] = {GUINT32_TO_LE (entry->source), GUINT32_TO_LE (entry->size)};
    g_byte_array_append (bytes, (const guint8 *)head, sizeof head);
    g_byte_array_append (bytes, entry->digest.bytes, VF_DIGEST_BYTES);
  }
  return g_byte_array_free_to_bytes (bytes);
}

static gboolean
is_source (const VfPackage *package, guint32 source)
{
  return !package ||
         (source < package->files->len &&
          vf_bytecode_is_module (&g_array_index (package->files, VfPackageFile, source)));
}

static gboolean
parse_entries (VfBytecode *bytecode, const guint8 *data, guint32 count, const VfPackage *package)
{
  gint64 last = -1;
  g_array_set_size (bytecode->entries, count);
  for (guint32 i = 0; i < count; i++, data += ENTRY_BYTES) {
    VfBytecodeEntry *entry = &g_array_index (bytecode->entries, VfBytecodeEntry, i);
    entry->source = vf_get_u32 (data);
    entry->size = vf_get_u32 (data + 4);
    memcpy (entry->digest.bytes, data + 8, VF_DIGEST_BYTES);
    if ((gint64)entry->source <= last || entry->size == 0 || !is_source (package, entry->source))
      return FALSE;
    last = entry->source;
  }
  return TRUE;
}

VfBytecode *
vf_bytecode_parse (GBytes *bytes, const VfPackage *package, const char *what, GError **error)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  g_autoptr (VfBytecode) bytecode = g_new0 (VfBytecode, 1);
  bytecode->entries = g_array_new (FALSE, FALSE, sizeof (VfBytecodeEntry));
  guint64 count = length < HEAD_BYTES ? 0 : vf_get_u32 (data + sizeof magic);
  if (length != HEAD_BYTES + count * ENTRY_BYTES || memcmp (data, magic, sizeof magic) != 0 ||
      !parse_entries (bytecode, data + HEAD_BYTES, (guint32)count, package)) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: not a valid bytecode listing; run 'venvfs fsck'",
                  what);
    return NULL;
  }
  vf_digest_of (data, length, &bytecode->digest);
  return g_steal_pointer (&bytecode);
}

VfBytecode *
vf_bytecode_load (VfStore *store, const VfInterpreter *interpreter, const VfPackage *package,
                  GError **error)
{
  g_autofree char *path = vf_bytecode_path (interpreter, &package->digest);
  if (!vf_store_reuse (store, path))
    return NULL;
  g_autoptr (GError) local = NULL;
  g_autoptr (GBytes) bytes = vf_store_get (store, path, &local);
  if (bytes)
    return vf_bytecode_parse (bytes, package, path, error);
  if (!g_error_matches (local, VF_ERROR, VF_ERROR_NOT_FOUND))
    g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

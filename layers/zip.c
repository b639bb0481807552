/* Zip files: entries, their local headers, descriptors and data. End record and central directory
 * are zip-directory.c's. */
#include "layers/zip-private.h"

#include <libdeflate.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

#define LOCAL_BYTES      30
#define LOCAL_MAGIC      0x04034b50u
#define DESCRIPTOR_MAGIC 0x08074b50u

/* Name, extra field, 64-bit descriptor with its magic. */
#define ENTRY_OVERHEAD_MAX (LOCAL_BYTES + 2 * 65535 + 24)

VfZip *
vf_zip_open (int fd, const VfRules *rules, GError **error)
{
  struct stat st;
  if (fstat (fd, &st) < 0) {
    vf_error_errno (error, errno, "%s: cannot stat", rules->what);
    return NULL;
  }
  if (!S_ISREG (st.st_mode)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: not a regular file", rules->what);
    return NULL;
  }
  g_autoptr (VfZip) zip = g_new0 (VfZip, 1);
  zip->fd = fd;
  zip->rules = rules;
  zip->file_size = (guint64)st.st_size;
  zip->entries = g_array_new (FALSE, FALSE, sizeof (VfZipEntry));
  zip->names = g_string_chunk_new (16384);
  zip->inflater = libdeflate_alloc_decompressor ();
  if (!zip->inflater) {
    vf_error_set (error, VF_ERROR_FAILED, "%s: no memory to inflate", rules->what);
    return NULL;
  }
  if (!vf_zip_read_directory (zip, error))
    return NULL;
  return g_steal_pointer (&zip);
}

void
vf_zip_free (VfZip *zip)
{
  g_array_unref (zip->entries);
  g_string_chunk_free (zip->names);
  g_free (zip->tail);
  g_free (zip->buffer);
  if (zip->inflater)
    libdeflate_free_decompressor (zip->inflater);
  g_free (zip);
}

const VfZipEntry *
vf_zip_entries (const VfZip *zip, gsize *out_n)
{
  *out_n = zip->entries->len;
  return (const VfZipEntry *)zip->entries->data;
}

/* Reading beyond the end means that the file shrank since it was opened. */
gboolean
vf_zip_read (VfZip *zip, void *out, guint64 length, guint64 offset, GError **error)
{
  return vf_read_all (zip->fd, out, length, (goffset)offset, zip->rules->what, error);
}

/* --- Local headers --- */

/* A size or CRC that the local header leaves to the descriptor is 0 there, or right already. */
static gboolean
agrees (const VfZipEntry *entry, guint64 local, guint64 central)
{
  return local == central || ((entry->flags & VF_ZIP_FLAG_DESCRIPTOR) && local == 0);
}

/* What is wrong with the local header at @header, whose name and extra field follow, or NULL. */
static const char *
compare_local (const VfZipEntry *entry, const guint8 *header, gsize name_length, gsize extra_length,
               gboolean *out_zip64)
{
  const guint8 *name = header + LOCAL_BYTES;
  if (vf_get_u16 (header + 6) != entry->flags)
    return "another flag";
  if (vf_get_u16 (header + 8) != (entry->deflated ? VF_ZIP_DEFLATED : VF_ZIP_STORED))
    return "another method of compression";
  if (name_length != entry->name_length || memcmp (name, entry->name, name_length) != 0)
    return "another name";
  VfZipSizes sizes = {.compressed = vf_get_u32 (header + 18), .size = vf_get_u32 (header + 22)};
  if (!vf_zip_parse_extra (name + name_length, extra_length, &sizes, TRUE, out_zip64))
    return "a malformed extra field";
  if (!agrees (entry, vf_get_u32 (header + 14), entry->crc))
    return "another CRC";
  if (!agrees (entry, sizes.compressed, entry->compressed_size) ||
      !agrees (entry, sizes.size, entry->size))
    return "another size";
  return NULL;
}

/* A descriptor may begin with a magic number or not, and has 32-bit or 64-bit sizes: its length,
 * which the next entry gives, tells which (APPNOTE 4.3.9). */
static gboolean
check_descriptor (const VfZipEntry *entry, const guint8 *descriptor, guint64 length, gboolean zip64)
{
  if (length == 16 || length == 24) {
    if (vf_get_u32 (descriptor) != DESCRIPTOR_MAGIC)
      return FALSE;
    descriptor += 4;
    length -= 4;
  }
  if (length != 12 && length != 20)
    return FALSE;
  /* 64-bit sizes go with a ZIP64 field in the local header, and are needed beyond 4 GiB. */
  if (length == 12 ? entry->size > G_MAXUINT32 || entry->compressed_size > G_MAXUINT32 : !zip64)
    return FALSE;
  guint64 compressed = length == 12 ? vf_get_u32 (descriptor + 4) : vf_get_u64 (descriptor + 4);
  guint64 size = length == 12 ? vf_get_u32 (descriptor + 8) : vf_get_u64 (descriptor + 12);
  return vf_get_u32 (descriptor) == entry->crc && compressed == entry->compressed_size &&
         size == entry->size;
}

/* @part: the @length bytes of the file that are this entry's, by the central directory. */
static gboolean
check_part (VfZip *zip, const VfZipEntry *entry, const guint8 *part, guint64 length, GError **error)
{
  if (vf_get_u32 (part) != LOCAL_MAGIC)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_LOCAL, error,
                           "%s: no local header where the "
                           "central directory says",
                           entry->name);
  gsize name_length = vf_get_u16 (part + 26), extra_length = vf_get_u16 (part + 28);
  guint64 data_at = LOCAL_BYTES + name_length + extra_length;
  if (data_at > length || entry->compressed_size > length - data_at)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_OVERLAP, error, "%s: runs into what follows it",
                           entry->name);

  gboolean zip64 = FALSE;
  const char *wrong = compare_local (entry, part, name_length, extra_length, &zip64);
  if (wrong)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_LOCAL, error,
                           "%s: the local header says %s than the central directory", entry->name,
                           wrong);

  guint64 rest = length - data_at - entry->compressed_size;
  const guint8 *descriptor = part + data_at + entry->compressed_size;
  if (!(entry->flags & VF_ZIP_FLAG_DESCRIPTOR)) {
    if (rest > 0)
      return vf_rules_break (
          zip->rules,
          rest >= 4 && vf_get_u32 (descriptor) == DESCRIPTOR_MAGIC ? VF_RULE_ZIP_DESCRIPTOR
                                                                   : VF_RULE_ZIP_HIDDEN,
          error, "%s: %" G_GUINT64_FORMAT " bytes follow that belong to no entry", entry->name,
          rest);
  } else if (!check_descriptor (entry, descriptor, rest, zip64)) {
    return vf_rules_break (zip->rules, VF_RULE_ZIP_DESCRIPTOR, error,
                           "%s: the data descriptor is missing or says something else than the "
                           "central directory",
                           entry->name);
  }
  zip->data = part + data_at;
  return TRUE;
}

gboolean
vf_zip_fetch (VfZip *zip, const VfZipEntry *entry, VfHasher *file_hasher, GError **error)
{
  guint64 length = entry->end - entry->offset;
  zip->data = NULL;
  /* A gap of any size may stand before the next entry: refused before memory is taken for it. */
  if (length > entry->compressed_size + ENTRY_OVERHEAD_MAX)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_HIDDEN, error,
                           "%s: bytes follow that belong to no entry", entry->name);
  if (length > zip->buffer_size) {
    g_free (zip->buffer);
    zip->buffer_size = 0;
    zip->buffer = g_try_malloc (length);
    if (!zip->buffer)
      return vf_error_set (error, VF_ERROR_FAILED,
                           "%s: %s: no memory for %" G_GUINT64_FORMAT " bytes", zip->rules->what,
                           entry->name, length);
    zip->buffer_size = length;
  }
  if (!vf_zip_read (zip, zip->buffer, length, entry->offset, error))
    return FALSE;
  if (file_hasher)
    vf_hasher_update (file_hasher, zip->buffer, length);
  return check_part (zip, entry, zip->buffer, length, error);
}

/* --- Data --- */

gboolean
vf_zip_unpack (VfZip *zip, const VfZipEntry *entry, void *out, GError **error)
{
  if (entry->deflated) {
    gsize consumed = 0;
    enum libdeflate_result result = libdeflate_deflate_decompress_ex (
        zip->inflater, zip->data, entry->compressed_size, out, entry->size, &consumed, NULL);
    if (result != LIBDEFLATE_SUCCESS || consumed != entry->compressed_size)
      return vf_rules_break (zip->rules, VF_RULE_ZIP_DATA, error,
                             "%s: the compressed data is damaged or not as long as announced",
                             entry->name);
  } else {
    memcpy (out, zip->data, entry->size);
  }
  if (libdeflate_crc32 (0, out, entry->size) != entry->crc)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_DATA, error, "%s: the content has another CRC",
                           entry->name);
  return TRUE;
}

gboolean
vf_zip_hash_rest (VfZip *zip, VfHasher *file_hasher, GError **error)
{
  struct stat st;
  vf_hasher_update (file_hasher, zip->tail, zip->tail_size);
  if (fstat (zip->fd, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot stat", zip->rules->what);
  if ((guint64)st.st_size != zip->file_size)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: changed while it was read; try again",
                         zip->rules->what);
  return TRUE;
}

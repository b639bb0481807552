/* Zip files: end record, ZIP64 records and central directory (APPNOTE 4.3.12 to 4.3.16, 4.5).
 *
 * When it is done, the entries are known in the order of the file, each ends where the next begins,
 * the last where the central directory begins: so everything from the first byte to the last
 * belongs to something, and no size is larger than its bytes allow. */
#include "layers/zip-private.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "layers/error.h"

#define END_BYTES       22
#define END_MAGIC       0x06054b50u
#define LOCATOR_BYTES   20
#define LOCATOR_MAGIC   0x07064b50u
#define END64_BYTES     56
#define END64_MAGIC     0x06064b50u
#define CENTRAL_BYTES   46
#define CENTRAL_MAGIC   0x02014b50u
#define COMMENT_MAX     65535u
#define LOCAL_BYTES_MIN 30

#define EXTRA_ZIP64        0x0001
#define EXTRA_UNICODE_PATH 0x7075

/* Deflate's best: 258 bytes from two bits. */
#define RATIO_MAX 1032u

#define NAME_MAX_BYTES 4095

/* Where things are, in bytes from the start of the file. */
typedef struct {
  guint64 directory, directory_size, n_entries;
  guint64 end; /* of the end record */
} Layout;

/* --- End record --- */

/* Two readers that look for the end record from different ends must find the same one. */
static gboolean
comment_is_plain (const guint8 *comment, gsize length)
{
  for (gsize i = 0; i + 1 < length; i++)
    if (comment[i] == 'P' && comment[i + 1] == 'K')
      return FALSE;
  return TRUE;
}

/* Finds the end record in @tail, the last bytes of the file; G_MAXSIZE with @error set if it cannot
 * be had without doubt. */
static gsize
find_end (const VfZip *zip, const guint8 *tail, gsize length, GError **error)
{
  gboolean found_any = FALSE;
  for (gsize at = length - END_BYTES;; at--) {
    if (vf_get_u32 (tail + at) == END_MAGIC) {
      gsize comment = vf_get_u16 (tail + at + 20);
      found_any = TRUE;
      if (at + END_BYTES + comment == length) {
        if (comment_is_plain (tail + at + END_BYTES, comment))
          return at;
        vf_rules_break (zip->rules, VF_RULE_ZIP_COMMENT, error,
                        "the zip's comment may hold another zip");
        return G_MAXSIZE;
      }
    }
    if (at == 0)
      break;
  }
  if (found_any)
    vf_rules_break (zip->rules, VF_RULE_ZIP_TRAILING, error,
                    "bytes stand behind the end of the zip, or its end is cut off");
  else
    vf_rules_break (zip->rules, VF_RULE_ZIP_END, error,
                    "no end of a zip file: the file is cut off, or no wheel");
  return G_MAXSIZE;
}

static gboolean
fits (guint64 plain, guint64 full, guint64 saturated)
{
  return plain == full || plain == saturated;
}

/* Takes the ZIP64 record if there is one; what the plain record says must be the same or saturated.
 * @end: the plain record, at @layout->end of the file. */
static gboolean
read_end64 (VfZip *zip, const guint8 *end, Layout *layout, guint64 *out_directory_end,
            GError **error)
{
  guint8 locator[LOCATOR_BYTES], record[END64_BYTES];
  *out_directory_end = layout->end;
  gboolean saturated = layout->n_entries == 0xffff || layout->directory_size == G_MAXUINT32 ||
                       layout->directory == G_MAXUINT32;
  gboolean found = FALSE;
  if (layout->end >= LOCATOR_BYTES) {
    if (!vf_zip_read (zip, locator, LOCATOR_BYTES, layout->end - LOCATOR_BYTES, error))
      return FALSE;
    found = vf_get_u32 (locator) == LOCATOR_MAGIC;
  }
  if (!found)
    return !saturated ||
           vf_rules_break (zip->rules, VF_RULE_ZIP_64, error,
                           "the end record refers to a ZIP64 record that is not there");

  guint64 at = vf_get_u64 (locator + 8);
  if (layout->end < LOCATOR_BYTES + END64_BYTES || at != layout->end - LOCATOR_BYTES - END64_BYTES)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_64, error,
                           "the ZIP64 end record is not right before its locator, or has a data "
                           "sector of its own");
  if (!vf_zip_read (zip, record, END64_BYTES, at, error))
    return FALSE;
  if (vf_get_u32 (record) != END64_MAGIC || vf_get_u64 (record + 4) != END64_BYTES - 12 ||
      vf_get_u32 (record + 16) != 0 || vf_get_u32 (record + 20) != 0 ||
      vf_get_u32 (locator + 4) != 0 || vf_get_u32 (locator + 16) != 1 ||
      vf_get_u64 (record + 24) != vf_get_u64 (record + 32))
    return vf_rules_break (zip->rules, VF_RULE_ZIP_64, error, "the ZIP64 end record is malformed");
  if (!fits (layout->n_entries, vf_get_u64 (record + 32), 0xffff) ||
      !fits (layout->directory_size, vf_get_u64 (record + 40), G_MAXUINT32) ||
      !fits (layout->directory, vf_get_u64 (record + 48), G_MAXUINT32))
    return vf_rules_break (zip->rules, VF_RULE_ZIP_64, error,
                           "the ZIP64 end record says something else than the plain one");
  layout->n_entries = vf_get_u64 (record + 32);
  layout->directory_size = vf_get_u64 (record + 40);
  layout->directory = vf_get_u64 (record + 48);
  *out_directory_end = at;
  return TRUE;
}

static gboolean
read_end (VfZip *zip, Layout *layout, GError **error)
{
  if (zip->file_size < END_BYTES)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_END, error,
                           "no end of a zip file: the file is cut off, or no wheel");
  gsize length = (gsize)MIN (zip->file_size, END_BYTES + COMMENT_MAX);
  g_autofree guint8 *tail = g_malloc (length);
  if (!vf_zip_read (zip, tail, length, zip->file_size - length, error))
    return FALSE;
  gsize at = find_end (zip, tail, length, error);
  if (at == G_MAXSIZE)
    return FALSE;

  const guint8 *end = tail + at;
  *layout = (Layout){
      .end = zip->file_size - length + at,
      .n_entries = vf_get_u16 (end + 10),
      .directory_size = vf_get_u32 (end + 12),
      .directory = vf_get_u32 (end + 16),
  };
  if (vf_get_u16 (end + 4) != 0 || vf_get_u16 (end + 6) != 0)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_END, error, "the zip has several disks");
  if (vf_get_u16 (end + 8) != layout->n_entries)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_COUNT, error,
                           "the end record has two different numbers of entries");
  guint64 directory_end;
  if (!read_end64 (zip, end, layout, &directory_end, error))
    return FALSE;
  if (layout->directory > directory_end ||
      layout->directory_size != directory_end - layout->directory)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_END, error,
                           "the central directory does not reach from where the end record says "
                           "to the end record");
  return TRUE;
}

/* --- Extra fields --- */

/* A ZIP64 field holds 64 bits for each value that is saturated in the header, in this order, and
 * nothing else (APPNOTE 4.5.3). A local header's has both sizes; some writers (Bazel's) put it
 * there even where the plain ones say the same. */
static gboolean
take_zip64 (const guint8 *field, gsize length, VfZipSizes *sizes, gboolean local)
{
  guint64 *values[] = {&sizes->size, &sizes->compressed, local ? NULL : &sizes->offset};
  gboolean both = local && length == 16;
  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    if (!values[i] || (*values[i] != G_MAXUINT32 && !both))
      continue;
    if (length < 8 || (*values[i] != G_MAXUINT32 && *values[i] != vf_get_u64 (field)))
      return FALSE;
    *values[i] = vf_get_u64 (field);
    field += 8;
    length -= 8;
  }
  return length == 0;
}

gboolean
vf_zip_parse_extra (const guint8 *extra, gsize length, VfZipSizes *sizes, gboolean local,
                    gboolean *out_zip64)
{
  gboolean saturated = sizes->size == G_MAXUINT32 || sizes->compressed == G_MAXUINT32 ||
                       (!local && sizes->offset == G_MAXUINT32);
  *out_zip64 = FALSE;
  while (length >= 4) {
    guint16 id = vf_get_u16 (extra), size = vf_get_u16 (extra + 2);
    if (size > length - 4)
      return FALSE;
    if (id == EXTRA_UNICODE_PATH)
      return FALSE;
    if (id == EXTRA_ZIP64) {
      if (*out_zip64 || !take_zip64 (extra + 4, size, sizes, local))
        return FALSE;
      *out_zip64 = TRUE;
    }
    extra += 4 + size;
    length -= 4 + (gsize)size;
  }
  return length == 0 && (*out_zip64 || !saturated);
}

/* --- Central directory --- */

static gboolean
check_name (VfZip *zip, const char *name, gsize length, guint16 flags, GError **error)
{
  const char *wrong = NULL;
  gboolean ascii = TRUE;
  if (length == 0 || length > NAME_MAX_BYTES)
    wrong = "is empty or too long";
  else if (!g_utf8_validate (name, (gssize)length, NULL))
    wrong = "is not UTF-8";
  for (gsize i = 0; !wrong && i < length; i++) {
    guint8 c = (guint8)name[i];
    /* C1 control characters are U+0080 to U+009F: C2 80 to C2 9F. */
    if (c < 0x20 || c == 0x7f || (c == 0xc2 && (guint8)name[i + 1] < 0xa0))
      wrong = "has a control character";
    ascii = ascii && c < 0x80;
  }
  /* Without the flag it is in code page 437 by the specification, and read so by Python. */
  if (!wrong && !ascii && !(flags & VF_ZIP_FLAG_UTF8))
    wrong = "is not ASCII and not marked as UTF-8";
  if (!wrong)
    return TRUE;
  g_autofree char *shown = g_utf8_make_valid (name, (gssize)length);
  return vf_rules_break (zip->rules, VF_RULE_ZIP_NAME, error, "the name of entry \"%s\" %s", shown,
                         wrong);
}

/* By the mode that a Unix zip keeps in the upper half of the external attributes, whatever system
 * the zip says it is from. As for pip, x bits count where the mode also says "regular file": wheels
 * that were packed by other means (protobuf's) have 0777 and no type for every member. */
static gboolean
take_type (VfZip *zip, VfZipEntry *entry, guint32 mode, GError **error)
{
  gboolean slash = entry->name[entry->name_length - 1] == '/';
  guint32 type = mode & S_IFMT;
  entry->type = slash ? VF_ZIP_DIRECTORY : type == S_IFLNK ? VF_ZIP_SYMLINK : VF_ZIP_FILE;
  entry->executable = type == S_IFREG && !slash && (mode & 0111);
  gboolean known =
      slash ? type == S_IFDIR || type == 0 : type == S_IFREG || type == S_IFLNK || type == 0;
  if (!known)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_TYPE, error,
                           "%s: neither a file nor a directory nor a symbolic link (mode %o)",
                           entry->name, mode);
  if (slash && entry->size != 0)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_TYPE, error, "%s: a directory with content",
                           entry->name);
  return TRUE;
}

static gboolean
check_data (VfZip *zip, const VfZipEntry *entry, guint16 method, GError **error)
{
  if (entry->flags & (VF_ZIP_FLAG_ENCRYPTED | VF_ZIP_FLAG_STRONG | VF_ZIP_FLAG_MASKED))
    return vf_rules_break (zip->rules, VF_RULE_ZIP_ENCRYPTED, error, "%s: encrypted", entry->name);
  if ((method != VF_ZIP_STORED && method != VF_ZIP_DEFLATED) ||
      (entry->flags & VF_ZIP_FLAG_PATCHED))
    return vf_rules_break (zip->rules, VF_RULE_ZIP_METHOD, error,
                           "%s: compressed by method %u, not stored (0) or deflated (8)",
                           entry->name, method);
  if (method == VF_ZIP_STORED && entry->size != entry->compressed_size)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_DATA, error,
                           "%s: stored, with two different sizes", entry->name);
  if (entry->size / RATIO_MAX > entry->compressed_size)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_RATIO, error,
                           "%s: %" G_GUINT64_FORMAT " bytes cannot unpack to %" G_GUINT64_FORMAT,
                           entry->name, entry->compressed_size, entry->size);
  return TRUE;
}

/* One record at *@at; moves *@at behind it. */
static gboolean
read_entry (VfZip *zip, const Layout *layout, const guint8 **at, const guint8 *end, GError **error)
{
  const guint8 *record = *at;
  if ((gsize)(end - record) < CENTRAL_BYTES || vf_get_u32 (record) != CENTRAL_MAGIC)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_DIRECTORY, error,
                           "the central directory is damaged");
  gsize name_length = vf_get_u16 (record + 28), extra_length = vf_get_u16 (record + 30);
  gsize length = CENTRAL_BYTES + name_length + extra_length + vf_get_u16 (record + 32);
  if ((gsize)(end - record) < length || vf_get_u16 (record + 34) != 0)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_DIRECTORY, error,
                           "the central directory is damaged");
  const char *name = (const char *)record + CENTRAL_BYTES;
  guint16 flags = vf_get_u16 (record + 8), method = vf_get_u16 (record + 10);
  if (!check_name (zip, name, name_length, flags, error))
    return FALSE;

  VfZipEntry entry = {
      .name = g_string_chunk_insert_len (zip->names, name, (gssize)name_length),
      .name_length = (guint32)name_length,
      .flags = flags,
      .deflated = method == VF_ZIP_DEFLATED,
      .crc = vf_get_u32 (record + 16),
  };
  VfZipSizes sizes = {
      .compressed = vf_get_u32 (record + 20),
      .size = vf_get_u32 (record + 24),
      .offset = vf_get_u32 (record + 42),
  };
  gboolean zip64;
  if (!vf_zip_parse_extra ((const guint8 *)name + name_length, extra_length, &sizes, FALSE, &zip64))
    return vf_rules_break (zip->rules, VF_RULE_ZIP_EXTRA, error,
                           "%s: an extra field is malformed or ambiguous", entry.name);
  entry.compressed_size = sizes.compressed;
  entry.size = sizes.size;
  entry.offset = sizes.offset;
  if (entry.offset > layout->directory || entry.compressed_size > layout->directory - entry.offset)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_OVERLAP, error,
                           "%s: reaches into the central directory", entry.name);
  if (!take_type (zip, &entry, vf_get_u32 (record + 38) >> 16, error) ||
      !check_data (zip, &entry, method, error))
    return FALSE;
  g_array_append_val (zip->entries, entry);
  *at = record + length;
  return TRUE;
}

static int
compare_offsets (gconstpointer a, gconstpointer b)
{
  const VfZipEntry *first = a, *second = b;
  return first->offset < second->offset ? -1 : first->offset > second->offset;
}

/* Each entry ends where the next begins. Whether it fills that is seen when it is fetched. */
static gboolean
lay_out_entries (VfZip *zip, const Layout *layout, GError **error)
{
  g_array_sort (zip->entries, compare_offsets);
  VfZipEntry *entries = (VfZipEntry *)zip->entries->data;
  guint n = zip->entries->len;
  if ((n > 0 ? entries[0].offset : layout->directory) != 0)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_HIDDEN, error,
                           "bytes stand before the first entry");
  for (guint i = 0; i < n; i++) {
    entries[i].end = i + 1 < n ? entries[i + 1].offset : layout->directory;
    guint64 least = LOCAL_BYTES_MIN + entries[i].name_length + entries[i].compressed_size;
    if (entries[i].end - entries[i].offset < least)
      return vf_rules_break (zip->rules, VF_RULE_ZIP_OVERLAP, error,
                             "%s: its bytes belong to another entry too", entries[i].name);
  }
  return TRUE;
}

gboolean
vf_zip_read_directory (VfZip *zip, GError **error)
{
  Layout layout = {0};
  if (!read_end (zip, &layout, error))
    return FALSE;
  if (layout.n_entries > layout.directory_size / CENTRAL_BYTES)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_COUNT, error,
                           "the central directory is too short for %" G_GUINT64_FORMAT " entries",
                           layout.n_entries);
  zip->tail_size = zip->file_size - layout.directory;
  zip->tail = g_try_malloc (zip->tail_size);
  if (!zip->tail)
    return vf_error_set (error, VF_ERROR_FAILED, "%s: no memory for the central directory",
                         zip->rules->what);
  if (!vf_zip_read (zip, zip->tail, zip->tail_size, layout.directory, error))
    return FALSE;
  const guint8 *at = zip->tail, *end = zip->tail + layout.directory_size;
  while (at < end)
    if (!read_entry (zip, &layout, &at, end, error))
      return FALSE;
  if (zip->entries->len != layout.n_entries)
    return vf_rules_break (zip->rules, VF_RULE_ZIP_COUNT, error,
                           "the end record says %" G_GUINT64_FORMAT
                           " entries, the central directory has %u",
                           layout.n_entries, zip->entries->len);
  return lay_out_entries (zip, &layout, error);
}

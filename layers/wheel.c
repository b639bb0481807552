/* One wheel, from file to package. The names and the small files that say what the wheel is are
 * read first; then every entry once, in the order of the file: unpacked in memory, hashed, compared
 * with RECORD, handed to the batch, while the hash of the file itself goes along.
 *
 * Nothing here writes to the store but through the batch, so a wheel that is refused half-way
 * leaves nothing once the batch is given up. */
#include "layers/wheel-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

/* Larger contents are unpacked straight into a file of the store. */
#define MAP_BYTES_MIN (16u << 20)

static void
clear_wheel (VfWheel *wheel)
{
  g_free (wheel->name);
  g_free (wheel->version);
  g_free (wheel->items);
  g_free (wheel->dist_info);
  g_clear_pointer (&wheel->zip, vf_zip_free);
  g_clear_pointer (&wheel->by_name, g_hash_table_unref);
  g_clear_pointer (&wheel->record, vf_record_free);
  g_clear_pointer (&wheel->package, vf_package_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfWheel, clear_wheel)

/* --- Small files, read before the others --- */

VfWheelItem *
vf_wheel_info_item (VfWheel *wheel, const char *file)
{
  g_autofree char *name = g_strconcat (wheel->dist_info, "/", file, NULL);
  return g_hash_table_lookup (wheel->by_name, name);
}

char *
vf_wheel_read_item (VfWheel *wheel, VfWheelItem *item, gsize max_bytes, GError **error)
{
  const VfZipEntry *entry = item->entry;
  if (entry->size > max_bytes) {
    vf_rules_break (&wheel->rules, VF_RULE_ZIP_RATIO, error,
                    "%s: %" G_GUINT64_FORMAT " bytes are too many for a file of this kind",
                    entry->name, entry->size);
    return NULL;
  }
  g_autofree char *text = g_malloc (entry->size + 1);
  if (!vf_zip_fetch (wheel->zip, entry, NULL, error) ||
      !vf_zip_unpack (wheel->zip, entry, text, error))
    return NULL;
  text[entry->size] = '\0';
  vf_digest_of (text, entry->size, &item->digest);
  item->has_digest = TRUE;
  return g_steal_pointer (&text);
}

static gboolean
open_wheel (VfWheel *wheel, int fd, GError **error)
{
  wheel->zip = vf_zip_open (fd, &wheel->rules, error);
  if (!wheel->zip)
    return FALSE;
  const VfZipEntry *entries = vf_zip_entries (wheel->zip, &wheel->n_items);
  wheel->items = g_new0 (VfWheelItem, wheel->n_items);
  for (gsize i = 0; i < wheel->n_items; i++)
    wheel->items[i].entry = &entries[i];
  wheel->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  return vf_wheel_find_dist_info (wheel, error) && vf_wheel_read_info (wheel, error) &&
         vf_wheel_read_entry_points (wheel, error) && vf_wheel_read_record (wheel, error) &&
         vf_wheel_plan (wheel, error);
}

/* --- All files, in order --- */

typedef struct {
  VfWheel *wheel;
  VfObjectBatch *batch;
  VfHasher *file_hasher, *hasher;
  void *scratch; /* MAP_BYTES_MIN bytes: for contents up to that size */
  guint64 new_bytes;
} Pass;

/* The digest is set, what can be checked of the content is checked. */
static gboolean
check_content (Pass *pass, VfWheelItem *item, const void *content, GError **error)
{
  VfWheel *wheel = pass->wheel;
  VfDigest digest;
  vf_hasher_update (pass->hasher, content, item->entry->size);
  vf_hasher_finish (pass->hasher, &digest);
  if (item->has_digest && !vf_digest_equal (&digest, &item->digest))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: changed while it was read; try again",
                         wheel->rules.what);
  item->digest = digest;
  item->has_digest = TRUE;
  if (item->twin != 0 && !vf_digest_equal (&digest, &wheel->items[item->twin - 1].digest))
    return vf_rules_break (&wheel->rules, VF_RULE_ZIP_DUPLICATE, error,
                           "%s: twice, with different content", item->entry->name);
  return vf_wheel_check_record (wheel, item, content, error);
}

/* Modes: 0644, or 0755 for what has an x bit and for every script. */
static void
add_to_package (VfPackage *package, const VfWheelItem *item, const char *content)
{
  static const char python[] = "#!python";
  gboolean script = item->scheme == VF_SCHEME_SCRIPTS;
  gsize size = item->entry->size;
  gboolean rewritten =
      script && size >= strlen (python) && memcmp (content, python, strlen (python)) == 0;
  vf_package_add_file (package, item->scheme, item->path,
                       script || item->entry->executable ? 0755 : 0644, size, &item->digest,
                       rewritten ? VF_PACKAGE_FILE_PYTHON_SCRIPT : 0);
}

/* Unpacks the entry that was fetched into @out and checks it. */
static gboolean
unpack (Pass *pass, VfWheelItem *item, void *out, GError **error)
{
  if (!vf_zip_unpack (pass->wheel->zip, item->entry, out, error) ||
      !check_content (pass, item, out, error))
    return FALSE;
  if (item->installed)
    add_to_package (pass->wheel->package, item, out);
  return TRUE;
}

static gboolean
take_small (Pass *pass, VfWheelItem *item, GError **error)
{
  guint64 new_bytes = 0;
  if (!unpack (pass, item, pass->scratch, error))
    return FALSE;
  if (!item->installed || !pass->batch)
    return TRUE;
  if (!vf_object_batch_add (pass->batch, &item->digest, pass->scratch, item->entry->size,
                            &new_bytes, error))
    return FALSE;
  pass->new_bytes += new_bytes;
  return TRUE;
}

static gboolean
take_large (Pass *pass, VfWheelItem *item, GError **error)
{
  guint64 new_bytes = 0;
  g_autoptr (VfObjectMap) map = vf_object_batch_map (pass->batch, item->entry->size, error);
  if (!map || !unpack (pass, item, vf_object_map_data (map), error))
    return FALSE;
  if (!item->installed)
    return TRUE;
  if (!vf_object_batch_add_map (pass->batch, &item->digest, g_steal_pointer (&map), &new_bytes,
                                error))
    return FALSE;
  pass->new_bytes += new_bytes;
  return TRUE;
}

/* A wheel that is only judged. */
static gboolean
judge_large (Pass *pass, VfWheelItem *item, GError **error)
{
  g_autofree char *content = g_try_malloc (item->entry->size);
  if (!content)
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: %s: no memory for %" G_GUINT64_FORMAT " bytes",
                         pass->wheel->rules.what, item->entry->name, item->entry->size);
  return unpack (pass, item, content, error);
}

static gboolean
take_item (Pass *pass, VfWheelItem *item, GError **error)
{
  if (item->entry->size <= MAP_BYTES_MIN)
    return take_small (pass, item, error);
  return pass->batch ? take_large (pass, item, error) : judge_large (pass, item, error);
}

static gboolean
take_items (Pass *pass, const VfWheelOptions *options, GError **error)
{
  VfWheel *wheel = pass->wheel;
  for (gsize i = 0; i < wheel->n_items; i++) {
    VfWheelItem *item = &wheel->items[i];
    const VfZipEntry *entry = item->entry;
    if (g_cancellable_is_cancelled (options->cancellable))
      return vf_error_set (error, VF_ERROR_CANCELLED, "%s: interrupted", wheel->rules.what);
    if (!vf_zip_fetch (wheel->zip, entry, pass->file_hasher, error) ||
        !take_item (pass, item, error))
      return FALSE;
    if (options->done_bytes)
      __atomic_add_fetch (options->done_bytes, entry->end - entry->offset, __ATOMIC_RELAXED);
  }
  return TRUE;
}

static gboolean
check_file_digest (Pass *pass, const VfDigest *expected, VfDigest *out_sha256, GError **error)
{
  VfDigest found;
  if (!vf_zip_hash_rest (pass->wheel->zip, pass->file_hasher, error))
    return FALSE;
  vf_hasher_finish (pass->file_hasher, &found);
  if (out_sha256)
    *out_sha256 = found;
  if (!expected || vf_digest_equal (&found, expected))
    return TRUE;
  char wanted_hex[VF_DIGEST_HEX + 1], found_hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (expected, wanted_hex);
  vf_digest_to_hex (&found, found_hex);
  return vf_error_set (error, VF_ERROR_INVALID,
                       "%s: its SHA-256 is %s, expected was %s; if the download was not cut short, "
                       "somebody changed the file",
                       pass->wheel->rules.what, found_hex, wanted_hex);
}

VfPackage *
vf_wheel_ingest (VfObjectBatch *batch, const char *wheel_path, const VfWheelOptions *options,
                 VfDigest *out_sha256, guint64 *out_new_bytes, GError **error)
{
  g_auto (VfWheel) wheel = {.warnings = options->warnings};
  g_autofree char *file_name = g_path_get_basename (wheel_path);
  VF_AUTOFD fd = open (wheel_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    vf_error_errno (error, errno, "%s: cannot open", wheel_path);
    return NULL;
  }
  if (!vf_rules_init (&wheel.rules, wheel_path, options->accept, error) ||
      !vf_wheel_parse_name (&wheel, file_name, error) || !open_wheel (&wheel, fd, error))
    return NULL;

  g_autoptr (VfHasher) file_hasher = vf_hasher_new ();
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autofree char *scratch = g_malloc (MAP_BYTES_MIN);
  Pass pass = {
      .wheel = &wheel,
      .batch = batch,
      .file_hasher = file_hasher,
      .hasher = hasher,
      .scratch = scratch,
  };
  if (!take_items (&pass, options, error) ||
      !check_file_digest (&pass, options->expected, out_sha256, error))
    return NULL;
  if (out_new_bytes)
    *out_new_bytes = pass.new_bytes;
  return g_steal_pointer (&wheel.package);
}

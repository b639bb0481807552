/* RECORD against the files: it lists and hashes every one but itself and its signatures, and
 * nothing else (conformance: "RECORD lists and hashes every file"). */
#include "layers/wheel-private.h"

#include <string.h>

#include "layers/error.h"

#define RECORD_MAX_BYTES (64u << 20)

static gboolean
is_exempt (const VfWheel *wheel, const char *path)
{
  gsize length = strlen (wheel->dist_info);
  if (strncmp (path, wheel->dist_info, length) != 0 || path[length] != '/')
    return FALSE;
  path += length + 1;
  return strcmp (path, "RECORD") == 0 || strcmp (path, "RECORD.jws") == 0 ||
         strcmp (path, "RECORD.p7s") == 0;
}

static gboolean
rows_equal (const VfRecordRow *a, const VfRecordRow *b)
{
  return strcmp (a->algorithm, b->algorithm) == 0 && strcmp (a->hash, b->hash) == 0 &&
         a->has_size == b->has_size && a->size == b->size;
}

/* One row: finds its item. */
static gboolean
take_row (VfWheel *wheel, guint index, GError **error)
{
  const VfRecordRow *rows = (const VfRecordRow *)wheel->record->rows->data;
  const VfRecordRow *row = &rows[index];
  if (!vf_package_check_path (row->path, strlen (row->path)))
    return vf_rules_break (&wheel->rules, VF_RULE_RECORD_PATH, error,
                           "RECORD lists %s, which is no path in the wheel", row->path);
  VfWheelItem *item = g_hash_table_lookup (wheel->by_name, row->path);
  if (!item)
    return is_exempt (wheel, row->path) ||
           vf_rules_break (&wheel->rules, VF_RULE_RECORD_ABSENT, error,
                           "RECORD lists %s, which is not there", row->path);
  if (item->row != 0 && !rows_equal (&rows[item->row - 1], row))
    return vf_rules_break (&wheel->rules, VF_RULE_RECORD, error,
                           "RECORD lists %s twice, differently", row->path);
  item->row = index + 1;
  return TRUE;
}

static gboolean
check_all_listed (VfWheel *wheel, GError **error)
{
  for (gsize i = 0; i < wheel->n_items; i++) {
    const VfWheelItem *item = &wheel->items[i];
    const VfWheelItem *first = g_hash_table_lookup (wheel->by_name, item->entry->name);
    wheel->items[i].row = first->row;
    if (item->entry->type != VF_ZIP_DIRECTORY && item->row == 0 &&
        !is_exempt (wheel, item->entry->name) &&
        !vf_rules_break (&wheel->rules, VF_RULE_RECORD_UNLISTED, error, "RECORD does not list %s",
                         item->entry->name))
      return FALSE;
  }
  return TRUE;
}

gboolean
vf_wheel_read_record (VfWheel *wheel, GError **error)
{
  VfWheelItem *item = vf_wheel_info_item (wheel, "RECORD");
  if (!item)
    return vf_rules_break (&wheel->rules, VF_RULE_RECORD, error, "%s/RECORD is missing",
                           wheel->dist_info);
  g_autofree char *text = vf_wheel_read_item (wheel, item, RECORD_MAX_BYTES, error);
  if (!text)
    return FALSE;
  g_autoptr (GError) malformed = NULL;
  wheel->record = vf_record_parse (text, item->entry->size, "RECORD", &malformed);
  if (!wheel->record)
    return vf_rules_break (&wheel->rules, VF_RULE_RECORD, error, "%s", malformed->message);
  for (guint i = 0; i < wheel->record->rows->len; i++)
    if (!take_row (wheel, i, error))
      return FALSE;
  return check_all_listed (wheel, error);
}

/* Base64 without padding, urlsafe, of SHA-384 and SHA-512 as well. */
static gboolean
hash_matches (const VfRecordRow *row, GChecksumType type, const void *content, gsize length)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (type);
  for (const guchar *next = content; length > 0;) {
    gsize part = MIN (length, (gsize)G_MAXINT32);
    g_checksum_update (checksum, next, (gssize)part);
    next += part;
    length -= part;
  }
  guint8 digest[64];
  gsize digest_length = sizeof digest;
  g_checksum_get_digest (checksum, digest, &digest_length);
  g_autofree char *text = g_base64_encode (digest, digest_length);
  g_strdelimit (text, "+", '-');
  g_strdelimit (text, "/", '_');
  gsize significant = strcspn (text, "=");
  return strncmp (text, row->hash, significant) == 0 &&
         strspn (row->hash + significant, "=") == strlen (row->hash + significant);
}

static gboolean
check_hash (VfWheel *wheel, const VfWheelItem *item, const VfRecordRow *row, const void *content,
            GError **error)
{
  gsize length = item->entry->size;
  gboolean matches;
  if (strcmp (row->algorithm, "sha256") == 0) {
    VfDigest digest;
    matches = vf_digest_from_base64 (row->hash, strlen (row->hash), &digest) &&
              vf_digest_equal (&digest, &item->digest);
  } else if (strcmp (row->algorithm, "sha384") == 0) {
    matches = hash_matches (row, G_CHECKSUM_SHA384, content, length);
  } else if (strcmp (row->algorithm, "sha512") == 0) {
    matches = hash_matches (row, G_CHECKSUM_SHA512, content, length);
  } else {
    return vf_rules_break (&wheel->rules, VF_RULE_RECORD_NO_HASH, error, "RECORD has %s for %s",
                           *row->algorithm ? row->algorithm : "no hash", row->path);
  }
  return matches || vf_rules_break (&wheel->rules, VF_RULE_RECORD_HASH, error,
                                    "%s does not have the hash that RECORD says", row->path);
}

gboolean
vf_wheel_check_record (VfWheel *wheel, const VfWheelItem *item, const void *content, GError **error)
{
  if (item->row == 0 || is_exempt (wheel, item->entry->name))
    return TRUE;
  const VfRecordRow *row = &g_array_index (wheel->record->rows, VfRecordRow, item->row - 1);
  if (row->has_size && row->size != item->entry->size &&
      !vf_rules_break (&wheel->rules, VF_RULE_RECORD_SIZE, error,
                       "%s has %" G_GUINT64_FORMAT " bytes, RECORD says %" G_GUINT64_FORMAT,
                       row->path, item->entry->size, row->size))
    return FALSE;
  return check_hash (wheel, item, row, content, error);
}

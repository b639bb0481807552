#include "layers/belongings.h"

#include <string.h>

#include "layers/error.h"
#include "layers/package.h"
#include "layers/record.h"

#define DIST_INFO ".dist-info"

struct VfBelongings {
  GHashTable *names; /* set of normalised names */
  GHashTable *paths; /* set of paths */
};

VfBelongings *
vf_belongings_new (const char *const *names)
{
  VfBelongings *belongings = g_new0 (VfBelongings, 1);
  belongings->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  belongings->paths = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (; *names; names++)
    g_hash_table_add (belongings->names, vf_package_normalize_name (*names));
  return belongings;
}

void
vf_belongings_free (VfBelongings *belongings)
{
  g_hash_table_unref (belongings->paths);
  g_hash_table_unref (belongings->names);
  g_free (belongings);
}

/* "numpy-2.1.0.dist-info" when numpy is one of them. */
static gboolean
is_wanted (VfBelongings *belongings, const char *name)
{
  const char *dash = strchr (name, '-');
  if (!g_str_has_suffix (name, DIST_INFO) || !dash)
    return FALSE;
  g_autofree char *distribution = g_strndup (name, (gsize)(dash - name));
  g_autofree char *normalized = vf_package_normalize_name (distribution);
  return g_hash_table_contains (belongings->names, normalized);
}

/* @path as a RECORD in @site has it, relative to the environment; NULL if it leads out of it. */
static char *
resolve (const char *site, const char *path)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  g_autoptr (GString) result = g_string_new (*path == '/' ? NULL : site);
  for (char **name = names; *path != '/' && *name; name++) {
    if (strcmp (*name, "..") == 0) {
      const char *slash = strrchr (result->str, '/');
      if (result->len == 0)
        return NULL;
      g_string_truncate (result, slash ? (gsize)(slash - result->str) : 0);
    } else if (**name && strcmp (*name, ".") != 0)
      g_string_append_printf (result, "%s%s", result->len > 0 ? "/" : "", *name);
  }
  return result->len > 0 ? g_string_free (g_steal_pointer (&result), FALSE) : NULL;
}

static void
add_record (VfBelongings *belongings, const char *site, const char *text, gsize length)
{
  g_autoptr (VfRecord) record = vf_record_parse (text, length, "RECORD", NULL);
  for (guint i = 0; record && i < record->rows->len; i++) {
    char *path = resolve (site, g_array_index (record->rows, VfRecordRow, i).path);
    if (path)
      g_hash_table_add (belongings->paths, path);
  }
}

/* --- An image --- */

static gboolean
image_damaged (VfImage *image, GError **error)
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (vf_image_id (image), hex);
  return vf_error_set (error, VF_ERROR_DAMAGED, "images/%s: is damaged; run: venvfs fsck", hex);
}

static gboolean
add_site_of_image (VfBelongings *belongings, VfImage *image, const VfImageNode *site,
                   const char *path, GError **error)
{
  for (guint32 i = 0; i < site->n_children; i++) {
    VfImageNode info, record;
    if (vf_image_get (image, site->first_child + i, &info) < 0)
      return image_damaged (image, error);
    if (info.type == VF_NODE_DIRECTORY && is_wanted (belongings, info.name) &&
        vf_image_lookup (image, info.index, "RECORD", strlen ("RECORD"), &record) == 0 &&
        record.data)
      add_record (belongings, path, record.data, record.size);
  }
  return vf_image_status (image) == 0 || image_damaged (image, error);
}

gboolean
vf_belongings_add_image (VfBelongings *belongings, VfImage *image, GError **error)
{
  VfImageNode lib, python, site;
  if (vf_image_lookup_path (image, "lib", &lib) < 0)
    return TRUE;
  for (guint32 i = 0; i < lib.n_children; i++) {
    if (vf_image_get (image, lib.first_child + i, &python) < 0)
      return image_damaged (image, error);
    g_autofree char *path = g_strdup_printf ("lib/%s/site-packages", python.name);
    if (vf_image_lookup_path (image, path, &site) == 0 && site.type == VF_NODE_DIRECTORY &&
        !add_site_of_image (belongings, image, &site, path, error))
      return FALSE;
  }
  return TRUE;
}

/* --- A directory --- */

static gboolean
add_site_of_directory (VfBelongings *belongings, const char *root, const char *site, GError **error)
{
  g_autofree char *path = g_build_filename (root, site, NULL);
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name;
  while (directory && (name = g_dir_read_name (directory))) {
    g_autofree char *record = g_build_filename (path, name, "RECORD", NULL);
    g_autofree char *text = NULL;
    gsize length;
    g_autoptr (GError) cause = NULL;
    if (!is_wanted (belongings, name))
      continue;
    if (g_file_get_contents (record, &text, &length, &cause))
      add_record (belongings, site, text, length);
    else if (!g_error_matches (cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      return vf_error_set (error, VF_ERROR_FAILED, "%s: cannot be read: %s", record,
                           cause->message);
  }
  return TRUE;
}

gboolean
vf_belongings_add_directory (VfBelongings *belongings, const char *path, GError **error)
{
  g_autofree char *lib = g_build_filename (path, "lib", NULL);
  g_autoptr (GDir) directory = g_dir_open (lib, 0, NULL);
  const char *name;
  while (directory && (name = g_dir_read_name (directory))) {
    g_autofree char *site = g_strdup_printf ("lib/%s/site-packages", name);
    if (!add_site_of_directory (belongings, path, site, error))
      return FALSE;
  }
  return TRUE;
}

static gint
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

char **
vf_belongings_paths (VfBelongings *belongings)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer path;
  g_hash_table_iter_init (&iter, belongings->paths);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    g_ptr_array_add (paths, g_strdup (path));
  g_ptr_array_sort (paths, compare_paths);
  g_ptr_array_add (paths, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&paths), FALSE);
}

/* The files of a .dist-info directory that belong to an environment: RECORD, INSTALLER, REQUESTED
 * (PEP 376, PEP 627) and direct_url.json (PEP 610). */
#include <string.h>

#include "layers/merge-parts.h"
#include "layers/record.h"

static const char installer[] = "venvfs\n";

/* Where the package's .dist-info lies, and what its RECORD's paths are relative to. */
static const char *
library_of (const VfMerge *merge, const VfMergeItem *item)
{
  return item->package->root_is_purelib ? merge->interpreter->purelib : merge->interpreter->platlib;
}

void
vf_dist_info_record (const VfMerge *merge, VfMergeItem *item, const char *path,
                     const VfDigest *digest, guint64 size)
{
  const char *library = library_of (merge, item);
  gsize length = strlen (library);
  if (strncmp (path, library, length) == 0 && path[length] == '/') {
    vf_record_append (item->record, path + length + 1, digest, size);
    return;
  }
  g_autoptr (GString) relative = g_string_new ("../");
  for (const char *c = library; *c; c++)
    if (*c == '/')
      g_string_append (relative, "../");
  g_string_append (relative, path);
  vf_record_append (item->record, relative->str, digest, size);
}

static char *
path_of (const VfMerge *merge, const VfMergeItem *item, const char *name)
{
  return g_strconcat (library_of (merge, item), "/", item->package->dist_info, "/", name, NULL);
}

static gboolean
add_file (const VfMerge *merge, VfMergeItem *item, const char *name, const char *text,
          GError **error)
{
  VfDigest digest;
  gsize length = strlen (text);
  g_autofree char *path = path_of (merge, item, name);
  if (!vf_tree_add_inline (merge->tree, path, 0644, text, length, error))
    return FALSE;
  vf_tree_find (merge->tree, path, &digest);
  vf_dist_info_record (merge, item, path, &digest, length);
  return TRUE;
}

gboolean
vf_dist_info_add (const VfMerge *merge, VfMergeItem *item, GError **error)
{
  const VfInstalled *installed = item->installed;
  if (!add_file (merge, item, "INSTALLER", installer, error))
    return FALSE;
  if (installed->requested && !add_file (merge, item, "REQUESTED", "", error))
    return FALSE;
  if (installed->direct_url &&
      !add_file (merge, item, "direct_url.json", installed->direct_url, error))
    return FALSE;
  g_autofree char *path = path_of (merge, item, "RECORD");
  vf_dist_info_record (merge, item, path, NULL, 0);
  gsize length = item->record->len;
  char *text = g_string_free (g_steal_pointer (&item->record), FALSE);
  return vf_tree_take_inline (merge->tree, path, 0644, text, length, error);
}

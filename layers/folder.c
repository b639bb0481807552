/* Listing a folder of the store. All names are read before the first is acted on, since renaming
 * while reading may show an entry twice or not at all (readdir(3p)). */
#include "layers/folder.h"

#include <errno.h>

#include "layers/error.h"

gboolean
vf_folder_foreach (VfStore *store, const char *relative, VfFolderFunc func, gpointer user_data,
                   GError **error)
{
  g_autoptr (DIR) dir = vf_dir_open (vf_store_fd (store), relative);
  if (!dir && errno == ENOENT)
    return TRUE;
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autoptr (GStringChunk) strings = g_string_chunk_new (4096);
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    g_ptr_array_add (names, g_string_chunk_insert (strings, name));
  if (errno != 0)
    return vf_error_errno (error, errno, "%s/%s: cannot list", vf_store_path (store), relative);
  for (guint i = 0; i < names->len; i++)
    if (!func (names->pdata[i], user_data, error))
      return FALSE;
  return TRUE;
}

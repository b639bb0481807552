/* Listing a folder of the store. All names are read before the first is acted on, since renaming
 * while reading may show an entry twice or not at all (readdir(3p)). */
#include "layers/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "layers/error.h"

gboolean
vf_folder_foreach (VfStore *store, const char *relative, VfFolderFunc func, gpointer user_data,
                   GError **error)
{
  VF_AUTOFD fd =
      openat (vf_store_fd (store), relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT)
    return TRUE;
  DIR *dir = fd < 0 ? NULL : fdopendir (fd);
  if (!dir)
    return vf_error_errno (error, errno, "%s/%s: cannot list", vf_store_path (store), relative);
  vf_fd_steal (&fd);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autoptr (GStringChunk) strings = g_string_chunk_new (4096);
  struct dirent *entry;
  while ((errno = 0, entry = readdir (dir)))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_string_chunk_insert (strings, entry->d_name));
  int errnum = errno;
  closedir (dir);
  if (errnum != 0)
    return vf_error_errno (error, errnum, "%s/%s: cannot list", vf_store_path (store), relative);
  for (guint i = 0; i < names->len; i++)
    if (!func (names->pdata[i], user_data, error))
      return FALSE;
  return TRUE;
}

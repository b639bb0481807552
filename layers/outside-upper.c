#include "layers/outside-upper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/folder.h"

#define FOLDER "uppers"

typedef struct {
  VfStore *store;
  VfOutsideUpperFunc func;
  gpointer user_data;
} Walk;

gboolean
vf_outside_upper_record (VfStore *store, const char *path, GError **error)
{
  VfDigest digest;
  vf_digest_of (path, strlen (path), &digest);
  g_autofree char *relative = vf_digest_path (FOLDER "/", &digest);
  /* A store from before there were any has no such folder. */
  if (mkdirat (vf_store_fd (store), FOLDER, 0755) < 0 && errno != EEXIST)
    return vf_error_errno (error, errno, "%s/" FOLDER ": cannot be made", vf_store_path (store));
  return vf_store_put (store, relative, path, strlen (path), error);
}

static gboolean
visit (const char *name, gpointer user_data, GError **error)
{
  const Walk *walk = user_data;
  g_autofree char *relative = g_strconcat (FOLDER "/", name, NULL);
  g_autoptr (GError) cause = NULL;
  g_autoptr (GBytes) bytes = vf_store_get (walk->store, relative, &cause);
  if (!bytes && g_error_matches (cause, VF_ERROR, VF_ERROR_NOT_FOUND))
    return TRUE;
  gsize length = bytes ? g_bytes_get_size (bytes) : 0;
  g_autofree char *path = g_strndup (bytes ? g_bytes_get_data (bytes, NULL) : "", length);
  if (path[0] != '/' || strlen (path) != length)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: does not name an upper", relative);

  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *last = g_path_get_basename (path);
  struct stat st;
  VF_AUTOFD parent_fd = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent_fd < 0)
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: cannot be reached, and what this upper uses is not known, so nothing "
                         "is removed; mount its disk, or remove %s/%s if it is gone for good",
                         path, vf_store_path (walk->store), relative);
  if (fstatat (parent_fd, last, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
    unlinkat (vf_store_fd (walk->store), relative, 0);
    return TRUE;
  }
  return walk->func (parent_fd, last, parent, walk->user_data, error);
}

gboolean
vf_outside_upper_foreach (VfStore *store, VfOutsideUpperFunc func, gpointer user_data,
                          GError **error)
{
  Walk walk = {.store = store, .func = func, .user_data = user_data};
  return vf_folder_foreach (store, FOLDER, visit, &walk, error);
}

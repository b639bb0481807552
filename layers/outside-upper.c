#include "layers/outside-upper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/folder.h"

#define FOLDER         "uppers"
#define FSID_HEX_CHARS 16

typedef struct {
  VfStore *store;
  VfOutsideUpperFunc func;
  gpointer user_data;
} Walk;

/* Stays the same over a restart on most file systems; no two that are mounted have the same. */
static guint64
file_system_of (int fd)
{
  struct statfs st;
  if (fstatfs (fd, &st) < 0)
    return 0;
  return (guint64)(guint32)st.f_fsid.__val[0] << 32 | (guint32)st.f_fsid.__val[1];
}

static char *
record_of (const char *path)
{
  VfDigest digest;
  vf_digest_of (path, strlen (path), &digest);
  return vf_digest_path (FOLDER "/", &digest);
}

gboolean
vf_outside_upper_record (VfStore *store, const char *path, GError **error)
{
  g_autofree char *relative = record_of (path);
  /* A store from before there were any has no such folder. */
  if (mkdirat (vf_store_fd (store), FOLDER, 0755) < 0 && errno != EEXIST)
    return vf_error_errno (error, errno, "%s/" FOLDER ": cannot be made", vf_store_path (store));
  VF_AUTOFD fd = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot be opened", path);
  g_autoptr (GString) text = g_string_new (path);
  g_string_append_c (text, '\0');
  g_string_append_printf (text, "%016" G_GINT64_MODIFIER "x", file_system_of (fd));
  return vf_store_put (store, relative, text->str, text->len, error);
}

void
vf_outside_upper_forget (VfStore *store, const char *path)
{
  g_autofree char *relative = record_of (path);
  unlinkat (vf_store_fd (store), relative, 0);
}

/* The path, or NULL. *@out_fsid: 0 in one that was written before that was noted. */
static char *
parse (GBytes *bytes, guint64 *out_fsid)
{
  gsize length;
  const char *text = g_bytes_get_data (bytes, &length);
  g_autofree char *path = g_strndup (text, length);
  gsize path_length = strlen (path);
  g_autofree char *hex =
      path_length < length ? g_strndup (text + path_length + 1, length - path_length - 1) : NULL;
  *out_fsid = 0;
  if (path[0] != '/' || (hex && strlen (hex) != FSID_HEX_CHARS) ||
      (hex && !g_ascii_string_to_unsigned (hex, 16, 0, G_MAXUINT64, out_fsid, NULL)))
    return NULL;
  return g_steal_pointer (&path);
}

static gboolean
explain_away (const Walk *walk, const char *path, const char *relative, GError **error)
{
  return vf_error_set (error, VF_ERROR_FAILED,
                       "%s: cannot be reached, and what this upper uses is not known, so nothing "
                       "is removed; mount its disk, or remove %s/%s if it is gone for good",
                       path, vf_store_path (walk->store), relative);
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
  guint64 fsid;
  g_autofree char *path = bytes ? parse (bytes, &fsid) : NULL;
  if (!path)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: does not name an upper", relative);

  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *last = g_path_get_basename (path);
  struct stat st;
  VF_AUTOFD parent_fd = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent_fd < 0)
    return explain_away (walk, path, relative, error);
  if (fstatat (parent_fd, last, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
    if (file_system_of (parent_fd) != fsid)
      return explain_away (walk, path, relative, error);
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

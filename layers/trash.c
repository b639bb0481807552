/* Names in the trash, and its emptying. */
#include "layers/trash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

char *
vf_trash_path (const char *relative)
{
  char *path = g_strconcat (VF_TRASH_SWEEP "/", relative, NULL);
  g_strdelimit (path + strlen (VF_TRASH_SWEEP "/"), "/", ':');
  return path;
}

char *
vf_trash_origin (const char *name)
{
  if (!strchr (name, ':') || name[0] == ':' || strstr (name, "::") || strstr (name, ".."))
    return NULL;
  return g_strdelimit (g_strdup (name), ":", '/');
}

gboolean
vf_trash_is_fresh (VfStore *store, const char *trash_path, struct stat *out_st)
{
  return fstatat (vf_store_fd (store), trash_path, out_st, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG (out_st->st_mode) && out_st->st_mtime + VF_STORE_GRACE_SECONDS > time (NULL);
}

static guint64
measure (int dir_fd, const char *name, dev_t device, guint depth)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  guint64 bytes = (guint64)st.st_blocks * 512;
  if (!S_ISDIR (st.st_mode))
    return bytes / MAX (st.st_nlink, 1);
  g_autoptr (DIR) dir =
      st.st_dev == device && depth < VF_DEPTH_MAX ? vf_dir_open (dir_fd, name) : NULL;
  const char *child;
  while (dir && (child = vf_dir_next (dir)))
    bytes += measure (dirfd (dir), child, device, depth + 1);
  return bytes;
}

guint64
vf_trash_measure (int dir_fd, const char *name)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  return measure (dir_fd, name, st.st_dev, 0);
}

gboolean
vf_trash_remove (VfStore *store, const char *name, gint64 deadline_usec)
{
  VF_AUTOFD fd =
      openat (vf_store_fd (store), "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  return fd >= 0 && vf_remove_tree_until (fd, name, deadline_usec, name, NULL);
}

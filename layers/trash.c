/* Names in the trash, and its emptying. */
#include "layers/trash.h"

#include <dirent.h>
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

typedef struct {
  dev_t device;
  gboolean remove;
  gint64 deadline_usec;
  guint64 bytes;
} Walk;

static gboolean walk_entry (Walk *walk, int dir_fd, const char *name);

static gboolean
walk_children (Walk *walk, int fd)
{
  DIR *dir = fdopendir (dup (fd));
  if (!dir)
    return FALSE;
  gboolean all = TRUE;
  struct dirent *entry;
  while (all && (entry = readdir (dir)))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      all = walk_entry (walk, fd, entry->d_name);
  closedir (dir);
  return all;
}

static int
open_directory (Walk *walk, int dir_fd, const char *name)
{
  int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  VF_AUTOFD fd = openat (dir_fd, name, flags);
  /* It is on its way out: its mode does not matter any more. */
  if (fd < 0 && errno == EACCES && walk->remove && fchmodat (dir_fd, name, 0700, 0) == 0)
    fd = openat (dir_fd, name, flags);
  struct stat st;
  if (fd < 0 || fstat (fd, &st) < 0 || st.st_dev != walk->device)
    return -1;
  if (walk->remove && (st.st_mode & S_IRWXU) != S_IRWXU)
    fchmod (fd, 0700);
  return vf_fd_steal (&fd);
}

static gboolean
walk_entry (Walk *walk, int dir_fd, const char *name)
{
  if (walk->deadline_usec != 0 && g_get_monotonic_time () > walk->deadline_usec)
    return FALSE;
  struct stat st;
  if (walk->remove && (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT))
    return TRUE;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT;
  guint64 bytes = (guint64)st.st_blocks * 512;
  walk->bytes += S_ISDIR (st.st_mode) ? bytes : bytes / MAX (st.st_nlink, 1);
  if (!S_ISDIR (st.st_mode))
    return !walk->remove;
  VF_AUTOFD fd = open_directory (walk, dir_fd, name);
  if (fd < 0 || !walk_children (walk, fd))
    return FALSE;
  return !walk->remove || unlinkat (dir_fd, name, AT_REMOVEDIR) == 0;
}

guint64
vf_trash_measure (int dir_fd, const char *name)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  Walk walk = {.device = st.st_dev};
  walk_entry (&walk, dir_fd, name);
  return walk.bytes;
}

gboolean
vf_trash_remove (VfStore *store, const char *name, gint64 deadline_usec)
{
  VF_AUTOFD fd =
      openat (vf_store_fd (store), "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  struct stat st;
  if (fd < 0 || fstat (fd, &st) < 0)
    return FALSE;
  Walk walk = {.device = st.st_dev, .remove = TRUE, .deadline_usec = deadline_usec};
  return walk_entry (&walk, fd, name);
}

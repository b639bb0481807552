/* Each directory of a walk takes a descriptor and stack, so what is too deep waits by its path
 * until the walk above it has ended. */
#include "layers/upper-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/io.h"

typedef struct {
  const VfUpperVisitor *visitor;
  GPtrArray *deep; /* of char *: paths of directories whose children are still to be visited */
} Walk;

static gboolean walk_children (Walk *walk, DIR *dir, const char *path, guint depth, GError **error);

static gboolean
fail (const Walk *walk, const char *path, int errnum, const char *what, GError **error)
{
  const VfUpperVisitor *visitor = walk->visitor;
  return visitor->failed (path, errnum, what, visitor->user_data, error);
}

static gboolean
tell (const Walk *walk, int dir_fd, const char *name, mode_t mode, const char *path, GError **error)
{
  g_auto (VfMarks) marks = {0};
  int result = vf_marks_read (dir_fd, name, mode, &marks);
  if (result == -ENOENT)
    return TRUE;
  return result < 0 ? fail (walk, path, -result, "its attributes cannot be read", error)
                    : walk->visitor->found (path, &marks, walk->visitor->user_data, error);
}

static gboolean
walk_entry (Walk *walk, int dir_fd, const char *name, const char *path, guint depth, GError **error)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT || fail (walk, path, errno, "cannot be examined", error);
  if (!S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode))
    return TRUE;
  if (!tell (walk, dir_fd, name, st.st_mode, path, error))
    return FALSE;
  if (!S_ISDIR (st.st_mode))
    return TRUE;
  if (depth == VF_DEPTH_MAX) {
    g_ptr_array_add (walk->deep, g_strdup (path));
    return TRUE;
  }
  g_autoptr (DIR) dir = vf_dir_open (dir_fd, name);
  return dir ? walk_children (walk, dir, path, depth + 1, error)
             : errno == ENOENT || fail (walk, path, errno, "cannot be listed", error);
}

static gboolean
walk_children (Walk *walk, DIR *dir, const char *path, guint depth, GError **error)
{
  const char *name;
  while ((name = vf_dir_next (dir))) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    if (!walk_entry (walk, dirfd (dir), name, child, depth, error))
      return FALSE;
  }
  return errno == 0 || fail (walk, path, errno, "cannot be listed", error);
}

/* Name by name: a path may be longer than a system call takes. NULL with errno. */
static DIR *
open_deep (int dir_fd, const char *name, const char *below)
{
  g_auto (GStrv) names = g_strsplit (below, "/", -1);
  VF_AUTOFD fd = openat (dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  for (char **next = names; fd >= 0 && *next; next++) {
    int inner = openat (fd, *next, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    vf_fd_clear (&fd);
    fd = inner;
  }
  return fd < 0 ? NULL : vf_dir_open (fd, ".");
}

gboolean
vf_upper_walk (int dir_fd, const char *name, const char *top, const VfUpperVisitor *visitor,
               GError **error)
{
  g_autoptr (GPtrArray) deep = g_ptr_array_new_with_free_func (g_free);
  Walk walk = {.visitor = visitor, .deep = deep};
  gboolean ok = walk_entry (&walk, dir_fd, name, top, 0, error);
  while (ok && deep->len > 0) {
    g_autofree char *path = g_ptr_array_steal_index_fast (deep, deep->len - 1);
    g_autoptr (DIR) dir = open_deep (dir_fd, name, path + strlen (top) + 1);
    ok = dir ? walk_children (&walk, dir, path, 1, error)
             : fail (&walk, path, errno, "cannot be listed", error);
  }
  return ok;
}

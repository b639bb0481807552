#include "layers/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"

void
vf_fd_clear (int *fd)
{
  if (*fd < 0)
    return;
  int saved_errno = errno;
  if (close (*fd) < 0 && errno == EBADF)
    g_critical ("descriptor %d was closed before by somebody else", *fd);
  errno = saved_errno;
  *fd = -1;
}

const char *
vf_proc_path (VfProcPath *path, int fd, const char *name)
{
  g_snprintf (path->text, sizeof path->text, "/proc/self/fd/%d%s%s", fd, name ? "/" : "",
              name ? name : "");
  return path->text;
}

gboolean
vf_write_all (int fd, const void *data, gsize length, const char *what, GError **error)
{
  const char *next = data;
  while (length > 0) {
    ssize_t n = write (fd, next, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return vf_error_errno (error, errno, "%s: cannot write", what);
    next += n;
    length -= (gsize)n;
  }
  return TRUE;
}

gboolean
vf_read_all (int fd, void *data, gsize length, goffset offset, const char *what, GError **error)
{
  char *next = data;
  while (length > 0) {
    ssize_t n = pread (fd, next, length, offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return vf_error_errno (error, errno, "%s: cannot read", what);
    if (n == 0)
      return vf_error_set (error, VF_ERROR_DAMAGED, "%s: ends too early", what);
    next += n;
    offset += n;
    length -= (gsize)n;
  }
  return TRUE;
}

GBytes *
vf_read_file (int dir_fd, const char *name, gsize max_bytes, const char *what, GError **error)
{
  VF_AUTOFD fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat st;
  if (fd < 0 || fstat (fd, &st) < 0) {
    vf_error_errno (error, errno, "%s: cannot open", what);
    return NULL;
  }
  if (!S_ISREG (st.st_mode)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: not a regular file", what);
    return NULL;
  }
  if ((guint64)st.st_size > max_bytes) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: larger than %" G_GSIZE_FORMAT " bytes", what,
                  max_bytes);
    return NULL;
  }
  g_autofree char *data = g_malloc ((gsize)st.st_size + 1);
  if (!vf_read_all (fd, data, (gsize)st.st_size, 0, what, error))
    return NULL;
  data[st.st_size] = '\0';
  return g_bytes_new_take (g_steal_pointer (&data), (gsize)st.st_size);
}

/* Writes a file of a name that nobody has beside @name, and renames it over that. */
static gboolean
replace_file (int dir_fd, const char *name, mode_t mode, const void *data, gsize length,
              gboolean durably, const char *what, GError **error)
{
  g_autofree char *tmp =
      g_strdup_printf ("%s.%08x%08x.tmp", name, g_random_int (), g_random_int ());
  VF_AUTOFD fd = openat (dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot create", what);
  gboolean ok = vf_write_all (fd, data, length, what, error);
  if (ok && (fchmod (fd, mode) < 0 || (durably && fsync (fd) < 0)))
    ok = vf_error_errno (error, errno, "%s: cannot write", what);
  if (ok && renameat (dir_fd, tmp, dir_fd, name) < 0)
    ok = vf_error_errno (error, errno, "%s: cannot replace", what);
  if (!ok)
    unlinkat (dir_fd, tmp, 0);
  return ok;
}

gboolean
vf_replace_file_soon (int dir_fd, const char *name, mode_t mode, const void *data, gsize length,
                      const char *what, GError **error)
{
  return replace_file (dir_fd, name, mode, data, length, FALSE, what, error);
}

gboolean
vf_replace_file (int dir_fd, const char *name, mode_t mode, const void *data, gsize length,
                 const char *what, GError **error)
{
  if (!replace_file (dir_fd, name, mode, data, length, TRUE, what, error))
    return FALSE;
  VF_AUTOFD sync_fd = openat (dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const char *slash = strrchr (name, '/');
  if (slash) {
    g_autofree char *parent = g_strndup (name, (gsize)(slash - name));
    vf_fd_clear (&sync_fd);
    sync_fd = openat (dir_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (sync_fd < 0 || fsync (sync_fd) < 0)
    return vf_error_errno (error, errno, "%s: cannot sync its directory", what);
  return TRUE;
}

gboolean
vf_make_path (int dir_fd, const char *path, const char *what, GError **error)
{
  g_autofree char *prefix = g_strdup (path);
  for (char *slash = prefix + 1;; slash++) {
    if (*slash != '/' && *slash != '\0')
      continue;
    char end = *slash;
    *slash = '\0';
    if (mkdirat (dir_fd, prefix, 0700) < 0 && errno != EEXIST)
      return vf_error_errno (error, errno, "%s: cannot make the directory", what);
    *slash = end;
    if (end == '\0')
      return TRUE;
  }
}

/* --- Listing --- */

DIR *
vf_dir_of_fd (int fd)
{
  VF_AUTOFD owned = fd;
  DIR *dir = owned < 0 ? NULL : fdopendir (owned);
  if (dir)
    vf_fd_steal (&owned);
  return dir;
}

DIR *
vf_dir_open (int dir_fd, const char *name)
{
  return vf_dir_of_fd (openat (dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

const char *
vf_dir_next (DIR *dir)
{
  const struct dirent *entry;
  do {
    errno = 0;
    entry = readdir (dir);
  } while (entry && (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0));
  return entry ? entry->d_name : NULL;
}

/* --- Removing trees --- */

typedef struct {
  int top_fd;
  gint64 deadline_usec;
  const char *what;
  guint n_moved; /* to the top, from too deep below */
  guint last_name;
} Removal;

static gboolean remove_children (Removal *removal, DIR *dir, guint depth, GError **error);

static DIR *
open_for_removal (Removal *removal, int dir_fd, const char *name, GError **error)
{
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  VF_AUTOFD fd = openat (dir_fd, name, flags);
  /* It is on its way out: its mode does not matter any more. */
  if (fd < 0 && errno == EACCES && fchmodat (dir_fd, name, 0700, 0) == 0)
    fd = openat (dir_fd, name, flags);
  struct statx st;
  if (fd < 0 || statx (fd, "", AT_EMPTY_PATH, STATX_MODE, &st) < 0) {
    vf_error_errno (error, errno, "%s: cannot open %s", removal->what, name);
    return NULL;
  }
  /* Device numbers would not tell a bind mount of the same file system. */
  if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
    vf_error_errno (error, EXDEV, "%s: %s is a mount point", removal->what, name);
    return NULL;
  }
  if ((st.stx_mode & S_IRWXU) != S_IRWXU)
    fchmod (fd, 0700);
  DIR *dir = vf_dir_of_fd (vf_fd_steal (&fd));
  if (!dir)
    vf_error_errno (error, errno, "%s: cannot list %s", removal->what, name);
  return dir;
}

/* Further down there may be neither descriptors nor stack. */
static gboolean
move_to_top (Removal *removal, int dir_fd, const char *name, GError **error)
{
  char free_name[32];
  int result;
  do {
    g_snprintf (free_name, sizeof free_name, "deep-%u", ++removal->last_name);
    result = renameat2 (dir_fd, name, removal->top_fd, free_name, RENAME_NOREPLACE);
  } while (result < 0 && errno == EEXIST);
  if (result < 0)
    return vf_error_errno (error, errno, "%s: cannot move %s", removal->what, name);
  removal->n_moved++;
  return TRUE;
}

static gboolean
remove_directory (Removal *removal, int dir_fd, const char *name, guint depth, GError **error)
{
  g_autoptr (DIR) dir = open_for_removal (removal, dir_fd, name, error);
  if (!dir)
    return FALSE;
  if (depth == 0)
    removal->top_fd = dirfd (dir);
  gboolean ok = depth == VF_DEPTH_MAX ? move_to_top (removal, dir_fd, name, error)
                                      : remove_children (removal, dir, depth + 1, error);
  while (ok && depth == 0 && removal->n_moved > 0) {
    removal->n_moved = 0;
    rewinddir (dir);
    ok = remove_children (removal, dir, 1, error);
  }
  return ok &&
         (depth == VF_DEPTH_MAX || unlinkat (dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ||
          vf_error_errno (error, errno, "%s: cannot remove %s", removal->what, name));
}

static gboolean
remove_entry (Removal *removal, int dir_fd, const char *name, guint depth, GError **error)
{
  if (removal->deadline_usec != 0 && g_get_monotonic_time () > removal->deadline_usec)
    return vf_error_set (error, VF_ERROR_CANCELLED, "%s: takes too long", removal->what);
  if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
    return TRUE;
  return errno == EISDIR
             ? remove_directory (removal, dir_fd, name, depth, error)
             : vf_error_errno (error, errno, "%s: cannot remove %s", removal->what, name);
}

static gboolean
remove_children (Removal *removal, DIR *dir, guint depth, GError **error)
{
  gboolean ok = TRUE;
  const char *name;
  while (ok && (name = vf_dir_next (dir)))
    ok = remove_entry (removal, dirfd (dir), name, depth, error);
  return ok;
}

gboolean
vf_remove_tree_until (int dir_fd, const char *name, gint64 deadline_usec, const char *what,
                      GError **error)
{
  Removal removal = {.top_fd = -1, .deadline_usec = deadline_usec, .what = what};
  return remove_entry (&removal, dir_fd, name, 0, error);
}

gboolean
vf_remove_tree (int dir_fd, const char *name, const char *what, GError **error)
{
  return vf_remove_tree_until (dir_fd, name, 0, what, error);
}

gboolean
vf_depth_check (guint depth, const char *top, GError **error)
{
  return depth < VF_DEPTH_MAX ||
         vf_error_set (error, VF_ERROR_INVALID,
                       "%s: has more than %d directories one in the other; move the inner ones up",
                       top, VF_DEPTH_MAX);
}

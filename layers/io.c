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
  close (*fd);
  errno = saved_errno;
  *fd = -1;
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

static gboolean
write_durably (int fd, mode_t mode, const void *data, gsize length, const char *what,
               GError **error)
{
  if (!vf_write_all (fd, data, length, what, error))
    return FALSE;
  if (fchmod (fd, mode) < 0 || fsync (fd) < 0)
    return vf_error_errno (error, errno, "%s: cannot write", what);
  return TRUE;
}

gboolean
vf_replace_file (int dir_fd, const char *name, mode_t mode, const void *data, gsize length,
                 const char *what, GError **error)
{
  g_autofree char *tmp =
      g_strdup_printf ("%s.%08x%08x.tmp", name, g_random_int (), g_random_int ());
  VF_AUTOFD fd = openat (dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot create", what);
  if (!write_durably (fd, mode, data, length, what, error)) {
    unlinkat (dir_fd, tmp, 0);
    return FALSE;
  }
  if (renameat (dir_fd, tmp, dir_fd, name) < 0) {
    int errnum = errno;
    unlinkat (dir_fd, tmp, 0);
    return vf_error_errno (error, errnum, "%s: cannot replace", what);
  }
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

static gboolean remove_children (int fd, const char *what, GError **error);

static gboolean
remove_entry (int dir_fd, const char *name, const char *what, GError **error)
{
  if (unlinkat (dir_fd, name, 0) == 0 || errno == ENOENT)
    return TRUE;
  if (errno != EISDIR)
    return vf_error_errno (error, errno, "%s: cannot remove %s", what, name);

  VF_AUTOFD fd = openat (dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == EACCES && fchmodat (dir_fd, name, 0700, 0) == 0)
    fd = openat (dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  struct statx st;
  if (fd < 0 || statx (fd, "", AT_EMPTY_PATH, STATX_MODE, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot open %s", what, name);
  /* Device numbers would not tell a bind mount of the same file system. */
  if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
    return vf_error_errno (error, EXDEV, "%s: %s is a mount point", what, name);
  if ((st.stx_mode & S_IRWXU) != S_IRWXU)
    fchmod (fd, 0700);
  if (!remove_children (fd, what, error))
    return FALSE;
  if (unlinkat (dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
    return vf_error_errno (error, errno, "%s: cannot remove %s", what, name);
  return TRUE;
}

static gboolean
remove_children (int fd, const char *what, GError **error)
{
  VF_AUTOFD list_fd = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  DIR *dir = list_fd < 0 ? NULL : fdopendir (list_fd);
  if (!dir)
    return vf_error_errno (error, errno, "%s: cannot list", what);
  vf_fd_steal (&list_fd);
  gboolean ok = TRUE;
  struct dirent *entry;
  while (ok && (entry = readdir (dir)))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      ok = remove_entry (fd, entry->d_name, what, error);
  closedir (dir);
  return ok;
}

gboolean
vf_remove_tree (int dir_fd, const char *name, const char *what, GError **error)
{
  return remove_entry (dir_fd, name, what, error);
}

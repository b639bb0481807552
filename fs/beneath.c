#include "fs/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layers/io.h"

/* RESOLVE_NO_MAGICLINKS is implied by NO_SYMLINKS. EAGAIN: a rename raced with the walk. */
static int
open_piece (int dir_fd, const char *path, int flags, mode_t mode)
{
  struct open_how how = {.flags = (guint64)(flags | O_CLOEXEC | O_NOFOLLOW),
                         .mode = (flags & O_CREAT) ? mode : 0,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
  /* O_PATH|O_NOFOLLOW is how a symlink itself is opened, which NO_SYMLINKS permits. */
  for (;;) {
    int fd = (int)syscall (SYS_openat2, dir_fd, path, &how, sizeof how);
    if (fd >= 0)
      return fd;
    if (errno != EAGAIN && errno != EINTR)
      return -errno;
  }
}

/* The last slash such that what stands before it fits into one system call. */
static const char *
last_slash_that_fits (const char *path)
{
  const char *slash = path + PATH_MAX - 2;
  while (slash > path && *slash != '/')
    slash--;
  return slash > path ? slash : NULL;
}

int
vf_beneath_open (int dir_fd, const char *path, int flags, mode_t mode)
{
  VF_AUTOFD walked_fd = -1;
  while (strlen (path) >= PATH_MAX) {
    const char *slash = last_slash_that_fits (path);
    if (!slash)
      return -ENAMETOOLONG;
    g_autofree char *piece = g_strndup (path, (gsize)(slash - path));
    int fd = open_piece (walked_fd >= 0 ? walked_fd : dir_fd, piece, O_PATH | O_DIRECTORY, 0);
    if (fd < 0)
      return fd;
    vf_fd_clear (&walked_fd);
    walked_fd = fd;
    path = slash + 1;
  }
  return open_piece (walked_fd >= 0 ? walked_fd : dir_fd, path, flags, mode);
}

/* Two at once would take each other's momentary mode for the real one. */
static GMutex forcing;

int
vf_beneath_open_forced (int dir_fd, const char *name, int flags)
{
  int opened = vf_beneath_open (dir_fd, name, flags, 0);
  if (opened != -EACCES)
    return opened;

  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&forcing);
  VF_AUTOFD fd = vf_beneath_open (dir_fd, name, O_PATH, 0);
  struct stat st;
  if (fd < 0)
    return fd;
  if (fstat (fd, &st) < 0)
    return -errno;
  if (!S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode))
    return -EACCES;
  VfProcPath path;
  mode_t mode = st.st_mode & 07777;
  if (chmod (vf_proc_path (&path, fd, NULL), mode | (S_ISDIR (st.st_mode) ? 0700 : 0600)) < 0)
    return -EACCES;
  opened = vf_beneath_open (dir_fd, name, flags, 0);
  chmod (path.text, mode);
  return opened;
}

const char *
vf_proc_path (VfProcPath *path, int fd, const char *name)
{
  g_snprintf (path->text, sizeof path->text, "/proc/self/fd/%d%s%s", fd, name ? "/" : "",
              name ? name : "");
  return path->text;
}

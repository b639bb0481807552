/* Makes copies of large files take as long as a test wishes.
 *
 * Preloaded (LD_PRELOAD). While somebody has an exclusive lock on the file that VENVFS_SLOW_COPIES
 * names, a call to copy_file_range() for 64 KiB or more does not go on; each that waits makes a
 * file beside it, with a number at the end of the name. Reflinks, which take no time, are refused.
 *
 * Nothing is synced: many at once would measure the disk. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <glib.h>

#define LARGE (64 * 1024)

static gint n_waiting;

static void
wait_for_test (const char *path)
{
  g_autofree char *mark = g_strdup_printf ("%s-%d", path, g_atomic_int_add (&n_waiting, 1));
  int fd = open (mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0)
    close (fd);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  flock (fd, LOCK_SH);
  close (fd);
}

ssize_t
copy_file_range (int in_fd, off64_t *in, int out_fd, off64_t *out, size_t size, unsigned flags)
{
  const char *path = g_getenv ("VENVFS_SLOW_COPIES");
  if (path && size >= LARGE)
    wait_for_test (path);
  return syscall (SYS_copy_file_range, in_fd, in, out_fd, out, size, flags);
}

int
ioctl (int fd, unsigned long request, ...)
{
  va_list arguments;
  va_start (arguments, request);
  void *argument = va_arg (arguments, void *);
  va_end (arguments);
  if (request == FICLONE) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return (int)syscall (SYS_ioctl, fd, request, argument);
}

int
fdatasync (int fd)
{
  return 0;
}

int
fsync (int fd)
{
  return 0;
}

int
syncfs (int fd)
{
  return 0;
}

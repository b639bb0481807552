/* Records what programs change below a directory, for a replay of what a power loss leaves.
 *
 * Preloaded (LD_PRELOAD): the calls that are defined here stand before those of the C library. What
 * is recorded, and where, says tests/recorder/record.h.
 *
 * With VENVFS_RECORD_KILL=PREFIX the process is killed when it is about to sync a path that begins
 * so. With VENVFS_RECORD_NO_SYNC nothing is recorded, and nothing synced. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/recorder/record.h"

#define EXPORT       __attribute__ ((visibility ("default")))
#define MAX_MAPPINGS 256

static struct {
  void *address;
  RecordPath path;
} mappings[MAX_MAPPINGS];

/* The next definition of the function that is defined here. */
#define REAL(name)                                                                                 \
  static __typeof__ (name) *real;                                                                  \
  if (!real)                                                                                       \
  *(void **)&real = dlsym (RTLD_NEXT, #name)

/* --- Files --- */

static int
open_and_note (int dir_fd, const char *name, int flags, mode_t mode)
{
  if (record_fd < 0 || !(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE)
    return record_real_openat (dir_fd, name, flags, mode);
  record_enter ();
  RecordPath path = record_path_at (dir_fd, name);
  struct stat st;
  int is_new = (flags & O_CREAT) && fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0;
  int fd = record_real_openat (dir_fd, name, flags, mode);
  if (fd >= 0 && is_new)
    record_note ("create", &path, NULL);
  else if (fd >= 0 && (flags & O_TRUNC))
    record_note ("write", &path, NULL);
  return record_leave (fd);
}

EXPORT int
close (int fd)
{
  REAL (close);
  int flags = record_fd >= 0 && fd != record_fd ? fcntl (fd, F_GETFL) : -1;
  if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_RDONLY)
    return real (fd);
  record_enter ();
  RecordPath path = record_path_of_fd (fd);
  record_content (fd, &path);
  return record_leave (real (fd));
}

static mode_t
mode_argument (int flags, va_list *list)
{
  return flags & (O_CREAT | __O_TMPFILE) ? va_arg (*list, mode_t) : 0;
}

#define DEFINE_OPEN(name)                                                                          \
  EXPORT int name (const char *path, int flags, ...)                                               \
  {                                                                                                \
    va_list list;                                                                                  \
    va_start (list, flags);                                                                        \
    mode_t mode = mode_argument (flags, &list);                                                    \
    va_end (list);                                                                                 \
    return open_and_note (AT_FDCWD, path, flags, mode);                                            \
  }
#define DEFINE_OPENAT(name)                                                                        \
  EXPORT int name (int dir_fd, const char *path, int flags, ...)                                   \
  {                                                                                                \
    va_list list;                                                                                  \
    va_start (list, flags);                                                                        \
    mode_t mode = mode_argument (flags, &list);                                                    \
    va_end (list);                                                                                 \
    return open_and_note (dir_fd, path, flags, mode);                                              \
  }
DEFINE_OPEN (open)
DEFINE_OPEN (open64)
DEFINE_OPENAT (openat)
DEFINE_OPENAT (openat64)

/* A call that changes the content of @fd. */
#define CHANGE(type, fd, call)                                                                     \
  record_enter ();                                                                                 \
  type result = call;                                                                              \
  if (record_fd >= 0 && fd > STDERR_FILENO) {                                                      \
    int saved_errno = errno;                                                                       \
    RecordPath path = record_path_of_fd (fd);                                                      \
    record_note ("write", &path, NULL);                                                            \
    errno = saved_errno;                                                                           \
  }                                                                                                \
  record_leave (0);                                                                                \
  return result

EXPORT ssize_t
write (int fd, const void *data, size_t length)
{
  REAL (write);
  CHANGE (ssize_t, fd, real (fd, data, length));
}

EXPORT ssize_t
pwrite64 (int fd, const void *data, size_t length, off64_t offset)
{
  REAL (pwrite64);
  CHANGE (ssize_t, fd, real (fd, data, length, offset));
}

EXPORT int
ftruncate64 (int fd, off64_t length)
{
  REAL (ftruncate64);
  CHANGE (int, fd, real (fd, length));
}

EXPORT int
posix_fallocate64 (int fd, off64_t offset, off64_t length)
{
  REAL (posix_fallocate64);
  CHANGE (int, fd, real (fd, offset, length));
}

EXPORT void *
mmap64 (void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
  REAL (mmap64);
  void *result = real (address, length, protection, flags, fd, offset);
  if (record_fd < 0 || fd < 0 || result == MAP_FAILED || !(flags & MAP_SHARED) ||
      !(protection & PROT_WRITE))
    return result;
  record_enter ();
  RecordPath path = record_path_of_fd (fd);
  record_note ("write", &path, NULL);
  int slot = 0;
  while (slot < MAX_MAPPINGS && mappings[slot].address)
    slot++;
  if (slot == MAX_MAPPINGS)
    abort ();
  mappings[slot].address = result;
  mappings[slot].path = path;
  record_leave (0);
  return result;
}

EXPORT int
munmap (void *address, size_t length)
{
  REAL (munmap);
  if (record_fd < 0)
    return real (address, length);
  record_enter ();
  for (int slot = 0; slot < MAX_MAPPINGS; slot++)
    if (mappings[slot].address == address) {
      record_note ("write", &mappings[slot].path, NULL);
      mappings[slot].address = NULL;
    }
  return record_leave (real (address, length));
}

/* For the replays, which have no power to lose. */
static int
is_unsafe (void)
{
  return getenv ("VENVFS_RECORD_NO_SYNC") != NULL;
}

static void
die_before (const RecordPath *path)
{
  const char *prefix = getenv ("VENVFS_RECORD_KILL");
  if (prefix && strncmp (path->text, prefix, strlen (prefix)) == 0)
    raise (SIGKILL);
}

static int
sync_and_note (int fd, int (*real) (int))
{
  if (is_unsafe ())
    return 0;
  record_enter ();
  RecordPath path = record_path_of_fd (fd);
  die_before (&path);
  int result = real (fd);
  if (result == 0) {
    record_content (fd, &path);
    record_note ("fsync", &path, NULL);
  }
  return record_leave (result);
}

EXPORT int
fsync (int fd)
{
  REAL (fsync);
  return sync_and_note (fd, real);
}

EXPORT int
fdatasync (int fd)
{
  REAL (fdatasync);
  return sync_and_note (fd, real);
}

EXPORT int
syncfs (int fd)
{
  REAL (syncfs);
  if (is_unsafe ())
    return 0;
  record_enter ();
  int result = real (fd);
  RecordPath path = record_path_of_fd (fd);
  if (result == 0)
    record_note ("syncfs", &path, NULL);
  return record_leave (result);
}

/* --- Names --- */

#define NAME_CALL(call, path, second, real_call)                                                   \
  record_enter ();                                                                                 \
  RecordPath changed = path;                                                                       \
  int result = real_call;                                                                          \
  if (result == 0)                                                                                 \
    record_note (call, &changed, second);                                                          \
  return record_leave (result)

EXPORT int
mkdirat (int dir_fd, const char *name, mode_t mode)
{
  REAL (mkdirat);
  NAME_CALL ("mkdir", record_path_at (dir_fd, name), NULL, real (dir_fd, name, mode));
}

EXPORT int
mkdir (const char *name, mode_t mode)
{
  return mkdirat (AT_FDCWD, name, mode);
}

EXPORT int
unlinkat (int dir_fd, const char *name, int flags)
{
  REAL (unlinkat);
  NAME_CALL (flags & AT_REMOVEDIR ? "rmdir" : "unlink", record_path_at (dir_fd, name), NULL,
             real (dir_fd, name, flags));
}

EXPORT int
unlink (const char *name)
{
  return unlinkat (AT_FDCWD, name, 0);
}

EXPORT int
rmdir (const char *name)
{
  return unlinkat (AT_FDCWD, name, AT_REMOVEDIR);
}

EXPORT int
mknodat (int dir_fd, const char *name, mode_t mode, dev_t device)
{
  REAL (mknodat);
  NAME_CALL ("mknod", record_path_at (dir_fd, name), NULL, real (dir_fd, name, mode, device));
}

EXPORT int
symlinkat (const char *target, int dir_fd, const char *name)
{
  REAL (symlinkat);
  NAME_CALL ("symlink", record_path_at (dir_fd, name), target, real (target, dir_fd, name));
}

EXPORT int
symlink (const char *target, const char *name)
{
  return symlinkat (target, AT_FDCWD, name);
}

EXPORT int
linkat (int from_fd, const char *from, int to_fd, const char *to, int flags)
{
  REAL (linkat);
  record_enter ();
  RecordPath source = record_path_at (from_fd, from), target = record_path_at (to_fd, to);
  int result = real (from_fd, from, to_fd, to, flags);
  if (result == 0)
    record_note ("link", &source, target.text);
  return record_leave (result);
}

EXPORT int
link (const char *from, const char *to)
{
  return linkat (AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int
renameat2 (int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
  REAL (renameat2);
  record_enter ();
  RecordPath source = record_path_at (from_fd, from), target = record_path_at (to_fd, to);
  record_content_at (&source, from_fd, from);
  int result = real (from_fd, from, to_fd, to, flags);
  if (result == 0)
    record_note ("rename", &source, target.text);
  return record_leave (result);
}

EXPORT int
renameat (int from_fd, const char *from, int to_fd, const char *to)
{
  return renameat2 (from_fd, from, to_fd, to, 0);
}

EXPORT int
rename (const char *from, const char *to)
{
  return renameat2 (AT_FDCWD, from, AT_FDCWD, to, 0);
}

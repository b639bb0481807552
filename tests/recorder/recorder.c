/* Records what programs change below a directory, for a replay of what a power loss leaves.
 *
 * Preloaded (LD_PRELOAD); VENVFS_RECORD_ROOT is the directory, VENVFS_RECORD_LOG where the log is
 * written: `log`, one line per call that succeeded, its fields separated by tabs, in the order in
 * which the calls took effect; and `<n>`, the contents of files at the time they were closed,
 * synced or got another name. Paths are relative to the root; one outside of it is "-".
 *
 *   create PATH             by open() with O_CREAT
 *   write PATH              its content changed: write, truncate, a writable mapping made or ended
 *   content PATH N MODE     what it holds at this moment; not a call
 *   fsync PATH | syncfs
 *   mkdir PATH | rmdir PATH | unlink PATH | mknod PATH | symlink PATH TARGET
 *   rename FROM TO | link FROM TO
 *
 * With VENVFS_RECORD_KILL=PREFIX the process is killed when it is about to sync a path that begins
 * so. With VENVFS_RECORD_NO_SYNC nothing is recorded, and nothing synced.
 *
 * A lock around each call and its line, between threads and between processes, keeps the order. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT       __attribute__ ((visibility ("default")))
#define MAX_MAPPINGS 256

typedef struct {
  char text[PATH_MAX];
} Path;

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int depth; /* of the lock */
static const char *root;
static int log_dir_fd = -1, log_fd = -1;
static struct {
  void *address;
  Path path;
} mappings[MAX_MAPPINGS];

/* The next definition of the function that is defined here. */
#define REAL(name)                                                                                 \
  static __typeof__ (name) *real;                                                                  \
  if (!real)                                                                                       \
  *(void **)&real = dlsym (RTLD_NEXT, #name)

static int real_openat (int dir_fd, const char *name, int flags, mode_t mode);

__attribute__ ((constructor)) static void
recorder_start (void)
{
  const char *log = getenv ("VENVFS_RECORD_LOG");
  root = getenv ("VENVFS_RECORD_ROOT");
  if (!root || !log)
    return;
  log_dir_fd = real_openat (AT_FDCWD, log, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  log_fd = real_openat (log_dir_fd, "log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0)
    abort ();
}

static void
enter (void)
{
  pthread_mutex_lock (&mutex);
  if (depth++ == 0 && log_fd >= 0)
    flock (log_fd, LOCK_EX);
}

static int
leave (int result)
{
  int saved_errno = errno;
  if (--depth == 0 && log_fd >= 0)
    flock (log_fd, LOCK_UN);
  pthread_mutex_unlock (&mutex);
  errno = saved_errno;
  return result;
}

/* --- Paths and lines --- */

static void
make_relative (Path *path)
{
  size_t length = root ? strlen (root) : 0;
  if (!root || strncmp (path->text, root, length) != 0 ||
      (path->text[length] != '/' && path->text[length] != '\0')) {
    strcpy (path->text, "-");
    return;
  }
  const char *rest = path->text + length + (path->text[length] == '/');
  if (*rest == '\0')
    rest = ".";
  memmove (path->text, rest, strlen (rest) + 1);
}

static Path
path_of_fd (int fd)
{
  Path path = {"-"};
  char link[64];
  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink (link, path.text, sizeof path.text - 1);
  struct stat st;
  /* What was removed has no path any more. */
  if (n < 0 || path.text[0] != '/' || fstat (fd, &st) < 0 || st.st_nlink == 0) {
    strcpy (path.text, "-");
    return path;
  }
  path.text[n] = '\0';
  make_relative (&path);
  return path;
}

/* The path of @name, whose last component is taken as it is: found by its directory. */
static Path
path_at (int dir_fd, const char *name)
{
  char parent[PATH_MAX] = ".";
  const char *slash = strrchr (name, '/');
  const char *last = slash ? slash + 1 : name;
  if (slash)
    snprintf (parent, sizeof parent, "%.*s", slash == name ? 1 : (int)(slash - name), name);
  int fd = real_openat (dir_fd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  Path path = {"-"};
  if (fd < 0)
    return path;
  path = path_of_fd (fd);
  close (fd);
  if (strcmp (path.text, "-") == 0)
    return path;
  Path whole;
  if (strcmp (path.text, ".") == 0)
    snprintf (whole.text, sizeof whole.text, "%s", last);
  else if (snprintf (whole.text, sizeof whole.text, "%s/%s", path.text, last) >= PATH_MAX)
    abort ();
  return whole;
}

static int
is_outside (const Path *path)
{
  return strcmp (path->text, "-") == 0;
}

static void
put_line (const char *text, size_t length)
{
  __typeof__ (write) *real = NULL;
  *(void **)&real = dlsym (RTLD_NEXT, "write");
  if (real (log_fd, text, length) != (ssize_t)length)
    abort ();
}

static void
note (const char *call, const Path *path, const char *second)
{
  if (log_fd < 0 || (is_outside (path) && (!second || strcmp (second, "-") == 0)))
    return;
  char line[2 * PATH_MAX + 64];
  int n = snprintf (line, sizeof line, "%s\t%s%s%s\n", call, path->text, second ? "\t" : "",
                    second ? second : "");
  put_line (line, (size_t)n);
}

/* Copies what an inside file holds now beside the log, and notes that. */
static void
note_content (int fd, const Path *path)
{
  struct stat st;
  if (log_fd < 0 || is_outside (path) || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return;
  char proc[64], second[64], name[32];
  snprintf (proc, sizeof proc, "/proc/self/fd/%d", fd);
  /* The position in the log is a number that nobody else has. */
  snprintf (name, sizeof name, "%lld", (long long)lseek (log_fd, 0, SEEK_END));
  int from = real_openat (AT_FDCWD, proc, O_RDONLY | O_CLOEXEC, 0);
  int to = real_openat (log_dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ssize_t n = 1;
  while (from >= 0 && to >= 0 && (n = copy_file_range (from, NULL, to, NULL, 1 << 20, 0)) > 0)
    ;
  if (from < 0 || to < 0 || n < 0)
    abort ();
  close (from);
  close (to);
  snprintf (second, sizeof second, "%s\t%o", name, st.st_mode & 07777);
  note ("content", path, second);
}

static void
note_content_at (const Path *path, int dir_fd, const char *name)
{
  struct stat st;
  if (log_fd < 0 || is_outside (path) || fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      !S_ISREG (st.st_mode))
    return;
  int fd = real_openat (dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  note_content (fd, path);
  close (fd);
}

/* --- Files --- */

static int
real_openat (int dir_fd, const char *name, int flags, mode_t mode)
{
  static int (*real) (int, const char *, int, ...);
  if (!real)
    *(void **)&real = dlsym (RTLD_NEXT, "openat64");
  return real (dir_fd, name, flags, mode);
}

static int
open_and_note (int dir_fd, const char *name, int flags, mode_t mode)
{
  if (log_fd < 0 || !(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE)
    return real_openat (dir_fd, name, flags, mode);
  enter ();
  Path path = path_at (dir_fd, name);
  struct stat st;
  int is_new = (flags & O_CREAT) && fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0;
  int fd = real_openat (dir_fd, name, flags, mode);
  if (fd >= 0 && is_new)
    note ("create", &path, NULL);
  else if (fd >= 0 && (flags & O_TRUNC))
    note ("write", &path, NULL);
  return leave (fd);
}

EXPORT int
close (int fd)
{
  REAL (close);
  int flags = log_fd >= 0 && fd != log_fd ? fcntl (fd, F_GETFL) : -1;
  if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_RDONLY)
    return real (fd);
  enter ();
  Path path = path_of_fd (fd);
  note_content (fd, &path);
  return leave (real (fd));
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
  enter ();                                                                                        \
  type result = call;                                                                              \
  if (log_fd >= 0 && fd > STDERR_FILENO) {                                                         \
    int saved_errno = errno;                                                                       \
    Path path = path_of_fd (fd);                                                                   \
    note ("write", &path, NULL);                                                                   \
    errno = saved_errno;                                                                           \
  }                                                                                                \
  leave (0);                                                                                       \
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
  if (log_fd < 0 || fd < 0 || result == MAP_FAILED || !(flags & MAP_SHARED) ||
      !(protection & PROT_WRITE))
    return result;
  enter ();
  Path path = path_of_fd (fd);
  note ("write", &path, NULL);
  int slot = 0;
  while (slot < MAX_MAPPINGS && mappings[slot].address)
    slot++;
  if (slot == MAX_MAPPINGS)
    abort ();
  mappings[slot].address = result;
  mappings[slot].path = path;
  leave (0);
  return result;
}

EXPORT int
munmap (void *address, size_t length)
{
  REAL (munmap);
  if (log_fd < 0)
    return real (address, length);
  enter ();
  for (int slot = 0; slot < MAX_MAPPINGS; slot++)
    if (mappings[slot].address == address) {
      note ("write", &mappings[slot].path, NULL);
      mappings[slot].address = NULL;
    }
  return leave (real (address, length));
}

/* For the replays, which have no power to lose. */
static int
is_unsafe (void)
{
  return getenv ("VENVFS_RECORD_NO_SYNC") != NULL;
}

static void
die_before (const Path *path)
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
  enter ();
  Path path = path_of_fd (fd);
  die_before (&path);
  int result = real (fd);
  if (result == 0) {
    note_content (fd, &path);
    note ("fsync", &path, NULL);
  }
  return leave (result);
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
  enter ();
  int result = real (fd);
  Path path = path_of_fd (fd);
  if (result == 0)
    note ("syncfs", &path, NULL);
  return leave (result);
}

/* --- Names --- */

#define NAME_CALL(call, path, second, real_call)                                                   \
  enter ();                                                                                        \
  Path changed = path;                                                                             \
  int result = real_call;                                                                          \
  if (result == 0)                                                                                 \
    note (call, &changed, second);                                                                 \
  return leave (result)

EXPORT int
mkdirat (int dir_fd, const char *name, mode_t mode)
{
  REAL (mkdirat);
  NAME_CALL ("mkdir", path_at (dir_fd, name), NULL, real (dir_fd, name, mode));
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
  NAME_CALL (flags & AT_REMOVEDIR ? "rmdir" : "unlink", path_at (dir_fd, name), NULL,
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
  NAME_CALL ("mknod", path_at (dir_fd, name), NULL, real (dir_fd, name, mode, device));
}

EXPORT int
symlinkat (const char *target, int dir_fd, const char *name)
{
  REAL (symlinkat);
  NAME_CALL ("symlink", path_at (dir_fd, name), target, real (target, dir_fd, name));
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
  enter ();
  Path source = path_at (from_fd, from), target = path_at (to_fd, to);
  int result = real (from_fd, from, to_fd, to, flags);
  if (result == 0)
    note ("link", &source, target.text);
  return leave (result);
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
  enter ();
  Path source = path_at (from_fd, from), target = path_at (to_fd, to);
  note_content_at (&source, from_fd, from);
  int result = real (from_fd, from, to_fd, to, flags);
  if (result == 0)
    note ("rename", &source, target.text);
  return leave (result);
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

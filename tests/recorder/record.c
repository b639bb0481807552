#include "tests/recorder/record.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int record_fd = -1;
static int log_dir_fd = -1;
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int depth; /* of the lock */
static const char *root;

int
record_real_openat (int dir_fd, const char *name, int flags, mode_t mode)
{
  static int (*real) (int, const char *, int, ...);
  if (!real)
    *(void **)&real = dlsym (RTLD_NEXT, "openat64");
  return real (dir_fd, name, flags, mode);
}

__attribute__ ((constructor)) static void
recorder_start (void)
{
  const char *log = getenv ("VENVFS_RECORD_LOG");
  root = getenv ("VENVFS_RECORD_ROOT");
  if (!root || !log)
    return;
  log_dir_fd = record_real_openat (AT_FDCWD, log, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  record_fd = record_real_openat (log_dir_fd, "log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (record_fd < 0)
    abort ();
}

void
record_enter (void)
{
  pthread_mutex_lock (&mutex);
  if (depth++ == 0 && record_fd >= 0)
    flock (record_fd, LOCK_EX);
}

int
record_leave (int result)
{
  int saved_errno = errno;
  if (--depth == 0 && record_fd >= 0)
    flock (record_fd, LOCK_UN);
  pthread_mutex_unlock (&mutex);
  errno = saved_errno;
  return result;
}

/* --- Paths and lines --- */

static void
make_relative (RecordPath *path)
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

RecordPath
record_path_of_fd (int fd)
{
  RecordPath path = {"-"};
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

RecordPath
record_path_at (int dir_fd, const char *name)
{
  char parent[PATH_MAX] = ".";
  const char *slash = strrchr (name, '/');
  const char *last = slash ? slash + 1 : name;
  if (slash)
    snprintf (parent, sizeof parent, "%.*s", slash == name ? 1 : (int)(slash - name), name);
  int fd = record_real_openat (dir_fd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  RecordPath path = {"-"};
  if (fd < 0)
    return path;
  path = record_path_of_fd (fd);
  close (fd);
  if (strcmp (path.text, "-") == 0)
    return path;
  RecordPath whole;
  if (strcmp (path.text, ".") == 0)
    snprintf (whole.text, sizeof whole.text, "%s", last);
  else if (snprintf (whole.text, sizeof whole.text, "%s/%s", path.text, last) >= PATH_MAX)
    abort ();
  return whole;
}

static int
is_outside (const RecordPath *path)
{
  return strcmp (path->text, "-") == 0;
}

static void
put_line (const char *text, size_t length)
{
  __typeof__ (write) *real = NULL;
  *(void **)&real = dlsym (RTLD_NEXT, "write");
  if (real (record_fd, text, length) != (ssize_t)length)
    abort ();
}

void
record_note (const char *call, const RecordPath *path, const char *second)
{
  if (record_fd < 0 || (is_outside (path) && (!second || strcmp (second, "-") == 0)))
    return;
  char line[2 * PATH_MAX + 64];
  int n = snprintf (line, sizeof line, "%s\t%s%s%s\n", call, path->text, second ? "\t" : "",
                    second ? second : "");
  put_line (line, (size_t)n);
}

void
record_content (int fd, const RecordPath *path)
{
  struct stat st;
  if (record_fd < 0 || is_outside (path) || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    return;
  char proc[64], second[64], name[32];
  snprintf (proc, sizeof proc, "/proc/self/fd/%d", fd);
  /* The position in the log is a number that nobody else has. */
  snprintf (name, sizeof name, "%lld", (long long)lseek (record_fd, 0, SEEK_END));
  int from = record_real_openat (AT_FDCWD, proc, O_RDONLY | O_CLOEXEC, 0);
  int to = record_real_openat (log_dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ssize_t n = 1;
  while (from >= 0 && to >= 0 && (n = copy_file_range (from, NULL, to, NULL, 1 << 20, 0)) > 0)
    ;
  if (from < 0 || to < 0 || n < 0)
    abort ();
  close (from);
  close (to);
  snprintf (second, sizeof second, "%s\t%o", name, st.st_mode & 07777);
  record_note ("content", path, second);
}

void
record_content_at (const RecordPath *path, int dir_fd, const char *name)
{
  struct stat st;
  if (record_fd < 0 || is_outside (path) || fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      !S_ISREG (st.st_mode))
    return;
  int fd = record_real_openat (dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
  record_content (fd, path);
  close (fd);
}

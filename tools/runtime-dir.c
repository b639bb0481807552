#include "tools/runtime-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tools/interrupt.h"

#define ROOTS_SESSION "/run/user/0"

static gboolean
is_own_directory (const char *path)
{
  struct stat st;
  return path != NULL && g_path_is_absolute (path) && stat (path, &st) == 0 &&
         S_ISDIR (st.st_mode) && st.st_uid == geteuid ();
}

char *
vf_runtime_dir_path (void)
{
  const char *given = g_getenv ("XDG_RUNTIME_DIR");
  gboolean root = geteuid () == 0;
  /* One daemon for root, whether it logged in, came by sudo or is cron. */
  if (is_own_directory (given) && !(root && g_str_equal (given, ROOTS_SESSION)))
    return g_build_filename (given, "venvfs", NULL);
  if (root)
    return g_strdup ("/run/venvfs");
  g_autofree char *session = g_strdup_printf ("/run/user/%u", (unsigned)geteuid ());
  if (is_own_directory (session))
    return g_build_filename (session, "venvfs", NULL);
  return g_strdup_printf ("/tmp/venvfs-%u", (unsigned)geteuid ());
}

int
vf_runtime_dir_open (gboolean make, GError **error)
{
  g_autofree char *path = vf_runtime_dir_path ();
  if (make && mkdir (path, 0700) < 0 && errno != EEXIST) {
    vf_error_errno (error, errno, "%s: cannot make the runtime directory", path);
    return -1;
  }
  VF_AUTOFD fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT)
    vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: does not exist", path);
  else if (fd < 0)
    vf_error_errno (error, errno, "%s: cannot open the runtime directory", path);
  if (fd < 0)
    return -1;
  struct stat st;
  if (fstat (fd, &st) < 0) {
    vf_error_errno (error, errno, "%s: cannot examine the runtime directory", path);
    return -1;
  }
  if (st.st_uid == geteuid () && (st.st_mode & 0077) == 0)
    return vf_fd_steal (&fd);
  vf_error_set (error, VF_ERROR_INVALID,
                "%s: must belong to you and be closed to others (mode 0700); remove it, or set "
                "XDG_RUNTIME_DIR to a directory of your own",
                path);
  return -1;
}

int
vf_runtime_dir_lock (int dir_fd, const char *name, int operation, GError **error)
{
  g_autofree char *path = vf_runtime_dir_path ();
  VF_AUTOFD fd = openat (dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    vf_error_errno (error, errno, "%s/%s: cannot be opened", path, name);
    return -1;
  }
  while (flock (fd, operation) < 0) {
    if (errno != EINTR) {
      vf_error_errno (error, errno, "%s/%s: cannot be locked", path, name);
      return -1;
    }
    if (!vf_interrupt_check (error))
      return -1;
  }
  return vf_fd_steal (&fd);
}

#include "tools/runtime-dir.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tools/interrupt.h"

/* Instead of GLib's: whatever makes a message may change errno. */
char *
g_strdup_vprintf (const char *format, va_list args)
{
  char *text;
  g_assert_cmpint (vasprintf (&text, format, args), >=, 0);
  errno = ENOMEM;
  return text;
}

static void
test_private (void)
{
  g_autofree char *given = g_dir_make_tmp ("vf-runtime-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (given, "venvfs", NULL);
  g_setenv ("XDG_RUNTIME_DIR", given, TRUE);
  g_autofree char *found = vf_runtime_dir_path ();
  g_assert_cmpstr (found, ==, path);

  g_autoptr (GError) absent = NULL;
  g_assert_cmpint (vf_runtime_dir_open (FALSE, &absent), ==, -1);
  g_assert_error (absent, VF_ERROR, VF_ERROR_NOT_FOUND);
  umask (0);
  VF_AUTOFD fd = vf_runtime_dir_open (TRUE, NULL);
  g_assert_cmpint (fd, >=, 0);
  struct stat st;
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0700);
  VF_AUTOFD again = vf_runtime_dir_open (FALSE, NULL);
  g_assert_cmpint (again, >=, 0);

  /* Open to others: somebody may have put a socket into it. */
  g_assert_cmpint (g_chmod (path, 0755), ==, 0);
  g_autoptr (GError) open_to_all = NULL;
  g_assert_cmpint (vf_runtime_dir_open (TRUE, &open_to_all), ==, -1);
  g_assert_error (open_to_all, VF_ERROR, VF_ERROR_INVALID);
  g_assert_cmpint (rmdir (path), ==, 0);

  /* A link may lead anywhere. */
  g_assert_cmpint (symlink ("/tmp", path), ==, 0);
  g_assert_cmpint (vf_runtime_dir_open (TRUE, NULL), ==, -1);
  g_assert_cmpint (unlink (path), ==, 0);
  g_assert_cmpint (rmdir (given), ==, 0);
}

static void
test_fallback (void)
{
  g_unsetenv ("XDG_RUNTIME_DIR");
  g_autofree char *standard = vf_runtime_dir_path ();
  if (geteuid () == 0)
    g_assert_cmpstr (standard, ==, "/run/venvfs");
  else
    g_assert_true (g_str_has_prefix (standard, "/run/user/") ||
                   g_str_has_prefix (standard, "/tmp/venvfs-"));
  /* Somebody else's, relative, or absent: as if it were not set. */
  const char *unfit[] = {geteuid () == 0 ? "/nonexistent" : "/root", "relative", "/nonexistent",
                         "/proc"};
  for (gsize i = 0; i < G_N_ELEMENTS (unfit) - (geteuid () == 0); i++) {
    g_setenv ("XDG_RUNTIME_DIR", unfit[i], TRUE);
    g_autofree char *found = vf_runtime_dir_path ();
    g_assert_cmpstr (found, ==, standard);
  }
}

/* Wakes who waits, as often as need be, and asks it to stop the third time. */
static void
on_alarm (int number)
{
  static int n_alarms;
  if (++n_alarms == 3)
    raise (SIGINT);
}

static void
test_interrupted_lock (void)
{
  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, 0);
    g_test_trap_assert_passed ();
    return;
  }
  const struct sigaction action = {.sa_handler = on_alarm};
  const struct itimerval often = {{.tv_usec = 10000}, {.tv_usec = 10000}};
  g_autofree char *directory = g_dir_make_tmp ("vf-runtime-XXXXXX", NULL);
  VF_AUTOFD dir_fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  VF_AUTOFD held = vf_runtime_dir_lock (dir_fd, "lock", LOCK_EX, NULL);
  g_assert_cmpint (held, >=, 0);
  vf_interrupt_install ();
  sigaction (SIGALRM, &action, NULL);
  setitimer (ITIMER_REAL, &often, NULL);
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (vf_runtime_dir_lock (dir_fd, "lock", LOCK_EX, &error), ==, -1);
  setitimer (ITIMER_REAL, &(struct itimerval){0}, NULL);
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, directory, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/runtime-dir/private", test_private);
  g_test_add_func ("/runtime-dir/fallback", test_fallback);
  g_test_add_func ("/runtime-dir/interrupted-lock", test_interrupted_lock);
  return g_test_run ();
}

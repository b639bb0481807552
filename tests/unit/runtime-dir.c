#include "tools/runtime-dir.h"

#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

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

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/runtime-dir/private", test_private);
  g_test_add_func ("/runtime-dir/fallback", test_fallback);
  return g_test_run ();
}

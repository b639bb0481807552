#include "tools/upper-usage.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "layers/io.h"

static void
test_usage (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-usage-XXXXXX", NULL);
  VF_AUTOFD fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  VfUpperUsage usage;
  g_assert_true (vf_upper_usage (fd, &usage, NULL));
  g_assert_cmpuint (usage.n_files, ==, 0);

  g_autofree char *deep = g_build_filename (directory, "upper", "a", "b", NULL);
  g_assert_cmpint (g_mkdir_with_parents (deep, 0755), ==, 0);
  g_autofree char *file = g_build_filename (deep, "file", NULL);
  g_autofree char *link = g_build_filename (deep, "link", NULL);
  g_autofree char *whiteout = g_build_filename (deep, "whiteout", NULL);
  char data[10000] = "";
  g_assert_true (g_file_set_contents (file, data, sizeof data, NULL));
  g_assert_cmpint (symlink ("/", link), ==, 0);
  g_assert_cmpint (mknod (whiteout, S_IFCHR, makedev (0, 0)), ==, 0);
  g_assert_true (vf_upper_usage (fd, &usage, NULL));
  g_assert_cmpuint (usage.n_files, ==, 2);
  g_assert_cmpuint (usage.n_removed, ==, 1);
  g_assert_cmpuint (usage.disk_bytes, >=, sizeof data);
  g_assert_cmpuint (usage.disk_bytes, <, 100000);
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, "directory", NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/upper-usage/usage", test_usage);
  return g_test_run ();
}

#include "layers/mount-record.h"

#include <fcntl.h>
#include <string.h>

#include "layers/error.h"
#include "layers/io.h"

static void
assert_record (int fd, const char *point, gboolean wanted)
{
  g_autofree char *found = NULL;
  gboolean found_wanted;
  vf_mount_record_read (fd, &found, &found_wanted);
  g_assert_cmpstr (found, ==, point);
  g_assert_cmpint (found_wanted, ==, wanted);
}

static void
test_record (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-record-XXXXXX", NULL);
  VF_AUTOFD fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_record (fd, NULL, FALSE);
  const char *const points[] = {"/home/me/p/.venv", "/tmp/\xff odd/.venv", "/tmp/M\u00f6bius"};
  for (gsize i = 0; i < G_N_ELEMENTS (points); i++) {
    g_assert_true (vf_mount_record_write (fd, points[i], i % 2 == 0, directory, NULL));
    assert_record (fd, points[i], i % 2 == 0);
  }
  g_autoptr (GDir) files = g_dir_open (directory, 0, NULL);
  g_assert_cmpstr (g_dir_read_name (files), ==, VF_MOUNT_RECORD);
  g_assert_null (g_dir_read_name (files));

  const char *const damaged[] = {
      "",
      "garbage",
      "[mount]\nwanted=true\n",
      "[mount]\npoint=relative\nwanted=true\n",
      "[mount]\npoint=/p\n",
      "[mount]\npoint=/p\nwanted=perhaps\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (damaged); i++) {
    g_assert_true (vf_replace_file (fd, VF_MOUNT_RECORD, 0600, damaged[i], strlen (damaged[i]),
                                    directory, NULL));
    assert_record (fd, NULL, FALSE);
  }
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, directory, NULL));
}

static void
test_cannot_write (void)
{
  VF_AUTOFD fd = open ("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_mount_record_write (fd, "/p", TRUE, "/proc/self", &error));
  g_assert_cmpint (error->domain, ==, VF_SYSTEM_ERROR);
  g_assert_true (g_str_has_prefix (error->message, "/proc/self/mount.ini.tmp: cannot be made: "));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mount-record/record", test_record);
  g_test_add_func ("/mount-record/cannot-write", test_cannot_write);
  return g_test_run ();
}

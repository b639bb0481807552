#include "layers/mount-record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

static void
assert_record (int fd, const char *point, dev_t device, gboolean wanted)
{
  VfMountRecord found;
  vf_mount_record_read (fd, &found);
  g_assert_cmpstr (found.point, ==, point);
  g_assert_true (found.device == device && found.wanted == wanted);
  vf_mount_record_clear (&found);
}

static void
test_record (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-record-XXXXXX", NULL);
  VF_AUTOFD fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_record (fd, NULL, 0, FALSE);
  const char *const points[] = {"/home/me/p/.venv", "/tmp/\xff odd/.venv", "/tmp/M\u00f6bius"};
  for (gsize i = 0; i < G_N_ELEMENTS (points); i++) {
    VfMountRecord record = {(char *)points[i], i > 0 ? makedev (0, i) : 0, i % 2 == 0};
    g_assert_true (vf_mount_record_write (fd, &record, directory, NULL));
    assert_record (fd, record.point, record.device, record.wanted);
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
    assert_record (fd, NULL, 0, FALSE);
  }
  const char *strange = "[mount]\npoint=/p\nwanted=true\ndevice=0:x\n";
  g_assert_true (
      vf_replace_file (fd, VF_MOUNT_RECORD, 0600, strange, strlen (strange), directory, NULL));
  assert_record (fd, "/p", 0, TRUE);
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, directory, NULL));
}

static void
test_cannot_write (void)
{
  VF_AUTOFD fd = open ("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;
  const VfMountRecord record = {(char *)"/p", 0, TRUE};
  g_assert_false (vf_mount_record_write (fd, &record, "/proc/self", &error));
  g_assert_cmpint (error->domain, ==, VF_SYSTEM_ERROR);
  g_assert_true (g_str_has_prefix (error->message, "/proc/self/mount.ini: cannot create: "));
}

/* What else lies at its place, or looks like a replacement that was killed, is in nobody's way. */
static void
test_in_the_way (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-record-XXXXXX", NULL);
  VF_AUTOFD fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const VfMountRecord record = {(char *)"/p", 0, TRUE};
  g_assert_cmpint (mkfifoat (fd, VF_MOUNT_RECORD, 0600), ==, 0);
  g_assert_cmpint (mkfifoat (fd, VF_MOUNT_RECORD ".tmp", 0600), ==, 0);
  assert_record (fd, NULL, 0, FALSE);
  g_assert_true (vf_mount_record_write (fd, &record, directory, NULL));
  assert_record (fd, "/p", 0, TRUE);
  g_assert_cmpint (unlinkat (fd, VF_MOUNT_RECORD, 0), ==, 0);
  g_assert_cmpint (mkdirat (fd, VF_MOUNT_RECORD, 0700), ==, 0);
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_mount_record_write (fd, &record, directory, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, EISDIR);
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, directory, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mount-record/record", test_record);
  g_test_add_func ("/mount-record/cannot-write", test_cannot_write);
  g_test_add_func ("/mount-record/in-the-way", test_in_the_way);
  return g_test_run ();
}

#include "tools/copy-file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/io.h"

/* Without a name. */
static int
make_file (const char *content)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp (NULL, &path, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (unlink (path), ==, 0);
  g_assert_cmpint (pwrite (fd, content, strlen (content), 0), ==, strlen (content));
  return fd;
}

static void
test_range (void)
{
  VF_AUTOFD in = make_file ("0123456789"), out = make_file ("");
  char text[16] = "";
  g_assert_cmpint (vf_copy_range (in, 2, 3, out), ==, 0);
  g_assert_cmpint (vf_copy_range (in, 8, 2, out), ==, 0);
  g_assert_cmpint (pread (out, text, sizeof text, 0), ==, 5);
  g_assert_cmpstr (text, ==, "23489");
  g_assert_cmpint (vf_copy_range (in, 8, 3, out), ==, -EIO);
  g_assert_cmpint (vf_copy_range (in, 0, 0, -1), ==, 0);
}

static void
test_sparse (void)
{
  const off_t size = (off_t)1 << 40;
  VF_AUTOFD in = make_file ("head"), out = make_file ("");
  g_assert_cmpint (pwrite (in, "tail", 4, size - 4), ==, 4);
  g_assert_cmpint (vf_copy_sparse (in, (guint64)size, out), ==, 0);
  struct stat st;
  char text[5] = "";
  g_assert_cmpint (fstat (out, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, size);
  g_assert_cmpint (st.st_blocks, <, 1024);
  g_assert_cmpint (pread (out, text, 4, 0), ==, 4);
  g_assert_cmpstr (text, ==, "head");
  g_assert_cmpint (pread (out, text, 4, size - 4), ==, 4);
  g_assert_cmpstr (text, ==, "tail");
}

static void
test_identity (void)
{
  VF_AUTOFD in = make_file (""), out = make_file ("");
  char value[8] = "";
  g_assert_cmpint (fsetxattr (in, "user.kept", "yes", 3, 0), ==, 0);
  g_assert_cmpint (fsetxattr (in, "user.overlay.opaque", "y", 1, 0), ==, 0);
  g_assert_cmpint (vf_copy_identity (in, out), ==, 0);
  g_assert_cmpint (fgetxattr (out, "user.kept", value, sizeof value), ==, 3);
  g_assert_cmpstr (value, ==, "yes");
  g_assert_cmpint (fgetxattr (out, "user.overlay.opaque", value, sizeof value), ==, -1);
  g_assert_cmpint (errno, ==, ENODATA);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/copy-file/range", test_range);
  g_test_add_func ("/copy-file/sparse", test_sparse);
  g_test_add_func ("/copy-file/identity", test_identity);
  return g_test_run ();
}

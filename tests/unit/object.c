#include "store-fixture.h"

static void
test_open_and_size (Fixture *fixture, gconstpointer user_data)
{
  VfDigest digest = add_object (fixture, "hello");
  VfExtent extent;
  char text[6] = "";
  g_assert_cmpint (vf_object_size (fixture->store, &digest), ==, 5);
  g_assert_cmpint (vf_object_open (fixture->store, &digest, &extent), ==, 0);
  g_assert_cmpuint (extent.length, ==, 5);
  g_assert_cmpint (pread (extent.fd, text, 5, extent.offset), ==, 5);
  g_assert_cmpstr (text, ==, "hello");
  g_assert_cmpint (fcntl (extent.fd, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
  close (extent.fd);
}

static void
test_absent_and_odd (Fixture *fixture, gconstpointer user_data)
{
  VfDigest digest;
  VfExtent extent;
  vf_digest_of ("none", 4, &digest);
  g_assert_cmpint (vf_object_open (fixture->store, &digest, &extent), ==, -ENOENT);
  g_assert_cmpint (vf_object_size (fixture->store, &digest), ==, -ENOENT);

  digest = add_object (fixture, "odd");
  g_autofree char *path = object_path ("odd");
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (unlinkat (fd, path, 0), ==, 0);
  g_assert_cmpint (mkdirat (fd, path, 0700), ==, 0);
  g_assert_cmpint (vf_object_open (fixture->store, &digest, &extent), ==, -EIO);
  g_assert_cmpint (vf_object_size (fixture->store, &digest), ==, -EIO);
  g_assert_cmpint (unlinkat (fd, path, AT_REMOVEDIR), ==, 0);
  g_assert_cmpint (symlinkat ("/etc/passwd", fd, path), ==, 0);
  g_assert_cmpint (vf_object_open (fixture->store, &digest, &extent), ==, -ELOOP);
}

static void
test_in_the_trash_for_a_moment (Fixture *fixture, gconstpointer user_data)
{
  VfDigest digest = add_object (fixture, "moved");
  g_autofree char *path = object_path ("moved");
  g_autofree char *name = g_strdelimit (g_strdup (path), "/", ':');
  g_autofree char *trash = g_strconcat ("trash/sweep/", name, NULL);
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (mkdirat (fd, "trash/sweep", 0700), ==, 0);
  g_assert_cmpint (renameat (fd, path, fd, trash), ==, 0);
  VfExtent extent;
  g_assert_cmpint (vf_object_size (fixture->store, &digest), ==, 5);
  g_assert_cmpint (vf_object_open (fixture->store, &digest, &extent), ==, 0);
  close (extent.fd);
  store_set_age (fixture, trash, VF_STORE_GRACE_SECONDS + 10);
  g_assert_cmpint (vf_object_open (fixture->store, &digest, &extent), ==, -ENOENT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/object/open-and-size", test_open_and_size);
  FIXTURE_TEST ("/object/absent-and-odd", test_absent_and_odd);
  FIXTURE_TEST ("/object/in-the-trash-for-a-moment", test_in_the_trash_for_a_moment);
  return g_test_run ();
}

#include <errno.h>
#include <sys/file.h>

#include "store-fixture.h"

static int
open_lock (Fixture *fixture)
{
  int fd = openat (vf_store_fd (fixture->store), "lock", O_RDWR | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static void
test_lease_is_shared (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfStoreWrite *first = vf_store_begin_write (fixture->store, &error);
  g_assert_no_error (error);
  VfStoreWrite *second = vf_store_begin_write (fixture->store, &error);
  g_assert_no_error (error);
  VF_AUTOFD fd = open_lock (fixture);
  vf_store_end_write (first);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, -1);
  g_assert_cmpint (errno, ==, EWOULDBLOCK);
  vf_store_end_write (second);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, 0);
}

static void
test_tmp_is_locked_and_removed (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfStoreTmp *tmp = vf_store_tmp_new (fixture->store, &error);
  g_assert_no_error (error);
  g_autofree char *path = g_strdup (vf_store_tmp_path (tmp));
  g_assert_true (g_path_is_absolute (path));
  VF_AUTOFD other = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (flock (other, LOCK_EX | LOCK_NB), ==, -1);
  g_assert_cmpint (mkdirat (vf_store_tmp_fd (tmp), "sub", 0500), ==, 0);
  vf_store_tmp_free (tmp);
  g_assert_cmpint (access (path, F_OK), ==, -1);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

static void
test_no_lock_file (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (unlinkat (vf_store_fd (fixture->store), "lock", 0), ==, 0);
  g_assert_cmpint (symlinkat ("/etc/passwd", vf_store_fd (fixture->store), "lock"), ==, 0);
  g_assert_null (vf_store_begin_write (fixture->store, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ELOOP);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/store-write/lease-is-shared", test_lease_is_shared);
  FIXTURE_TEST ("/store-write/tmp-is-locked-and-removed", test_tmp_is_locked_and_removed);
  FIXTURE_TEST ("/store-write/no-lock-file", test_no_lock_file);
  return g_test_run ();
}

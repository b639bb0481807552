#include <sys/file.h>

#include "check-fixture.h"
#include "layers/marks.h"

static void
test_damaged_texts (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 1);
  const char *const files[] = {"envs/a/env.ini", "envs/a/generations/1.ini"};
  for (gsize i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *text = store_text (fixture, files[i]);
    store_write (fixture, files[i], "damaged");
    assert_problem (fixture, FALSE, "envs/a", files[i]);
    g_strfreev (run_check (fixture, FALSE, TRUE));
    g_assert_true (store_has (fixture, files[i])); /* a user's: never set aside */
    store_write (fixture, files[i], text);
  }
  assert_clean (fixture);
}

static void
test_missing_references (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 1);
  const VfGeneration *generation = vf_environment_current (environment);
  g_autofree char *image = vf_digest_path ("images/", &generation->image);
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (renameat (fd, image, fd, "tmp/image"), ==, 0);
  assert_problem (fixture, FALSE, "envs/a/generations/1.ini", image);
  g_assert_cmpint (renameat (fd, "tmp/image", fd, image), ==, 0);
  assert_clean (fixture);
}

static void
test_directories_and_strays (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 1);
  int fd = vf_environment_fd (environment);
  g_assert_cmpint (unlinkat (fd, "work", AT_REMOVEDIR), ==, 0);
  assert_problem (fixture, FALSE, "envs/a/work", "is missing");
  store_write (fixture, "envs/a/work", "");
  assert_problem (fixture, FALSE, "envs/a/work", "is not a directory");
  g_assert_cmpint (unlinkat (fd, "work", 0), ==, 0);
  g_assert_cmpint (mkdirat (fd, "work", 0700), ==, 0);
  store_write (fixture, "envs/a/notes", "");
  assert_problem (fixture, FALSE, "envs/a/notes", "is no part of an environment");
  g_assert_cmpint (unlinkat (fd, "notes", 0), ==, 0);
  store_write (fixture, "envs/a/env.ini.00.tmp", "half");
  store_write (fixture, "envs/a/mount.ini", "[mount]\npoint=/p\nwanted=true\n");
  store_write (fixture, "envs/a/mount.ini.tmp", "half");
  store_write (fixture, "envs/a/places", "/p\n");
  assert_clean (fixture);
  store_write (fixture, "envs/.hidden", "");
  assert_problem (fixture, FALSE, "envs/.hidden", "not a name for an environment");
}

static void
test_marks (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 1);
  VfDigest none = digest_of ("none"), object = digest_of ("a 0");
  g_autofree char *image = vf_digest_path ("images/", &none);
  g_assert_cmpint (mkdirat (vf_environment_fd (environment), "upper/d", 0700), ==, 0);
  store_write (fixture, "envs/a/upper/d/file", "");
  VF_AUTOFD file = openat (vf_environment_fd (environment), "upper/d/file", O_RDWR);
  VF_AUTOFD directory = openat (vf_environment_fd (environment), "upper/d", O_RDONLY | O_DIRECTORY);
  g_assert_cmpint (vf_mark_set_digest (file, &object), ==, 0);
  assert_clean (fixture);
  g_assert_cmpint (vf_mark_set_digest (file, &none), ==, 0);
  assert_problem (fixture, FALSE, "envs/a/upper/d/file", "its content is missing");
  g_assert_cmpint (vf_mark_set_digest (file, &object), ==, 0);
  g_assert_cmpint (vf_mark_set_lower (directory, &none, "lib"), ==, 0);
  assert_problem (fixture, FALSE, "envs/a/upper/d", image);
}

static void
test_leases (Fixture *fixture, gconstpointer user_data)
{
  VfDigest none = digest_of ("none");
  g_autofree char *image = vf_digest_path ("images/", &none);
  g_autofree char *text = g_strconcat ("image ", image + strlen ("images/"), "\n", NULL);
  store_write (fixture, "leases/x", text);
  assert_clean (fixture);
  g_autofree char *path = vf_store_path_of (fixture->store, "leases/x");
  VF_AUTOFD fd = open (path, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (flock (fd, LOCK_EX), ==, 0);
  assert_problem (fixture, FALSE, "leases/x", image);
  g_assert_cmpint (ftruncate (fd, 3), ==, 0);
  assert_problem (fixture, FALSE, "leases/x", "\"ima\" is not a line of a lease");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/check-environment/damaged-texts", test_damaged_texts);
  FIXTURE_TEST ("/check-environment/missing-references", test_missing_references);
  FIXTURE_TEST ("/check-environment/directories-and-strays", test_directories_and_strays);
  FIXTURE_TEST ("/check-environment/marks", test_marks);
  FIXTURE_TEST ("/check-environment/leases", test_leases);
  return g_test_run ();
}

#include "check-fixture.h"

static void
damage (Fixture *fixture, const char *relative, const char *text)
{
  store_write (fixture, relative, text);
  g_assert_cmpint (fchmodat (vf_store_fd (fixture->store), relative, 0444, 0), ==, 0);
}

static void
test_an_object_and_what_needs_it (Fixture *fixture, gconstpointer user_data)
{
  VfDigest package = world_package (fixture, "p", 2);
  g_autofree char *index = vf_digest_path ("packages/", &package);
  g_autofree char *path = object_path ("p 1");
  damage (fixture, path, "P 1");
  g_auto (GStrv) shallow = run_check (fixture, FALSE, FALSE);
  g_assert_cmpuint (g_strv_length (shallow), ==, 0);
  g_auto (GStrv) deep = run_check (fixture, TRUE, FALSE);
  g_assert_nonnull (strstr (deep[0], "is damaged: its content hashes to "));

  g_auto (GStrv) repaired = run_check (fixture, TRUE, TRUE);
  g_assert_cmpuint (g_strv_length (repaired), ==, 3); /* object, package, wheel */
  g_assert_nonnull (strstr (repaired[1], "1 of 3 files of p 1.0"));
  g_assert_nonnull (strstr (repaired[2], "which is not there"));
  g_assert_false (store_has (fixture, path));
  g_assert_false (store_has (fixture, index));
  g_assert_cmpuint (store_count (fixture, "trash/quarantine"), ==, 3);
  assert_clean (fixture);
  world_package (fixture, "p", 2);
  assert_clean (fixture);
  g_assert_true (store_has (fixture, index));
}

static void
test_a_truncated_object_is_seen_by_its_size (Fixture *fixture, gconstpointer user_data)
{
  VfDigest package = world_package (fixture, "p", 2);
  g_autofree char *index = vf_digest_path ("packages/", &package);
  g_autofree char *path = object_path ("p 0");
  damage (fixture, path, "p");
  assert_problem (fixture, FALSE, index, "p/m000.py");
}

static void
test_indexes (Fixture *fixture, gconstpointer user_data)
{
  VfDigest package = world_package (fixture, "p", 1), wheel = digest_of ("p wheel");
  VfDigest image = world_image (fixture, "i", 1), none = digest_of ("none");
  g_autofree char *listing = vf_digest_path ("bytecode/" WORLD_TAG "/", &package);
  g_autofree char *wheel_path = vf_digest_path ("wheels/", &wheel);
  g_autofree char *image_path = vf_digest_path ("images/", &image);
  g_autofree char *other = vf_digest_path ("images/", &none);
  damage (fixture, listing, "nonsense");
  assert_problem (fixture, FALSE, listing, "is damaged");
  g_strfreev (run_check (fixture, FALSE, TRUE));
  assert_clean (fixture);
  damage (fixture, wheel_path, "nonsense");
  assert_problem (fixture, FALSE, wheel_path, "does not name a package");
  g_strfreev (run_check (fixture, FALSE, TRUE));
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (renameat (fd, image_path, fd, other), ==, 0);
  assert_problem (fixture, FALSE, other, "it is another image");
  g_assert_cmpint (renameat (fd, other, fd, image_path), ==, 0);
  g_autofree char *residue = object_path ("i residue");
  g_assert_cmpint (unlinkat (fd, residue, 0), ==, 0);
  assert_problem (fixture, FALSE, image_path, "the content of 1 of its files");
  g_strfreev (run_check (fixture, FALSE, TRUE));
  g_assert_true (store_has (fixture, image_path));
  damage (fixture, image_path, "nonsense");
  assert_problem (fixture, FALSE, image_path, "is damaged");
  g_strfreev (run_check (fixture, FALSE, TRUE));
  assert_clean (fixture);
}

static void
test_missing_bytecode (Fixture *fixture, gconstpointer user_data)
{
  VfDigest package = world_package (fixture, "p", 1);
  g_autofree char *listing = vf_digest_path ("bytecode/" WORLD_TAG "/", &package);
  g_autofree char *path = object_path ("p 0 compiled");
  g_assert_cmpint (unlinkat (vf_store_fd (fixture->store), path, 0), ==, 0);
  assert_problem (fixture, FALSE, listing, "1 of 2 modules");
}

static void
test_strays (Fixture *fixture, gconstpointer user_data)
{
  static const char *const strays[] = {"packages/x", "images/README", "wheels/y",
                                       "objects/zz", "bytecode/t/x",  "objects/ab/short"};
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (mkdirat (fd, "bytecode/t", 0700), ==, 0);
  g_assert_cmpint (mkdirat (fd, "objects/ab", 0700), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (strays); i++) {
    store_write (fixture, strays[i], "");
    assert_problem (fixture, FALSE, strays[i], "is no");
    g_assert_cmpint (unlinkat (fd, strays[i], 0), ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/check-content/an-object-and-what-needs-it", test_an_object_and_what_needs_it);
  FIXTURE_TEST ("/check-content/a-truncated-object-is-seen-by-its-size",
                test_a_truncated_object_is_seen_by_its_size);
  FIXTURE_TEST ("/check-content/indexes", test_indexes);
  FIXTURE_TEST ("/check-content/missing-bytecode", test_missing_bytecode);
  FIXTURE_TEST ("/check-content/strays", test_strays);
  return g_test_run ();
}

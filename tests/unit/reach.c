#include "layers/reach.h"

#include "world-fixture.h"

static gboolean
reaches (VfReach *reach, const char *content)
{
  VfDigest digest = digest_of (content);
  return vf_reach_has_object (reach, &digest);
}

static void
test_closures (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest package = world_package (fixture, "p", 2), image = world_image (fixture, "i", 2);
  g_autofree char *index = vf_digest_path ("bytecode/" WORLD_TAG "/", &package);
  g_autoptr (VfReach) reach = vf_reach_new (fixture->store);
  g_assert_false (vf_reach_has_package (reach, &package));
  g_assert_true (vf_reach_add_package (reach, &package, &error));
  g_assert_true (vf_reach_has_package (reach, &package));
  g_assert_true (reaches (reach, "p 1") && reaches (reach, "shared"));
  g_assert_false (reaches (reach, "p 1 compiled"));
  g_assert_true (vf_reach_add_listing (reach, index, &error));
  g_assert_true (vf_reach_has_listing (reach, index) && reaches (reach, "p 1 compiled"));
  g_assert_false (reaches (reach, "i 1"));
  g_assert_true (vf_reach_add_image (reach, &image, &error));
  g_assert_true (vf_reach_has_image (reach, &image));
  g_assert_true (reaches (reach, "i 1") && reaches (reach, "i residue"));
  g_assert_false (reaches (reach, "inline"));
}

static void
test_what_is_known_is_not_read_again (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest package = world_package (fixture, "p", 2);
  g_autofree char *path = vf_digest_path ("packages/", &package);
  g_autoptr (VfReach) reach = vf_reach_new (fixture->store);
  g_assert_true (vf_reach_add_package (reach, &package, &error));
  store_write (fixture, path, "damaged");
  g_assert_true (vf_reach_add_package (reach, &package, &error));
}

static void
test_missing_and_damaged (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest none = digest_of ("none");
  g_autoptr (VfReach) reach = vf_reach_new (fixture->store);
  g_assert_false (vf_reach_add_package (reach, &none, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (vf_reach_add_image (reach, &none, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_false (vf_reach_add_listing (reach, "bytecode/x/y", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_clear_error (&error);

  VfDigest image = world_image (fixture, "i", 2);
  g_autofree char *path = vf_digest_path ("images/", &image),
                  *other = vf_digest_path ("images/", &none);
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (renameat (fd, path, fd, other), ==, 0);
  g_assert_false (vf_reach_add_image (reach, &none, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_false (vf_reach_has_image (reach, &none));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/reach/closures", test_closures);
  FIXTURE_TEST ("/reach/what-is-known-is-not-read-again", test_what_is_known_is_not_read_again);
  FIXTURE_TEST ("/reach/missing-and-damaged", test_missing_and_damaged);
  return g_test_run ();
}

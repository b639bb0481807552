#include <sys/file.h>

#include "layers/lease.h"
#include "layers/reach.h"
#include "permissions.h"
#include "world-fixture.h"

static gboolean
reaches (VfReach *reach, const char *content)
{
  VfDigest digest = digest_of (content);
  return vf_reach_has_object (reach, &digest);
}

static void
test_environments (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfEnvironment) a = world_environment (fixture, "a", 2);
  g_autoptr (VfEnvironment) b = world_environment (fixture, "b", 2);
  VfDigest unused = world_package (fixture, "unused", 1);
  store_write (fixture, "envs/.a-file", "");
  g_autoptr (VfReach) reach = vf_reach_new (fixture->store);
  g_assert_true (vf_reach_add_roots (reach, fixture->store, &error));
  g_assert_true (reaches (reach, "a 1") && reaches (reach, "b residue"));
  g_assert_true (reaches (reach, "b 0 compiled"));
  g_assert_false (vf_reach_has_package (reach, &unused));

  g_assert_cmpint (mkdirat (vf_store_fd (fixture->store), "envs/.copy", 0700), ==, 0);
  g_assert_false (vf_reach_add_roots (reach, fixture->store, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_true (g_str_has_prefix (error->message, ".copy: "));
}

static void
test_no_bytecode_without_compile (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest package = world_package (fixture, "p", 1);
  g_autoptr (VfReach) reach = vf_reach_new (fixture->store);
  g_autoptr (VfGeneration) generation = new_generation ();
  generation->image = world_image (fixture, "p", 1);
  generation->compile = FALSE;
  g_ptr_array_add (generation->installed, vf_installed_new (&package, TRUE, NULL));
  g_assert_true (vf_reach_add_generation (reach, generation, &error));
  g_assert_false (reaches (reach, "p 0 compiled"));
  generation->compile = TRUE;
  g_free (generation->cache_tag);
  generation->cache_tag = g_strdup ("cpython-31");
  g_assert_true (vf_reach_add_generation (reach, generation, &error));
  g_assert_false (reaches (reach, "p 0 compiled"));
}

static void
test_unreadable_upper (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfEnvironment) a = world_environment (fixture, "a", 1);
  int fd = vf_environment_fd (a);
  g_assert_cmpint (mkdirat (fd, "upper/closed", 0), ==, 0);
  g_autoptr (VfReach) reach = vf_reach_new (fixture->store);
  permissions_override (FALSE);
  g_assert_false (vf_reach_add_roots (reach, fixture->store, &error));
  permissions_override (TRUE);
  g_assert_nonnull (strstr (error->message, "upper/closed: cannot be listed"));
}

static void
test_fresh (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest fresh = world_package (fixture, "fresh", 1), old = world_package (fixture, "old", 1);
  g_autofree char *index = vf_digest_path ("packages/", &old);
  g_autofree char *listing = vf_digest_path ("bytecode/" WORLD_TAG "/", &old);
  store_set_age (fixture, index, 1000);
  store_set_age (fixture, listing, 1000);
  world_image (fixture, "image", 1);
  g_autoptr (VfReach) reach = vf_reach_new (fixture->store);
  g_assert_true (vf_reach_add_fresh (reach, fixture->store, time (NULL) - 500, &error));
  g_assert_true (vf_reach_has_package (reach, &fresh));
  g_assert_false (vf_reach_has_package (reach, &old));
  g_assert_true (reaches (reach, "fresh 0 compiled") && reaches (reach, "image residue"));
  g_assert_false (reaches (reach, "old 0 compiled"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/roots/environments", test_environments);
  FIXTURE_TEST ("/roots/no-bytecode-without-compile", test_no_bytecode_without_compile);
  FIXTURE_TEST ("/roots/unreadable-upper", test_unreadable_upper);
  FIXTURE_TEST ("/roots/fresh", test_fresh);
  return g_test_run ();
}

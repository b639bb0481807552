#include "layers/trash.h"

#include "store-fixture.h"

static void
test_names (void)
{
  g_autofree char *path = vf_trash_path ("objects/ab/cd");
  g_assert_cmpstr (path, ==, "trash/sweep/objects:ab:cd");
  g_autofree char *origin = vf_trash_origin ("objects:ab:cd");
  g_assert_cmpstr (origin, ==, "objects/ab/cd");
  const char *const foreign[] = {"", "objects", ":etc", "envs:..:..:x", "a::b"};
  for (gsize i = 0; i < G_N_ELEMENTS (foreign); i++)
    g_assert_null (vf_trash_origin (foreign[i]));
}

static void
test_fresh (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  g_assert_false (vf_trash_is_fresh (fixture->store, "trash/a", &st));
  store_write (fixture, "trash/a", "abc");
  g_assert_true (vf_trash_is_fresh (fixture->store, "trash/a", &st));
  g_assert_cmpint (st.st_size, ==, 3);
  store_set_age (fixture, "trash/a", VF_STORE_GRACE_SECONDS + 10);
  g_assert_false (vf_trash_is_fresh (fixture->store, "trash/a", &st));
  g_assert_false (vf_trash_is_fresh (fixture->store, "trash", &st));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trash/names", test_names);
  FIXTURE_TEST ("/trash/fresh", test_fresh);
  return g_test_run ();
}

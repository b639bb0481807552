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

static void
test_measure_and_remove (Fixture *fixture, gconstpointer user_data)
{
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (mkdirat (fd, "trash/t", 0700), ==, 0);
  g_assert_cmpint (mkdirat (fd, "trash/t/d", 0700), ==, 0);
  store_write (fixture, "trash/t/d/a", "abc");
  g_assert_cmpint (linkat (fd, "trash/t/d/a", fd, "trash/t/d/b", 0), ==, 0);
  g_assert_cmpint (symlinkat ("/", fd, "trash/t/root"), ==, 0);
  guint64 expected = 0;
  const char *const once[] = {"trash/t", "trash/t/d", "trash/t/d/a", "trash/t/root"};
  for (gsize i = 0; i < G_N_ELEMENTS (once); i++)
    expected += (guint64)store_stat (fixture, once[i]).st_blocks * 512;
  g_assert_cmpuint (vf_trash_measure (fd, "trash/t"), ==, expected);
  g_assert_cmpuint (vf_trash_measure (fd, "trash/none"), ==, 0);

  g_assert_cmpint (fchmodat (fd, "trash/t/d", 0, 0), ==, 0);
  g_assert_false (vf_trash_remove (fixture->store, "t", 1));
  g_assert_true (store_has (fixture, "trash/t/d/a"));
  g_assert_true (vf_trash_remove (fixture->store, "t", 0));
  g_assert_cmpuint (store_count (fixture, "trash"), ==, 0);
  g_assert_true (vf_trash_remove (fixture->store, "t", 0));
}

static void
test_put_back (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfStore *store = fixture->store;
  store_write (fixture, "trash/a", "old");
  g_assert_true (vf_trash_put_back (store, "trash/a", "tmp/a", &error));
  g_assert_true (store_has (fixture, "tmp/a"));
  g_assert_false (store_has (fixture, "trash/a"));

  store_write (fixture, "trash/a", "older");
  g_assert_true (vf_trash_put_back (store, "trash/a", "tmp/a", &error));
  g_assert_cmpint (store_stat (fixture, "tmp/a").st_size, ==, strlen ("old"));
  g_assert_false (store_has (fixture, "trash/a"));

  g_assert_true (vf_trash_put_back (store, "trash/none", "tmp/b", &error));
  g_assert_no_error (error);
  store_write (fixture, "trash/a", "old");
  g_assert_false (vf_trash_put_back (store, "trash/a", "tmp/a/below", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOTDIR);
  g_assert_true (store_has (fixture, "trash/a"));
}

static void
test_recover (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  int fd = vf_store_fd (fixture->store);
  g_assert_true (vf_trash_recover (fixture->store, &error));
  g_assert_cmpint (mkdirat (fd, "trash/sweep", 0700), ==, 0);
  store_write (fixture, "trash/sweep/packages:p", "p");
  store_write (fixture, "trash/sweep/objects:o", "o");
  store_write (fixture, "trash/sweep/foreign", "f");
  g_assert_true (vf_trash_recover (fixture->store, &error));
  g_assert_no_error (error);
  g_assert_true (store_has (fixture, "packages/p"));
  g_assert_true (store_has (fixture, "objects/o"));
  g_assert_true (store_has (fixture, "trash/sweep/foreign"));

  /* An object that cannot be put back keeps back all that may refer to it. */
  store_write (fixture, "trash/sweep/packages:q", "q");
  store_write (fixture, "trash/sweep/objects:o:below", "o");
  g_assert_false (vf_trash_recover (fixture->store, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOTDIR);
  g_assert_false (store_has (fixture, "packages/q"));
}

static void
test_empty (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  int fd = vf_store_fd (fixture->store);
  guint64 bytes = 1, entries = 1;
  g_assert_cmpint (mkdirat (fd, "trash/quarantine", 0700), ==, 0);
  g_assert_cmpint (mkdirat (fd, "trash/dead-1", 0700), ==, 0);
  store_write (fixture, "trash/quarantine/young", "abc");
  store_write (fixture, "trash/dead-1/a", "abc");
  store_write (fixture, "trash/env-e-1", "abc");
  guint64 expected = 1 + (guint64)store_stat (fixture, "trash/env-e-1").st_blocks * 512;

  g_assert_true (vf_trash_empty (fixture->store, TRUE, "trash/dead-1", &bytes, &entries, &error));
  g_assert_cmpuint (bytes, ==, expected);
  g_assert_cmpuint (entries, ==, 2);
  g_assert_cmpuint (store_count (fixture, "trash"), ==, 3);

  bytes = entries = 0;
  g_assert_true (vf_trash_empty (fixture->store, FALSE, NULL, &bytes, &entries, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (bytes, >, expected);
  g_assert_cmpuint (entries, ==, 2);
  g_assert_cmpuint (store_count (fixture, "trash"), ==, 1);
  g_assert_true (store_has (fixture, "trash/quarantine/young"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trash/names", test_names);
  FIXTURE_TEST ("/trash/fresh", test_fresh);
  FIXTURE_TEST ("/trash/measure-and-remove", test_measure_and_remove);
  FIXTURE_TEST ("/trash/put-back", test_put_back);
  FIXTURE_TEST ("/trash/recover", test_recover);
  FIXTURE_TEST ("/trash/empty", test_empty);
  return g_test_run ();
}

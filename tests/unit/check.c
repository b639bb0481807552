#include "check-fixture.h"

static void
test_clean (Fixture *fixture, gconstpointer user_data)
{
  assert_clean (fixture);
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 3);
  assert_clean (fixture);
}

static void
test_strays_at_the_top (Fixture *fixture, gconstpointer user_data)
{
  store_write (fixture, "notes.txt", "");
  assert_problem (fixture, FALSE, "notes.txt", "is no part of a store");
}

static void
test_modes_and_links (Fixture *fixture, gconstpointer user_data)
{
  int fd = vf_store_fd (fixture->store);
  add_object (fixture, "object");
  g_autofree char *path = object_path ("object");
  g_assert_cmpint (fchmodat (fd, path, 0644, 0), ==, 0);
  assert_problem (fixture, FALSE, path, "mode 0644");
  g_auto (GStrv) repaired = run_check (fixture, FALSE, TRUE);
  g_assert_cmpuint (g_strv_length (repaired), ==, 1);
  assert_clean (fixture);

  g_assert_cmpint (linkat (fd, path, fd, "tmp/link", 0), ==, 0);
  assert_problem (fixture, FALSE, path, "has 2 names");
  g_assert_cmpint (unlinkat (fd, "tmp/link", 0), ==, 0);
  g_assert_cmpint (unlinkat (fd, path, 0), ==, 0);
  g_assert_cmpint (symlinkat ("/etc/passwd", fd, path), ==, 0);
  assert_problem (fixture, FALSE, path, "is not a regular file");
}

static void
test_it_cannot_run (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  VfCheckResult result = {99, 99};
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (unlinkat (fd, "lock", 0), ==, 0);
  g_assert_cmpint (mkdirat (fd, "lock", 0700), ==, 0);
  g_assert_false (
      vf_check (fixture->store, FALSE, FALSE, on_problem, NULL, lines, &result, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, EISDIR);
  g_assert_cmpuint (result.problems, ==, 0);
}

/* Lets the first file pass, and no other. */
static gboolean
one_file (guint64 done, gpointer user_data)
{
  return done == 0;
}

static void
test_cancelled (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  VfCheckResult result = {99, 99};
  add_object (fixture, "one");
  add_object (fixture, "two");
  g_assert_false (
      vf_check (fixture->store, TRUE, FALSE, on_problem, one_file, lines, &result, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
  g_assert_cmpuint (result.problems, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/check/clean", test_clean);
  FIXTURE_TEST ("/check/strays-at-the-top", test_strays_at_the_top);
  FIXTURE_TEST ("/check/modes-and-links", test_modes_and_links);
  FIXTURE_TEST ("/check/it-cannot-run", test_it_cannot_run);
  FIXTURE_TEST ("/check/cancelled", test_cancelled);
  return g_test_run ();
}

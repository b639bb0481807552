#include "layers/store.h"

#include "store-fixture.h"

static void
open_and_expect (const char *path, VfErrorCode code)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_store_open (path, &error));
  g_assert_error (error, VF_ERROR, (int)code);
  g_assert_true (g_str_has_prefix (error->message, path));
}

static void
test_make_and_reopen (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *format = store_text (fixture, "format");
  g_assert_cmpstr (format, ==, "venvfs store 1\n");
  g_assert_cmpint (store_stat (fixture, ".").st_mode & 0777, ==, 0700);
  g_assert_true (store_has (fixture, "objects"));
  g_assert_true (store_has (fixture, "leases"));
  g_autofree char *through_link = g_build_filename (fixture->root, "link", NULL);
  g_assert_cmpint (symlink ("store", through_link), ==, 0);
  g_autoptr (VfStore) again = vf_store_open (through_link, &error);
  g_assert_no_error (error);
  g_autofree char *path = vf_store_path_of (again, "objects");
  g_autofree char *expected = g_build_filename (vf_store_path (fixture->store), "objects", NULL);
  g_assert_cmpstr (path, ==, expected);
}

static void
test_empty_directory_and_deep_path (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *empty = g_build_filename (fixture->root, "empty", NULL);
  g_assert_cmpint (g_mkdir (empty, 0755), ==, 0);
  g_autoptr (VfStore) first = vf_store_open (empty, &error);
  g_assert_no_error (error);
  g_autofree char *deep = g_build_filename (fixture->root, "a", "b", "c", NULL);
  g_autoptr (VfStore) second = vf_store_open (deep, &error);
  g_assert_no_error (error);
}

static void
test_half_made_is_completed (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (unlinkat (vf_store_fd (fixture->store), "format", 0), ==, 0);
  g_assert_cmpint (unlinkat (vf_store_fd (fixture->store), "leases", AT_REMOVEDIR), ==, 0);
  store_write (fixture, "tmp/format.0123456789abcdef.tmp", "ven");
  g_autoptr (VfStore) again = vf_store_open (fixture->path, &error);
  g_assert_no_error (error);
  g_assert_true (store_has (fixture, "format"));
  g_assert_true (store_has (fixture, "leases"));
}

static void
test_refusals (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *home = g_build_filename (fixture->root, "home", NULL);
  g_autofree char *file = g_build_filename (home, "letter.txt", NULL);
  g_assert_cmpint (g_mkdir (home, 0755), ==, 0);
  g_assert_true (g_file_set_contents (file, "dear", -1, NULL));
  open_and_expect (home, VF_ERROR_INVALID);
  open_and_expect (file, VF_ERROR_INVALID);
  open_and_expect ("", VF_ERROR_INVALID);

  store_write (fixture, "format", "venvfs store 2\n");
  open_and_expect (fixture->path, VF_ERROR_NEWER);
  const char *const damaged[] = {"",  "venvfs store 1",    "venvfs store 0\n", "venvfs store x\n",
                                 "x", "venvfs store -1\n", "venvfs store 1\nx"};
  for (gsize i = 0; i < G_N_ELEMENTS (damaged); i++) {
    store_write (fixture, "format", damaged[i]);
    open_and_expect (fixture->path, VF_ERROR_INVALID);
  }
  g_autofree char *huge = g_strnfill (1000, 'x');
  store_write (fixture, "format", huge);
  open_and_expect (fixture->path, VF_ERROR_INVALID);
}

static void
test_default_path (void)
{
  g_setenv ("VENVFS_STORE", "/elsewhere", TRUE);
  g_autofree char *named = vf_store_default_path ();
  g_assert_cmpstr (named, ==, "/elsewhere");
  g_unsetenv ("VENVFS_STORE");
  g_autofree char *path = vf_store_default_path ();
  if (geteuid () == 0)
    g_assert_cmpstr (path, ==, "/var/lib/venvfs");
  else
    g_assert_true (g_str_has_prefix (path, g_get_user_data_dir ()));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/store/make-and-reopen", test_make_and_reopen);
  FIXTURE_TEST ("/store/empty-directory-and-deep-path", test_empty_directory_and_deep_path);
  FIXTURE_TEST ("/store/half-made-is-completed", test_half_made_is_completed);
  FIXTURE_TEST ("/store/refusals", test_refusals);
  g_test_add_func ("/store/default-path", test_default_path);
  return g_test_run ();
}

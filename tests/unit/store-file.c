#include "layers/store-file.h"

#include "layers/trash.h"
#include "store-fixture.h"

#define NAME "packages/0123"

static void
put (Fixture *fixture, const char *relative, const char *text)
{
  g_autoptr (GError) error = NULL;
  vf_store_put (fixture->store, relative, text, strlen (text), &error);
  g_assert_no_error (error);
}

static void
test_put_and_get (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  put (fixture, NAME, "one");
  put (fixture, "bytecode/cpython-313/4567", "");
  g_assert_cmpint (store_stat (fixture, NAME).st_mode, ==, S_IFREG | 0444);
  g_autoptr (GBytes) bytes = vf_store_get (fixture->store, NAME, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "one", 3);
  g_assert_null (vf_store_get (fixture->store, "packages/none", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

static void
test_put_again (Fixture *fixture, gconstpointer user_data)
{
  put (fixture, NAME, "one");
  ino_t first = store_stat (fixture, NAME).st_ino;
  store_set_age (fixture, NAME, 7200);
  put (fixture, NAME, "one");
  g_assert_cmpuint (store_stat (fixture, NAME).st_ino, ==, first);
  g_assert_cmpint (store_age (fixture, NAME), <, 60);
  put (fixture, NAME, "two");
  g_autofree char *text = store_text (fixture, NAME);
  g_assert_cmpstr (text, ==, "two");
}

static void
test_reuse_freshens_what_is_old (Fixture *fixture, gconstpointer user_data)
{
  g_assert_false (vf_store_reuse (fixture->store, NAME));
  put (fixture, NAME, "one");
  store_set_age (fixture, NAME, VF_STORE_FRESHEN_SECONDS / 2);
  g_assert_true (vf_store_reuse (fixture->store, NAME));
  g_assert_cmpint (store_age (fixture, NAME), >=, VF_STORE_FRESHEN_SECONDS / 2);
  store_set_age (fixture, NAME, VF_STORE_FRESHEN_SECONDS + 10);
  g_assert_true (vf_store_reuse (fixture->store, NAME));
  g_assert_cmpint (store_age (fixture, NAME), <, 60);
  g_assert_false (vf_store_reuse (fixture->store, "packages"));
}

static void
move_to_trash (Fixture *fixture)
{
  g_autofree char *trash = vf_trash_path (NAME);
  int fd = vf_store_fd (fixture->store);
  mkdirat (fd, VF_TRASH_SWEEP, 0700);
  g_assert_cmpint (renameat (fd, NAME, fd, trash), ==, 0);
}

static void
test_trash (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *trash = vf_trash_path (NAME);
  put (fixture, NAME, "one");
  move_to_trash (fixture);
  g_autoptr (GBytes) bytes = vf_store_get (fixture->store, NAME, &error);
  g_assert_no_error (error);
  g_assert_true (store_has (fixture, trash));
  g_assert_true (vf_store_reuse (fixture->store, NAME));
  g_assert_false (store_has (fixture, trash));

  move_to_trash (fixture);
  store_set_age (fixture, trash, VF_STORE_GRACE_SECONDS + 10);
  g_assert_false (vf_store_reuse (fixture->store, NAME));
  g_assert_null (vf_store_get (fixture->store, NAME, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
}

static void
test_publish (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (fixture->store, &error);
  g_assert_no_error (error);
  for (int i = 0; i < 2; i++) {
    g_assert_true (vf_replace_file (vf_store_tmp_fd (tmp), "new", 0600, "image", 5, "new", &error));
    g_assert_true (
        vf_store_publish (fixture->store, vf_store_tmp_fd (tmp), "new", "images/abc", &error));
    g_assert_no_error (error);
    g_assert_cmpint (faccessat (vf_store_tmp_fd (tmp), "new", F_OK, 0), ==, -1);
  }
  g_assert_cmpint (store_stat (fixture, "images/abc").st_mode, ==, S_IFREG | 0444);
  g_assert_false (
      vf_store_publish (fixture->store, vf_store_tmp_fd (tmp), "none", "images/def", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
}

static void
test_failed_put_leaves_nothing (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  store_write (fixture, "packages/file", "in the way");
  g_assert_false (vf_store_put (fixture->store, "packages/file/x", "one", 3, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOTDIR);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/store-file/put-and-get", test_put_and_get);
  FIXTURE_TEST ("/store-file/put-again", test_put_again);
  FIXTURE_TEST ("/store-file/reuse-freshens-what-is-old", test_reuse_freshens_what_is_old);
  FIXTURE_TEST ("/store-file/trash", test_trash);
  FIXTURE_TEST ("/store-file/publish", test_publish);
  FIXTURE_TEST ("/store-file/failed-put-leaves-nothing", test_failed_put_leaves_nothing);
  return g_test_run ();
}

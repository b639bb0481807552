/* layers/outside-upper.c */
#include "tests/unit/store-fixture.h"

#include "layers/outside-upper.h"

static gboolean
collect (int parent_fd, const char *name, const char *parent, gpointer user_data, GError **error)
{
  struct stat st;
  g_assert_cmpint (fstatat (parent_fd, name, &st, 0), ==, 0);
  g_string_append_printf (user_data, "%s/%s ", parent, name);
  return TRUE;
}

static void
test_recorded_until_deleted (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *parent = g_build_filename (fixture->root, "disk", NULL);
  g_autofree char *path = g_build_filename (parent, "upper", NULL);
  g_autoptr (GString) seen = g_string_new (NULL);
  g_assert_cmpint (g_mkdir_with_parents (path, 0755), ==, 0);
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_assert_true (vf_outside_upper_record (fixture->store, path, &error));
  g_assert_true (vf_outside_upper_record (fixture->store, path, &error));
  g_assert_true (vf_outside_upper_foreach (fixture->store, collect, seen, &error));
  g_autofree char *expected = g_strconcat (path, " ", NULL);
  g_assert_cmpstr (seen->str, ==, expected);

  /* A disk that is not there: nothing is known. */
  g_autofree char *away = g_build_filename (fixture->root, "away", NULL);
  g_assert_cmpint (rename (parent, away), ==, 0);
  g_assert_false (vf_outside_upper_foreach (fixture->store, collect, seen, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  g_assert_true (g_str_has_prefix (error->message, path));
  g_clear_error (&error);
  g_assert_cmpint (rename (away, parent), ==, 0);

  /* Another disk, or none, is where its disk was. */
  VfDigest digest;
  vf_digest_of (path, strlen (path), &digest);
  g_autofree char *record = vf_digest_path ("uppers/", &digest);
  g_autoptr (GString) other = g_string_new (path);
  g_string_append_c (other, '\0');
  g_string_append (other, "0123456789abcdef");
  g_assert_cmpint (rmdir (path), ==, 0);
  g_assert_true (vf_store_put (fixture->store, record, other->str, other->len, NULL));
  g_assert_false (vf_outside_upper_foreach (fixture->store, collect, seen, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_true (vf_store_put (fixture->store, record, other->str, other->len - 1, NULL));
  g_assert_false (vf_outside_upper_foreach (fixture->store, collect, seen, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_clear_error (&error);
  g_assert_cmpint (g_mkdir_with_parents (path, 0755), ==, 0);
  g_assert_true (vf_outside_upper_record (fixture->store, path, &error));

  g_assert_cmpint (rmdir (path), ==, 0);
  g_string_truncate (seen, 0);
  g_assert_true (vf_outside_upper_foreach (fixture->store, collect, seen, &error));
  g_assert_cmpint (g_mkdir_with_parents (path, 0755), ==, 0);
  g_assert_true (vf_outside_upper_foreach (fixture->store, collect, seen, &error));
  g_assert_cmpstr (seen->str, ==, "");

  g_assert_true (vf_outside_upper_record (fixture->store, path, &error));
  vf_outside_upper_forget (fixture->store, path);
  g_assert_true (vf_outside_upper_foreach (fixture->store, collect, seen, &error));
  g_assert_cmpstr (seen->str, ==, "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/outside-upper/recorded", test_recorded_until_deleted);
  return g_test_run ();
}

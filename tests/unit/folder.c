#include "layers/folder.h"

#include "store-fixture.h"

static gboolean
rename_and_count (const char *name, gpointer user_data, GError **error)
{
  gpointer *data = user_data;
  Fixture *fixture = data[0];
  guint *count = data[1];
  ++*count;
  g_autofree char *from = g_strconcat ("tmp/", name, NULL), *to = g_strconcat (from, "-x", NULL);
  int fd = vf_store_fd (fixture->store);
  return renameat (fd, from, fd, to) == 0;
}

static void
test_each_once_though_renamed (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  guint count = 0;
  gpointer data[2] = {fixture, &count};
  for (guint i = 0; i < 500; i++) {
    g_autofree char *path = g_strdup_printf ("tmp/%u", i);
    store_write (fixture, path, "");
  }
  g_assert_true (vf_folder_foreach (fixture->store, "tmp", rename_and_count, data, &error));
  g_assert_cmpuint (count, ==, 500);
}

static gboolean
fail (const char *name, gpointer user_data, GError **error)
{
  ++*(guint *)user_data;
  return vf_error_set (error, VF_ERROR_FAILED, "%s", name);
}

static void
test_absent_and_failing (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  guint count = 0;
  g_assert_true (vf_folder_foreach (fixture->store, "none", fail, &count, &error));
  store_write (fixture, "tmp/a", "");
  store_write (fixture, "tmp/b", "");
  g_assert_false (vf_folder_foreach (fixture->store, "tmp", fail, &count, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  g_assert_cmpuint (count, ==, 1);
  g_clear_error (&error);
  g_assert_false (vf_folder_foreach (fixture->store, "tmp/a", fail, &count, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOTDIR);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/folder/each-once-though-renamed", test_each_once_though_renamed);
  FIXTURE_TEST ("/folder/absent-and-failing", test_absent_and_failing);
  return g_test_run ();
}

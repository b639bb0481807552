#include "layers/unsettled.h"

#include <errno.h>
#include <time.h>

#include "store-fixture.h"

static gboolean
settles (Fixture *fixture, VfUnsettled *unsettled)
{
  g_autoptr (GError) error = NULL;
  if (vf_unsettled_sync (unsettled, vf_store_fd (fixture->store), "store", &error))
    return TRUE;
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  g_assert_true (g_str_has_prefix (error->message, "store/none"));
  return FALSE;
}

/* A directory that is not there tells that it would be synced. */
static void
test_syncs_directories_of_what_is_young (Fixture *fixture, gconstpointer user_data)
{
  gint64 now = time (NULL);
  VfUnsettled *unsettled = vf_unsettled_new ();
  g_assert_true (settles (fixture, unsettled));
  vf_unsettled_note (unsettled, "none/name", now - 2 * VF_UNSETTLED_SECONDS);
  g_assert_true (settles (fixture, unsettled));
  vf_unsettled_note (unsettled, "packages/name", now);
  g_assert_true (settles (fixture, unsettled));
  vf_unsettled_note (unsettled, "none/name", now);
  g_assert_false (settles (fixture, unsettled));
  g_assert_false (settles (fixture, unsettled));
  vf_unsettled_clear (unsettled);
  g_assert_true (settles (fixture, unsettled));
  vf_unsettled_free (unsettled);
}

static void
test_syncs_many_at_once (Fixture *fixture, gconstpointer user_data)
{
  VfUnsettled *unsettled = vf_unsettled_new ();
  for (int i = 0; i < 100; i++) {
    g_autofree char *name = g_strdup_printf ("objects/%02x/name", i);
    g_autofree char *directory = g_path_get_dirname (name);
    g_assert_cmpint (mkdirat (vf_store_fd (fixture->store), directory, 0700), ==, 0);
    vf_unsettled_note (unsettled, name, time (NULL));
  }
  g_assert_true (settles (fixture, unsettled));
  vf_unsettled_free (unsettled);
}

/* An old file in a directory that was put into place as a whole a moment ago. */
static void
test_syncs_objects_with_a_young_directory (Fixture *fixture, gconstpointer user_data)
{
  int fd = vf_store_fd (fixture->store);
  VfUnsettled *unsettled = vf_unsettled_new ();
  g_assert_cmpint (renameat (fd, "objects", fd, "none"), ==, 0);
  g_assert_cmpint (symlinkat ("none", fd, "objects"), ==, 0);
  vf_unsettled_note (unsettled, "objects/ab/name", 0);
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_unsettled_sync (unsettled, fd, "store", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOTDIR);
  vf_unsettled_free (unsettled);
  g_assert_cmpint (unlinkat (fd, "objects", 0), ==, 0);
  g_assert_cmpint (renameat (fd, "none", fd, "objects"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/unsettled/young", test_syncs_directories_of_what_is_young);
  FIXTURE_TEST ("/unsettled/many", test_syncs_many_at_once);
  FIXTURE_TEST ("/unsettled/objects", test_syncs_objects_with_a_young_directory);
  return g_test_run ();
}

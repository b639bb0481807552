#include "overlay-fixture.h"

static void
collect_id (guint64 id, gpointer user_data)
{
  g_array_append_val ((GArray *)user_data, id);
}

static void
test_follow_the_mount_point (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *overlay = fixture->overlay;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint64));
  vf_overlay_foreach_view (overlay, collect_id, ids);
  g_assert_cmpuint (ids->len, ==, 0);
  guint64 view = id_at (fixture, "view");
  assert_text (fixture, view, "at /here/.venv\n");
  g_assert_false (vf_overlay_set_mount_point (overlay, "/here/.venv"));
  g_assert_true (vf_overlay_set_mount_point (overlay, "/there"));
  vf_overlay_foreach_view (overlay, collect_id, ids);
  g_assert_cmpuint (ids->len, ==, 1);
  g_assert_cmpuint (g_array_index (ids, guint64, 0), ==, view);
  assert_text (fixture, view, "at /there\n");
  g_assert_cmpint (entry_at (fixture, "view").st.st_size, ==, strlen ("at /there\n"));
}

static void
test_a_written_view_is_a_file (Fixture *fixture, gconstpointer user_data)
{
  guint64 view = id_at (fixture, "view");
  write_text (fixture, view, 0, "AT");
  vf_overlay_set_mount_point (fixture->overlay, "/there");
  assert_text (fixture, view, "AT /here/.venv\n");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/views/follow", test_follow_the_mount_point);
  FIXTURE_TEST ("/views/written", test_a_written_view_is_a_file);
  return g_test_run ();
}

#include "overlay-fixture.h"

static void
test_errors (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *overlay = fixture->overlay;
  guint64 dir = id_at (fixture, "dir");
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "sub"), ==, -EISDIR);
  g_assert_cmpint (vf_overlay_rmdir (overlay, dir, "file"), ==, -ENOTDIR);
  g_assert_cmpint (vf_overlay_rmdir (overlay, dir, "link"), ==, -ENOTDIR);
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "none"), ==, -ENOENT);
  g_assert_cmpint (vf_overlay_rmdir (overlay, VF_IMAGE_ROOT_ID, "dir"), ==, -ENOTEMPTY);
  g_assert_cmpint (vf_overlay_unlink (overlay, id_at (fixture, "inline"), "x"), ==, -ENOTDIR);
  g_assert_false (disk_has (fixture, "upper/dir"));
}

static void
test_covers_the_image (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *overlay = fixture->overlay;
  guint64 dir = id_at (fixture, "dir");
  gint64 before = entry_at (fixture, "dir").st.st_mtime;
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "link"), ==, 0);
  g_assert_true (disk_has_whiteout (fixture, "upper/dir/link"));
  g_assert_cmpint (entry_at (fixture, "dir").st.st_mtime, >, before);
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "link"), ==, -ENOENT);
  /* Copied up before: the copy goes, the whiteout comes in its place. */
  write_text (fixture, id_at (fixture, "dir/file"), 0, "x");
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "file"), ==, 0);
  g_assert_true (disk_has_whiteout (fixture, "upper/dir/file"));
  restart (fixture);
  g_assert_cmpint (error_at (fixture, "dir/file"), ==, -ENOENT);
  g_assert_cmpint (error_at (fixture, "dir/link"), ==, -ENOENT);
}

static void
test_leaves_nothing_of_the_upper (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *overlay = fixture->overlay;
  guint64 top = make_dir (fixture, VF_IMAGE_ROOT_ID, "top");
  guint64 file = make_file (fixture, top, "file", "x");
  g_assert_cmpint (vf_overlay_unlink (overlay, top, "file"), ==, 0);
  g_assert_cmpint (vf_overlay_rmdir (overlay, VF_IMAGE_ROOT_ID, "top"), ==, 0);
  g_assert_false (disk_has (fixture, "upper/top"));
  vf_overlay_forget (overlay, file, 1);
  vf_overlay_forget (overlay, top, 1);
  g_assert_cmpuint (vf_upper_n_nodes (overlay->upper), ==, 1);
}

/* A directory with whiteouts inside is empty; they go with it. */
static void
test_merged_directory (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *overlay = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), sub = id_at (fixture, "dir/sub");
  g_assert_cmpint (vf_overlay_unlink (overlay, sub, "deep"), ==, 0);
  g_assert_cmpint (vf_overlay_rmdir (overlay, dir, "sub"), ==, 0);
  g_assert_true (disk_has_whiteout (fixture, "upper/dir/sub"));
  /* Somebody may still be in it. */
  g_autofree char *orphan = orphan_path (fixture, sub);
  g_assert_true (disk_has (fixture, orphan));
  assert_names (fixture, sub, "");
  VfEntry entry;
  g_assert_cmpint (vf_overlay_lookup (overlay, sub, "deep", &entry), ==, -ENOENT);
  vf_overlay_forget (overlay, sub, 1);
  assert_work_is_empty (fixture);
  restart (fixture);
  g_assert_cmpint (error_at (fixture, "dir/sub"), ==, -ENOENT);
  assert_work_is_empty (fixture);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/removal/errors", test_errors);
  FIXTURE_TEST ("/removal/cover", test_covers_the_image);
  FIXTURE_TEST ("/removal/upper", test_leaves_nothing_of_the_upper);
  FIXTURE_TEST ("/removal/merged", test_merged_directory);
  return g_test_run ();
}

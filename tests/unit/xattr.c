#include "overlay-fixture.h"

static void
test_set_and_get (Fixture *fixture, gconstpointer user_data)
{
  char value[16], list[64];
  VfOverlay *overlay = fixture->overlay;
  const char *paths[] = {"dir/file", "dir", "view"};
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++) {
    guint64 id = id_at (fixture, paths[i]);
    g_assert_cmpint (vf_overlay_getxattr (overlay, id, "user.a", value, 16), ==, -ENODATA);
    g_assert_cmpint (vf_overlay_listxattr (overlay, id, list, 64), ==, 0);
    g_assert_cmpint (vf_overlay_removexattr (overlay, id, "user.a"), ==, -ENODATA);
    g_assert_cmpint (vf_overlay_setxattr (overlay, id, "user.a", "value", 5, XATTR_REPLACE), ==,
                     -ENODATA);
    g_assert_cmpint (vf_overlay_setxattr (overlay, id, "user.a", "value", 5, XATTR_CREATE), ==, 0);
    g_assert_cmpint (vf_overlay_setxattr (overlay, id, "user.a", "value", 5, XATTR_CREATE), ==,
                     -EEXIST);
    g_assert_cmpint (vf_overlay_getxattr (overlay, id, "user.a", NULL, 0), ==, 5);
    g_assert_cmpint (vf_overlay_getxattr (overlay, id, "user.a", value, 4), ==, -ERANGE);
    g_assert_cmpint (vf_overlay_getxattr (overlay, id, "user.a", value, 16), ==, 5);
    g_assert_cmpmem (value, 5, "value", 5);
    g_assert_cmpint (vf_overlay_removexattr (overlay, id, "user.a"), ==, 0);
  }
}

/* Marks are there (the file is a stub), and nobody sees them. */
static void
test_hides_the_marks (Fixture *fixture, gconstpointer user_data)
{
  char list[64];
  VfOverlay *overlay = fixture->overlay;
  guint64 id = id_at (fixture, "dir/file");
  g_assert_cmpint (vf_overlay_setxattr (overlay, id, "user.mine", "x", 1, 0), ==, 0);
  g_assert_true (has_disk_attribute (fixture, "upper/dir/file", "user.venvfs.id"));
  g_assert_cmpint (vf_overlay_listxattr (overlay, id, NULL, 0), ==, 10);
  g_assert_cmpint (vf_overlay_listxattr (overlay, id, list, 9), ==, -ERANGE);
  g_assert_cmpint (vf_overlay_listxattr (overlay, id, list, 64), ==, 10);
  g_assert_cmpstr (list, ==, "user.mine");
  const char *own[] = {"user.venvfs.id", "user.venvfs.digest", "user.overlay.opaque",
                       "trusted.overlay.opaque", "user.overlay.whiteout"};
  for (gsize i = 0; i < G_N_ELEMENTS (own); i++) {
    g_assert_cmpint (vf_overlay_getxattr (overlay, id, own[i], list, 64), ==, -ENODATA);
    g_assert_cmpint (vf_overlay_setxattr (overlay, id, own[i], "y", 1, 0), ==, -EPERM);
    g_assert_cmpint (vf_overlay_removexattr (overlay, id, own[i]), ==, -ENODATA);
  }
}

static void
test_symlinks_have_no_user_attributes (Fixture *fixture, gconstpointer user_data)
{
  guint64 id = id_at (fixture, "dir/link");
  g_assert_cmpint (vf_overlay_setxattr (fixture->overlay, id, "user.a", "x", 1, 0), ==, -EPERM);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/xattr/set", test_set_and_get);
  FIXTURE_TEST ("/xattr/marks", test_hides_the_marks);
  FIXTURE_TEST ("/xattr/symlink", test_symlinks_have_no_user_attributes);
  return g_test_run ();
}

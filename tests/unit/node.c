#include "overlay-fixture.h"

static void
test_resolves (Fixture *fixture, gconstpointer user_data)
{
  VfNode node;
  VfOverlay *overlay = fixture->overlay;
  guint64 file = id_at (fixture, "dir/file"), dir = id_at (fixture, "dir");
  g_assert_cmpint (vf_node_resolve (overlay, file, &node), ==, 0);
  g_assert_true (!node.present && node.image && !node.directory && !node.removed);
  g_assert_cmpint (vf_node_resolve_directory (overlay, file, &node), ==, -ENOTDIR);
  write_text (fixture, file, 0, "x");
  g_assert_cmpint (vf_node_resolve (overlay, file, &node), ==, 0);
  g_assert_true (node.present && !node.image);
  g_assert_cmpint (vf_node_resolve (overlay, dir, &node), ==, 0);
  g_assert_true (node.present && node.image && node.directory);
  g_assert_cmpint (vf_node_resolve (overlay, VF_IMAGE_ROOT_ID, &node), ==, 0);
  g_assert_true (node.present && node.image);
  g_assert_cmpint (vf_node_resolve (overlay, 4711, &node), ==, -ESTALE);
}

/* Below a renamed directory, known or not, everything has moved along. */
static void
test_places_follow_renames (Fixture *fixture, gconstpointer user_data)
{
  struct stat st, direct;
  guint64 deep = id_at (fixture, "dir/sub/deep"), sub = id_at (fixture, "dir/sub");
  write_text (fixture, deep, 0, "D");
  g_autoptr (VfDescriptor) before = NULL, after = NULL;
  g_assert_cmpint (vf_directory_open (fixture->overlay, sub, &before), ==, 0);
  g_assert_cmpint (
      vf_overlay_rename (fixture->overlay, VF_IMAGE_ROOT_ID, "dir", VF_IMAGE_ROOT_ID, "moved", 0),
      ==, 0);
  vf_descriptors_drop (fixture->overlay->descriptors, sub);
  g_assert_cmpint (vf_directory_open (fixture->overlay, sub, &after), ==, 0);
  g_assert_cmpint (fstat (after->fd, &st), ==, 0);
  g_assert_cmpint (disk_stat (fixture, "upper/moved/sub", &direct), ==, 0);
  g_assert_cmpuint (st.st_ino, ==, direct.st_ino);

  VfNode node;
  g_auto (VfPlace) place = {0};
  g_assert_cmpint (vf_node_resolve (fixture->overlay, deep, &node), ==, 0);
  g_assert_cmpint (vf_place_find (fixture->overlay, &node, &place), ==, 0);
  g_assert_cmpstr (place.name, ==, "deep");
}

/* Deeper than a path can be long. */
static void
test_depth (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *name = g_strnfill (250, 'n');
  guint64 at = VF_IMAGE_ROOT_ID;
  for (int i = 0; i < 60; i++)
    at = make_dir (fixture, at, name);
  guint64 file = make_file (fixture, at, "file", "down here");
  vf_descriptors_free (fixture->overlay->descriptors);
  fixture->overlay->descriptors = vf_descriptors_new (4);
  assert_text (fixture, file, "down here");
}

static void
test_images_are_numbered (Fixture *fixture, gconstpointer user_data)
{
  VfDigest none;
  vf_digest_of ("none", 4, &none);
  g_assert_cmpint (vf_image_number (fixture->overlay, vf_image_id (fixture->image)), ==, 0);
  g_assert_true (vf_image_numbered (fixture->overlay, 0) == fixture->image);
  g_assert_null (vf_image_numbered (fixture->overlay, 1));
  g_test_expect_message ("venvfs-overlay", G_LOG_LEVEL_MESSAGE, "*cannot be opened*");
  g_assert_cmpint (vf_image_number (fixture->overlay, &none), ==, -EIO);
  g_test_assert_expected_messages ();
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/node/node", test_resolves);
  FIXTURE_TEST ("/node/renames", test_places_follow_renames);
  FIXTURE_TEST ("/node/depth", test_depth);
  FIXTURE_TEST ("/node/images", test_images_are_numbered);
  return g_test_run ();
}

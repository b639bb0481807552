#include "overlay-fixture.h"

static void
test_names (void)
{
  g_autofree char *longest = g_strnfill (255, 'n');
  g_autofree char *too_long = g_strnfill (256, 'n');
  g_assert_cmpint (vf_name_check (longest), ==, 0);
  g_assert_cmpint (vf_name_check (too_long), ==, -ENAMETOOLONG);
  g_assert_cmpint (vf_name_check (""), ==, -EINVAL);
  g_assert_cmpint (vf_name_check (".."), ==, -EINVAL);
  g_assert_cmpint (vf_name_check ("a/b"), ==, -EINVAL);
  g_assert_cmpint (vf_name_check ("..."), ==, 0);
}

static void
test_sides (Fixture *fixture, gconstpointer user_data)
{
  VfNode node;
  VfChild child;
  guint64 dir = id_at (fixture, "dir");
  make_file (fixture, dir, "born", "x");
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, dir, "file"), ==, 0);
  g_assert_cmpint (vf_node_resolve (fixture->overlay, dir, &node), ==, 0);
  g_assert_cmpint (vf_child_find_in (fixture->overlay, &node, "born", &child), ==, 0);
  g_assert_true (child.upper.flags == VF_UPPER_PRESENT && !child.below);
  g_assert_true (child.id & VF_UPPER_BORN_BIT);
  g_assert_cmpint (vf_child_find_in (fixture->overlay, &node, "exec", &child), ==, 0);
  g_assert_true (child.upper.flags == 0 && child.below);
  g_assert_cmpint (vf_child_find_in (fixture->overlay, &node, "file", &child), ==, -ENOENT);
  g_assert_true (child.whiteout && child.below);
  g_assert_cmpint (vf_child_find_in (fixture->overlay, &node, "none", &child), ==, -ENOENT);
  g_assert_false (child.whiteout || child.below);
}

/* What a user did to the upper with cp -a: two files that claim to be one. */
static void
test_a_copy_is_another_file (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir");
  guint64 file = id_at (fixture, "dir/file");
  write_text (fixture, file, 0, "UPPER");
  g_autofree char *from = g_build_filename (fixture->root, "upper/dir/file", NULL);
  g_autofree char *to = g_build_filename (fixture->root, "upper/dir/copy", NULL);
  const char *copy[] = {"cp", "-a", "--reflink=never", from, to, NULL};
  g_assert_true (g_spawn_sync (NULL, (char **)copy, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               NULL, NULL, NULL));
  g_autofree char *mark = disk_attribute (fixture, "upper/dir/copy", "user.venvfs.id");
  g_assert_nonnull (mark);
  VfEntry entry;
  g_assert_cmpint (vf_overlay_lookup (fixture->overlay, dir, "copy", &entry), ==, 0);
  g_assert_cmpuint (entry.id, !=, file);
}

static void
test_marks_that_say_nothing (Fixture *fixture, gconstpointer user_data)
{
  guint64 top = make_dir (fixture, VF_IMAGE_ROOT_ID, "top");
  g_autofree char *path = g_build_filename (fixture->root, "upper/top", NULL);
  const char *values[] = {"", "nothing", ":", "00:dir",
                          "0000000000000000000000000000000000000000000000000000000000000000:dir"};
  for (gsize i = 0; i < G_N_ELEMENTS (values); i++) {
    g_assert_cmpint (setxattr (path, "user.venvfs.lower", values[i], strlen (values[i]), 0), ==, 0);
    if (i + 1 == G_N_ELEMENTS (values))
      g_test_expect_message ("venvfs-overlay", G_LOG_LEVEL_MESSAGE, "*cannot be opened*");
    restart (fixture);
    g_assert_cmpuint (id_at (fixture, "top"), ==, top);
    assert_names (fixture, top, "");
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/child/names", test_names);
  FIXTURE_TEST ("/child/sides", test_sides);
  FIXTURE_TEST ("/child/copy", test_a_copy_is_another_file);
  FIXTURE_TEST ("/child/marks", test_marks_that_say_nothing);
  return g_test_run ();
}

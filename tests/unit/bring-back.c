#include "switch-fixture.h"

static void
forget_everything (Fixture *fixture, VfImage *image)
{
  vf_overlay_free (fixture->overlay);
  g_autoptr (GError) error = NULL;
  VfOverlayOptions options = {
      .store = fixture->store, .environment_fd = fixture->environment_fd, .generation = 1};
  fixture->overlay = vf_overlay_new (image, &options, &error);
  g_assert_no_error (error);
}

/* What is in the way when it comes back is set aside in turn. */
static void
test_in_the_way (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  write_text (fixture, id_at (fixture, "dir/file"), 0, "FIRST");
  vf_switch_effect_free (switch_with (fixture, next, 1, "dir/file", 0));
  write_text (fixture, id_at (fixture, "dir/file"), 0, "AFTER");
  vf_switch_effect_free (switch_with (fixture, fixture->image, 2, NULL, 1));
  assert_text (fixture, id_at (fixture, "dir/file"), "FIRST file\n");
  g_assert_true (disk_has (fixture, "aside/2/dir/file"));
  vf_switch_effect_free (switch_with (fixture, next, 1, "dir/file", 2));
  assert_text (fixture, id_at (fixture, "dir/file"), "AFTERfile\n");
  g_assert_true (disk_has (fixture, "aside/1/dir/file"));
}

/* A mount of the generation brings its things back, whoever has set them aside. */
static void
test_a_mount_brings_back (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  guint64 file = id_at (fixture, "dir/file");
  write_text (fixture, file, 0, "FIRST");
  make_own_directory (fixture);
  make_file (fixture, id_at (fixture, "dir"), "other", "other\n");
  vf_switch_effect_free (
      switch_with (fixture, next, 1, "dir/file dir/sub/deep dir/other ~ir/file", 0));
  make_file (fixture, id_at (fixture, "dir"), "other", "stays\n");
  forget_everything (fixture, fixture->image);
  assert_text (fixture, id_at (fixture, "~ir/file"), "FIRST file\n");
  assert_text (fixture, id_at (fixture, "dir/file"), "pip's\n");
  /* In the way: it is not overwritten. */
  assert_text (fixture, id_at (fixture, "dir/other"), "stays\n");
  g_assert_true (disk_has (fixture, "aside/1/dir/other"));
}

/* Nothing comes back to where it is taken from. */
static void
test_into_itself (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  write_text (fixture, id_at (fixture, "dir/file"), 0, "FIRST");
  vf_switch_effect_free (switch_with (fixture, next, 1, "dir/file", 0));
  write_text (fixture, id_at (fixture, "dir/file"), 0, "AFTER");
  int result;
  VfSwitch wanted = {.image = fixture->image, .aside = 1, .bring_back = 1};
  vf_switch_effect_free (vf_overlay_switch (fixture->overlay, &wanted, &result));
  g_assert_cmpint (result, ==, -EINVAL);
  assert_text (fixture, id_at (fixture, "dir/file"), "AFTERfile\n");
  g_assert_true (disk_has (fixture, "aside/1/dir/file"));
}

/* Directories one in the other, "d" in @folder of the environment, a file in the innermost. */
static void
make_deep (Fixture *fixture, const char *folder, guint depth)
{
  VF_AUTOFD fd = openat (fixture->environment_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (guint i = 0; i < depth; i++) {
    g_assert_cmpint (mkdirat (fd, "d", 0755), ==, 0);
    int below = openat (fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    vf_fd_clear (&fd);
    fd = below;
  }
  VF_AUTOFD file = openat (fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  g_assert_cmpint (file, >=, 0);
}

static guint
depth_of (Fixture *fixture, const char *folder)
{
  VF_AUTOFD fd = openat (fixture->environment_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (guint depth = 0;; depth++) {
    int below = openat (fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (below < 0)
      return faccessat (fd, "file", F_OK, 0) == 0 ? depth : 0;
    vf_fd_clear (&fd);
    fd = below;
  }
}

/* However deep, it takes no more than a stack has: as a whole where nothing is in the way, and else
 * as far as that goes, and the rest stays. */
static void
test_deep (Fixture *fixture, gconstpointer user_data)
{
  const guint depth = 2500;
  g_assert_cmpint (mkdirat (fixture->environment_fd, "aside", 0755), ==, 0);
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpint (mkdirat (fixture->environment_fd, "aside/1", 0755), ==, 0);
    make_deep (fixture, "aside/1", depth);
    forget_everything (fixture, fixture->image);
    g_assert_cmpuint (depth_of (fixture, "upper"), ==, depth);
    g_assert_true (disk_has (fixture, "aside/1") == (i == 1));
  }
  g_assert_cmpuint (depth_of (fixture, "aside/1"), ==, depth);
}

/* More directories than descriptors are kept open, all of which are there already. */
static void
test_into_what_is_there (Fixture *fixture, gconstpointer user_data)
{
  g_assert_cmpint (mkdirat (fixture->environment_fd, "aside", 0755), ==, 0);
  g_assert_cmpint (mkdirat (fixture->environment_fd, "aside/1", 0755), ==, 0);
  make_deep (fixture, "aside/1", 200);
  make_deep (fixture, "upper", 199);
  forget_everything (fixture, fixture->image);
  g_assert_cmpuint (depth_of (fixture, "upper"), ==, 200);
  g_assert_false (disk_has (fixture, "aside/1"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/bring-back/in-the-way", test_in_the_way);
  FIXTURE_TEST ("/bring-back/mount", test_a_mount_brings_back);
  FIXTURE_TEST ("/bring-back/into-itself", test_into_itself);
  FIXTURE_TEST ("/bring-back/deep", test_deep);
  FIXTURE_TEST ("/bring-back/into-what-is-there", test_into_what_is_there);
  return g_test_run ();
}

#include "switch-fixture.h"

static void
forget_everything (Fixture *fixture, VfImage *image)
{
  vf_overlay_free (fixture->overlay);
  g_autoptr (GError) error = NULL;
  VfOverlayOptions options = {.store = fixture->store,
                              .environment_fd = fixture->environment_fd,
                              .generation = 1,
                              .owner_is_mounter = TRUE};
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

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/bring-back/in-the-way", test_in_the_way);
  FIXTURE_TEST ("/bring-back/mount", test_a_mount_brings_back);
  return g_test_run ();
}

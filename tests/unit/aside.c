#include "switch-fixture.h"

static void
test_files (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  write_text (fixture, file, 0, "UPPER");
  g_assert_cmpint (vf_overlay_unlink (o, dir, "exec"), ==, 0);
  guint64 mine = make_file (fixture, dir, "mine", "mine\n");

  g_autoptr (VfSwitchEffect) there =
      switch_with (fixture, next, 1, "dir/file dir/exec none/at/all dir/none", 0);
  assert_entries (there, "added exec file link new");
  assert_hidden (there, "");
  assert_text (fixture, id_at (fixture, "dir/file"), "next file\n");
  assert_text (fixture, id_at (fixture, "dir/exec"), "#!/bin/sh\n");
  g_assert_cmpuint (id_at (fixture, "dir/mine"), ==, mine);
  g_assert_true (disk_has_whiteout (fixture, "aside/1/dir/exec"));
  /* Who has it open goes on with it. */
  write_text (fixture, file, 5, "-late");
  assert_text (fixture, file, "UPPER-late\n");

  g_autoptr (VfSwitchEffect) back = switch_with (fixture, fixture->image, 2, NULL, 1);
  assert_entries (back, "added exec file link new");
  g_assert_cmpuint (id_at (fixture, "dir/file"), ==, file);
  assert_text (fixture, file, "UPPER-late\n");
  g_assert_cmpint (error_at (fixture, "dir/exec"), ==, -ENOENT);
  g_assert_false (disk_has (fixture, "aside/1"));
  g_assert_false (disk_has (fixture, "aside/2"));
}

static void
test_an_opaque_directory (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  make_own_directory (fixture);
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  g_autoptr (VfSwitchEffect) there = switch_with (fixture, next, 1, "dir/file dir/sub/deep", 0);
  assert_hidden (there, "");
  g_assert_false (disk_has (fixture, "upper/dir"));
  g_assert_cmpuint (id_at (fixture, "dir"), !=, dir);
  assert_names (fixture, id_at (fixture, "dir"), "empty exec file new sub");
  assert_text (fixture, id_at (fixture, "dir/sub/deep"), "deep\n");
  assert_text (fixture, file, "pip's\n");

  vf_switch_effect_free (switch_with (fixture, fixture->image, 2, NULL, 1));
  assert_names (fixture, id_at (fixture, "dir"), "file sub");
  assert_text (fixture, id_at (fixture, "dir/sub/deep"), "pip's\n");
  g_assert_cmpuint (id_at (fixture, "dir/file"), ==, file);
  g_autofree char *opaque = disk_attribute (fixture, "upper/dir", "user.overlay.opaque");
  g_assert_cmpstr (opaque, ==, "y");
}

/* What nobody lists stays, and no longer hides the rest. */
static void
test_a_file_that_stays (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  make_own_directory (fixture);
  guint64 dir = id_at (fixture, "dir");
  guint64 mine = make_file (fixture, dir, "mine", "mine\n");
  vf_switch_effect_free (switch_with (fixture, next, 1, "dir/file dir/sub/deep", 0));
  assert_names (fixture, id_at (fixture, "dir"), "empty exec file mine new sub");
  g_assert_cmpuint (id_at (fixture, "dir/mine"), ==, mine);
  /* Whoever sits in the former directory sees what is the upper's. */
  assert_names (fixture, dir, "mine");
  vf_switch_effect_free (switch_with (fixture, fixture->image, 2, NULL, 1));
  assert_names (fixture, id_at (fixture, "dir"), "file mine sub");
}

static void
test_paths_that_lead_out (Fixture *fixture, gconstpointer user_data)
{
  const char *bad[] = {"../x", "dir/../x", "/dir", "dir//file", ""};
  make_file (fixture, id_at (fixture, "dir"), "mine", "mine\n");
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    const char *paths[] = {bad[i], NULL};
    VfSwitch wanted = {.image = fixture->image, .aside = 1, .set_aside = paths};
    int result;
    vf_switch_effect_free (vf_overlay_switch (fixture->overlay, &wanted, &result));
    g_assert_cmpint (result, ==, -EINVAL);
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/aside/files", test_files);
  FIXTURE_TEST ("/aside/opaque", test_an_opaque_directory);
  FIXTURE_TEST ("/aside/stays", test_a_file_that_stays);
  FIXTURE_TEST ("/aside/paths", test_paths_that_lead_out);
  return g_test_run ();
}

#include "switch-fixture.h"

static void
test_what_differs_is_told (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  guint64 sub = id_at (fixture, "dir/sub"), deep = id_at (fixture, "dir/sub/deep");
  guint64 empty = id_at (fixture, "dir/empty");
  g_autoptr (VfSwitchEffect) effect = switch_with (fixture, next, 0, NULL, 0);
  assert_entries (effect, "added file link new");
  assert_hidden (effect, "");
  g_assert_true (has_node (effect, ROOT) && has_node (effect, dir) && has_node (effect, empty));
  g_assert_cmpuint (effect->nodes->len, ==, 3);

  assert_names (fixture, dir, "empty exec file new sub");
  assert_text (fixture, id_at (fixture, "dir/file"), "next file\n");
  g_assert_cmpuint (id_at (fixture, "dir"), ==, dir);
  g_assert_cmpuint (id_at (fixture, "dir/sub"), ==, sub);
  g_assert_cmpuint (id_at (fixture, "dir/sub/deep"), ==, deep);
  g_assert_cmpuint (entry_at (fixture, "dir/empty").st.st_mode & 07777, ==, 0700);
  g_assert_cmpint (error_at (fixture, "dir/link"), ==, -ENOENT);
  /* Who has it open keeps it; it has no name any more. */
  VfEntry entry;
  assert_text (fixture, file, "lower file\n");
  g_assert_cmpint (vf_overlay_getattr (fixture->overlay, file, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_nlink, ==, 0);
}

static void
test_there_and_back (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  guint64 file = id_at (fixture, "dir/file");
  for (int i = 0; i < 3; i++) {
    switch_to (fixture, next);
    assert_text (fixture, id_at (fixture, "dir/file"), "next file\n");
    g_assert_cmpint (error_at (fixture, "dir/new"), ==, 0);
    switch_to (fixture, fixture->image);
    g_assert_cmpuint (id_at (fixture, "dir/file"), ==, file);
    g_assert_cmpint (error_at (fixture, "dir/new"), ==, -ENOENT);
  }
  g_autoptr (VfSwitchEffect) nothing = switch_with (fixture, fixture->image, 0, NULL, 0);
  assert_entries (nothing, "");
  g_assert_cmpuint (nothing->nodes->len, ==, 0);
}

/* The upper stays, merges, and hides; what it hides of the new is told. */
static void
test_the_upper (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  write_text (fixture, file, 0, "UPPER");
  make_file (fixture, dir, "new", "mine\n");
  guint64 added = make_dir (fixture, ROOT, "added");
  make_file (fixture, added, "own", "own\n");
  struct timespec times[2] = {{0}, {.tv_sec = 1000}};
  VfEntry entry;
  g_assert_cmpint (
      vf_overlay_setattr (fixture->overlay, dir, VF_SET_MTIME, &entry.st, times, &entry), ==, 0);

  g_autoptr (VfSwitchEffect) effect = switch_with (fixture, next, 0, NULL, 0);
  assert_entries (effect, "added link");
  assert_hidden (effect, "dir/file dir/new");
  assert_text (fixture, id_at (fixture, "dir/file"), "UPPER file\n");
  assert_text (fixture, id_at (fixture, "dir/new"), "mine\n");
  assert_names (fixture, id_at (fixture, "added"), "inside own");
  g_assert_cmpuint (entry_at (fixture, "dir").st.st_nlink, ==, 4);
  g_assert_cmpint (entry_at (fixture, "dir").st.st_mtime, >, 1000);
  /* What was made in it is removed by either of the ids that the directory goes by. */
  guint64 own = id_at (fixture, "added/own");
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, id_at (fixture, "added"), "own"), ==, 0);
  assert_text (fixture, own, "own\n");
}

static void
test_hidden_directories (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", ROOT, "away", 0), ==, 0);
  guint64 mine = make_dir (fixture, ROOT, "dir");
  g_autoptr (VfSwitchEffect) effect = switch_with (fixture, next, 0, NULL, 0);
  assert_entries (effect, "added");
  assert_hidden (effect, "dir");
  assert_names (fixture, mine, "");
  assert_names (fixture, id_at (fixture, "away"), "empty exec file link sub");
  assert_text (fixture, id_at (fixture, "away/file"), "lower file\n");
}

/* A write through a descriptor that was opened before must not change what is seen now. */
static void
test_late_writes (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  guint64 file = id_at (fixture, "dir/file"), exec = id_at (fixture, "dir/exec");
  switch_to (fixture, next);
  write_text (fixture, file, 0, "LATE");
  assert_text (fixture, file, "LATEr file\n");
  assert_text (fixture, id_at (fixture, "dir/file"), "next file\n");
  g_assert_false (disk_has (fixture, "upper/dir"));
  write_text (fixture, exec, 0, "##");
  assert_text (fixture, id_at (fixture, "dir/exec"), "##/bin/sh\n");
  /* Back: what was written to the open file is not what the image has. */
  switch_to (fixture, fixture->image);
  assert_text (fixture, id_at (fixture, "dir/file"), "lower file\n");
  assert_text (fixture, file, "LATEr file\n");
}

static void
test_a_removed_directory_is_empty (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  switch_to (fixture, next);
  guint64 added = id_at (fixture, "added"), inside = id_at (fixture, "added/inside");
  switch_to (fixture, fixture->image);
  VfEntry entry;
  g_assert_cmpint (error_at (fixture, "added"), ==, -ENOENT);
  g_assert_cmpint (vf_overlay_lookup (fixture->overlay, added, "inside", &entry), ==, -ENOENT);
  g_assert_cmpint (vf_overlay_mkdir (fixture->overlay, &CALLER, added, "x", 0755, &entry), ==,
                   -ENOENT);
  assert_text (fixture, inside, "inside\n");
}

static void
test_a_place_is_needed (Fixture *fixture, gconstpointer user_data)
{
  const char *paths[] = {"dir/file", NULL};
  VfSwitch wanted = {.image = fixture->image, .set_aside = paths};
  int result;
  g_autoptr (VfSwitchEffect) effect = vf_overlay_switch (fixture->overlay, &wanted, &result);
  g_assert_cmpint (result, ==, -EINVAL);
  assert_entries (effect, "");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/switch/told", test_what_differs_is_told);
  FIXTURE_TEST ("/switch/there-and-back", test_there_and_back);
  FIXTURE_TEST ("/switch/upper", test_the_upper);
  FIXTURE_TEST ("/switch/hidden", test_hidden_directories);
  FIXTURE_TEST ("/switch/late", test_late_writes);
  FIXTURE_TEST ("/switch/removed", test_a_removed_directory_is_empty);
  FIXTURE_TEST ("/switch/place", test_a_place_is_needed);
  return g_test_run ();
}

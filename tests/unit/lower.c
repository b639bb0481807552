#include "switch-fixture.h"

/* What was renamed away keeps its ids, and what comes into sight at its old place has others. */
static void
test_a_directory_that_was_renamed (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  guint64 dir = id_at (fixture, "dir"), sub = id_at (fixture, "dir/sub");
  guint64 deep = id_at (fixture, "dir/sub/deep");
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", ROOT, "away", 0), ==, 0);
  g_autoptr (VfSwitchEffect) effect = switch_with (fixture, next, 1, "dir", 0);
  assert_entries (effect, "added dir");

  guint64 other = id_at (fixture, "dir"), other_sub = id_at (fixture, "dir/sub");
  g_assert_cmpuint (other, !=, dir);
  g_assert_cmpuint (other_sub, !=, sub);
  g_assert_cmpuint (id_at (fixture, "dir/sub/deep"), !=, deep);
  g_assert_cmpuint (id_at (fixture, "away"), ==, dir);
  g_assert_cmpuint (id_at (fixture, "away/sub"), ==, sub);
  g_assert_cmpuint (id_at (fixture, "away/sub/deep"), ==, deep);
  assert_names (fixture, dir, "empty exec file link sub");
  assert_names (fixture, other, "empty exec file new sub");

  /* Each is changed where it is. */
  write_text (fixture, deep, 0, "AWAY");
  write_text (fixture, id_at (fixture, "dir/sub/deep"), 0, "HERE");
  assert_text (fixture, deep, "AWAY\n");
  assert_text (fixture, id_at (fixture, "dir/sub/deep"), "HERE\n");
  g_assert_true (disk_has (fixture, "upper/away/sub/deep"));
  g_assert_true (disk_has (fixture, "upper/dir/sub/deep"));
  g_assert_cmpuint (id_at (fixture, "dir/sub"), ==, other_sub);

  /* And once more. */
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", ROOT, "far", 0), ==, 0);
  vf_switch_effect_free (switch_with (fixture, fixture->image, 2, "dir", 0));
  guint64 third = id_at (fixture, "dir");
  g_assert_cmpuint (third, !=, dir);
  g_assert_cmpuint (third, !=, other);
  assert_names (fixture, third, "empty exec file link sub");
  assert_names (fixture, id_at (fixture, "far"), "empty exec file new sub");
  assert_names (fixture, id_at (fixture, "away"), "empty exec file link sub");
  assert_text (fixture, id_at (fixture, "far/sub/deep"), "HERE\n");
  assert_text (fixture, id_at (fixture, "away/sub/deep"), "AWAY\n");
  assert_text (fixture, id_at (fixture, "dir/sub/deep"), "deep\n");
}

/* Nobody remembers who was first: all three are told apart all the same. */
static void
test_after_a_remount (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  guint64 dir = id_at (fixture, "dir");
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", ROOT, "away", 0), ==, 0);
  vf_switch_effect_free (switch_with (fixture, fixture->image, 1, "dir", 0));
  restart (fixture);
  guint64 away = id_at (fixture, "away"), sub = id_at (fixture, "away/sub");
  g_assert_cmpuint (away, !=, dir);
  g_assert_cmpuint (id_at (fixture, "dir"), ==, dir);
  g_assert_cmpuint (id_at (fixture, "dir/sub"), !=, sub);
  write_text (fixture, id_at (fixture, "away/sub/deep"), 0, "AWAY");
  assert_text (fixture, id_at (fixture, "dir/sub/deep"), "deep\n");
  restart (fixture);
  g_assert_cmpuint (id_at (fixture, "away"), ==, away);
  g_assert_cmpuint (id_at (fixture, "away/sub"), ==, sub);
  assert_text (fixture, id_at (fixture, "away/sub/deep"), "AWAY\n");
}

static void
test_a_file_that_was_renamed (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), exec = id_at (fixture, "dir/exec");
  g_assert_cmpint (vf_overlay_rename (o, dir, "exec", dir, "moved", 0), ==, 0);
  g_autoptr (VfSwitchEffect) effect = switch_with (fixture, fixture->image, 1, "dir/exec", 0);
  assert_entries (effect, "exec");
  g_assert_cmpuint (id_at (fixture, "dir/moved"), ==, exec);
  g_assert_cmpuint (id_at (fixture, "dir/exec"), !=, exec);
  write_text (fixture, id_at (fixture, "dir/exec"), 0, "XX");
  guint64 edited = id_at (fixture, "dir/exec");
  assert_text (fixture, edited, "XX/bin/sh\n");
  assert_text (fixture, exec, "#!/bin/sh\n");
  g_assert_cmpuint (id_at (fixture, "dir/exec"), ==, edited);
  restart (fixture);
  assert_text (fixture, id_at (fixture, "dir/exec"), "XX/bin/sh\n");
  assert_text (fixture, id_at (fixture, "dir/moved"), "#!/bin/sh\n");
}

/* Each time somebody keeps it open; no two are ever one. */
static void
test_again_and_again (Fixture *fixture, gconstpointer user_data)
{
  guint64 seen[6];
  for (guint i = 0; i < G_N_ELEMENTS (seen); i++) {
    g_autofree char *text = g_strdup_printf ("%u", i);
    seen[i] = id_at (fixture, "dir/sub/deep");
    assert_text (fixture, seen[i], "deep\n");
    write_text (fixture, seen[i], 0, text);
    vf_switch_effect_free (switch_with (fixture, fixture->image, i + 1, "dir/sub/deep", 0));
  }
  for (guint i = 0; i < G_N_ELEMENTS (seen); i++) {
    g_autofree char *text = g_strdup_printf ("%ueep\n", i);
    assert_text (fixture, seen[i], text);
    for (guint k = 0; k < i; k++)
      g_assert_cmpuint (seen[i], !=, seen[k]);
  }
  /* The kernel forgets them: what is set aside stays. */
  for (guint i = 0; i < G_N_ELEMENTS (seen); i++)
    vf_overlay_forget (fixture->overlay, seen[i], 100);
  g_assert_true (disk_has (fixture, "aside/3/dir/sub/deep"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/lower/renamed-directory", test_a_directory_that_was_renamed);
  FIXTURE_TEST ("/lower/remount", test_after_a_remount);
  FIXTURE_TEST ("/lower/renamed-file", test_a_file_that_was_renamed);
  FIXTURE_TEST ("/lower/again", test_again_and_again);
  return g_test_run ();
}

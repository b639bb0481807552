#include "switch-fixture.h"

#include <stdio.h>

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

/* --- At random: what a mount shows after switches is what a new mount of the same upper shows */

typedef struct {
  guint64 parent, id;
  char *name, *path;
  gboolean directory;
} Seen;

static void
seen_free (gpointer data)
{
  Seen *seen = data;
  g_free (seen->name);
  g_free (seen->path);
  g_free (seen);
}

/* All that is seen in and below a directory; two of its directories are never one node. */
static void
dump (Fixture *fixture, guint64 directory, const char *path, GPtrArray *all, GHashTable *ids,
      GString *out)
{
  g_autoptr (GPtrArray) names = names_in (fixture, directory);
  for (guint i = 0; i < names->len; i++) {
    VfEntry entry;
    Seen *seen = g_new0 (Seen, 1);
    seen->parent = directory;
    seen->name = g_strdup (names->pdata[i]);
    seen->path = g_strconcat (path, *path ? "/" : "", seen->name, NULL);
    g_assert_cmpint (vf_overlay_lookup (fixture->overlay, directory, seen->name, &entry), ==, 0);
    seen->id = entry.id;
    seen->directory = S_ISDIR (entry.st.st_mode);
    g_ptr_array_add (all, seen);
    g_string_append_printf (out, "%s %o", seen->path, entry.st.st_mode);
    if (seen->directory) {
      g_string_append_printf (out, " %lu\n", (unsigned long)entry.st.st_nlink);
      g_assert_true (g_hash_table_add (ids, g_memdup2 (&entry.id, sizeof entry.id)));
      dump (fixture, entry.id, seen->path, all, ids, out);
    } else if (S_ISREG (entry.st.st_mode)) {
      g_autofree char *text = text_of (fixture, entry.id);
      g_string_append_printf (out, " %s\n", text);
    }
  }
}

static char *
dump_all (Fixture *fixture, GPtrArray *all)
{
  g_autoptr (GHashTable) ids = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  g_autoptr (GString) out = g_string_new (NULL);
  g_ptr_array_set_size (all, 0);
  dump (fixture, ROOT, "", all, ids, out);
  return g_string_free (g_steal_pointer (&out), FALSE);
}

/* Some of these fail, as they may. */
static void
change_something (Fixture *fixture, GPtrArray *all, int step)
{
  VfOverlay *o = fixture->overlay;
  const Seen *one = all->pdata[g_test_rand_int_range (0, (gint32)all->len)];
  const Seen *other = all->pdata[g_test_rand_int_range (0, (gint32)all->len)];
  g_autofree char *name = g_strdup_printf ("new%d", step);
  VfEntry entry;
  gsize written;
  switch (g_test_rand_int_range (0, 6)) {
  case 0:
    vf_overlay_write (o, one->id, 0, name, strlen (name), FALSE, &written);
    break;
  case 1:
    vf_overlay_unlink (o, one->parent, one->name);
    vf_overlay_rmdir (o, one->parent, one->name);
    break;
  case 2:
    vf_overlay_rename (o, one->parent, one->name, other->parent, name, 0);
    break;
  case 3:
    vf_overlay_rename (o, one->parent, one->name, other->parent, other->name,
                       g_test_rand_bit () ? RENAME_EXCHANGE : 0);
    break;
  case 4:
    vf_overlay_mkdir (o, &CALLER, one->parent, name, 0755, &entry);
    break;
  default:
    if (vf_overlay_unlink (o, one->parent, one->name) == 0)
      vf_overlay_mkdir (o, &CALLER, one->parent, one->name, 0755, &entry);
  }
}

static void
test_at_random (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfImage) next = fixture_next_image (fixture);
  g_autoptr (VfImage) first = vf_image_ref (fixture->image);
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (seen_free);
  for (int step = 0; step < 400; step++) {
    g_autofree char *before = dump_all (fixture, all);
    if (all->len == 0)
      break;
    if (step % 8 < 6) {
      change_something (fixture, all, step);
      continue;
    }
    const Seen *some = all->pdata[g_test_rand_int_range (0, (gint32)all->len)];
    VfImage *image = g_test_rand_bit () ? next : first;
    guint back = g_test_rand_bit () ? (guint)g_test_rand_int_range (1, 4) : 0;
    vf_switch_effect_free (switch_with (fixture, image, (guint)(4 + step),
                                        g_test_rand_bit () ? some->path : "dir/file", back));
    g_autofree char *live = dump_all (fixture, all);
    if (step % 16 < 8)
      continue;
    vf_image_unref (fixture->image);
    fixture->image = vf_image_ref (image);
    restart (fixture);
    g_autofree char *again = dump_all (fixture, all);
    g_assert_cmpstr (live, ==, again);
  }
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
  FIXTURE_TEST ("/switch/random", test_at_random);
  return g_test_run ();
}

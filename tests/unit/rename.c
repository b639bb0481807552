#include "overlay-fixture.h"

#include <stdio.h>

#define ROOT VF_IMAGE_ROOT_ID

static void
test_errors (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), sub = id_at (fixture, "dir/sub");
  g_assert_cmpint (vf_overlay_rename (o, dir, "none", dir, "x", 0), ==, -ENOENT);
  g_assert_cmpint (vf_overlay_rename (o, dir, "file", dir, "sub", 0), ==, -EISDIR);
  g_assert_cmpint (vf_overlay_rename (o, dir, "sub", dir, "file", 0), ==, -ENOTDIR);
  g_assert_cmpint (vf_overlay_rename (o, dir, "empty", dir, "sub", 0), ==, -ENOTEMPTY);
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", sub, "x", 0), ==, -EINVAL);
  g_assert_cmpint (vf_overlay_rename (o, dir, "sub", ROOT, "dir", 0), ==, -ENOTEMPTY);
  g_assert_cmpint (vf_overlay_rename (o, dir, "file", dir, "exec", RENAME_NOREPLACE), ==, -EEXIST);
  g_assert_cmpint (vf_overlay_rename (o, dir, "file", dir, "x", RENAME_EXCHANGE), ==, -ENOENT);
  g_assert_cmpint (vf_overlay_rename (o, dir, "file", dir, "x", RENAME_WHITEOUT), ==, -EINVAL);
  g_assert_cmpint (
      vf_overlay_rename (o, dir, "file", dir, "exec", RENAME_NOREPLACE | RENAME_EXCHANGE), ==,
      -EINVAL);
  g_assert_cmpint (vf_overlay_rename (o, dir, "file", dir, "x", 64), ==, -EINVAL);
  g_assert_false (disk_has (fixture, "upper/dir"));
}

static void
test_a_file_of_the_image (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  VfEntry before = entry_at (fixture, "dir/file");
  guint64 dir = id_at (fixture, "dir");
  g_assert_cmpint (vf_overlay_rename (o, dir, "file", ROOT, "moved", 0), ==, 0);
  g_assert_true (disk_has_whiteout (fixture, "upper/dir/file"));
  g_autofree char *digest = disk_attribute (fixture, "upper/moved", "user.venvfs.digest");
  g_assert_nonnull (digest);
  VfEntry after = entry_at (fixture, "moved");
  g_assert_cmpuint (after.id, ==, before.id);
  g_assert_cmpint (after.st.st_mtime, ==, before.st.st_mtime);
  assert_text (fixture, after.id, "lower file\n");
  /* Over a file of the image, which somebody has open. */
  guint64 exec = id_at (fixture, "dir/exec");
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "moved", dir, "exec", 0), ==, 0);
  assert_text (fixture, exec, "#!/bin/sh\n");
  restart (fixture);
  g_assert_cmpuint (id_at (fixture, "dir/exec"), ==, before.id);
  assert_text (fixture, before.id, "lower file\n");
}

static void
test_over_an_open_file_of_the_upper (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  VfEntry entry;
  guint64 one = make_file (fixture, ROOT, "one", "1"), two = make_file (fixture, ROOT, "two", "2");
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "one", ROOT, "two", 0), ==, 0);
  assert_text (fixture, one, "1");
  assert_text (fixture, two, "2");
  g_assert_cmpint (vf_overlay_getattr (o, two, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_nlink, ==, 0);
  g_assert_cmpuint (entry_at (fixture, "two").st.st_nlink, ==, 1);
  vf_overlay_forget (o, two, 1);
  g_assert_cmpint (vf_overlay_getattr (o, two, &entry), ==, -ESTALE);
  /* Two names of one file: nothing happens. */
  g_assert_cmpint (vf_overlay_link (o, one, ROOT, "same", &entry), ==, 0);
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "same", ROOT, "two", 0), ==, 0);
  g_assert_cmpuint (entry_at (fixture, "same").st.st_nlink, ==, 2);
}

/* Again and again: it stays what it is, and all below it. */
static void
test_a_directory_of_the_image (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), deep = id_at (fixture, "dir/sub/deep");
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", ROOT, "one", 0), ==, 0);
  g_assert_cmpuint (id_at (fixture, "one"), ==, dir);
  g_assert_cmpint (error_at (fixture, "dir"), ==, -ENOENT);
  assert_names (fixture, dir, "empty exec file link sub");
  g_assert_cmpuint (entry_at (fixture, "one").st.st_nlink, ==, 4);
  assert_text (fixture, deep, "deep\n");
  write_text (fixture, deep, 0, "D");
  g_assert_true (disk_has (fixture, "upper/one/sub/deep"));
  guint64 other = make_dir (fixture, ROOT, "dir");
  g_assert_cmpuint (other, !=, dir);
  assert_names (fixture, other, "");
  g_assert_cmpint (vf_overlay_rename (o, dir, "sub", other, "sub", 0), ==, 0);
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "one", other, "two", 0), ==, 0);
  restart (fixture);
  g_assert_cmpuint (id_at (fixture, "dir/sub/deep"), ==, deep);
  assert_text (fixture, deep, "Deep\n");
  g_assert_cmpuint (id_at (fixture, "dir/two"), ==, dir);
  assert_names (fixture, dir, "empty exec file link");
  g_assert_cmpint (
      vf_overlay_rename (fixture->overlay, id_at (fixture, "dir"), "two", ROOT, "dir2", 0), ==, 0);
  assert_names (fixture, id_at (fixture, "dir2"), "empty exec file link");
}

static void
test_over_an_empty_directory (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), sub = id_at (fixture, "dir/sub");
  guint64 born = make_dir (fixture, ROOT, "born");
  make_file (fixture, born, "inside", "x");
  /* The image's own empty one, then one that whiteouts have emptied. */
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "born", dir, "empty", 0), ==, 0);
  g_assert_cmpint (vf_overlay_unlink (o, sub, "deep"), ==, 0);
  g_assert_cmpint (vf_overlay_rename (o, dir, "empty", dir, "sub", 0), ==, 0);
  assert_names (fixture, dir, "exec file link sub");
  g_assert_cmpuint (entry_at (fixture, "dir").st.st_nlink, ==, 3);
  restart (fixture);
  g_assert_cmpuint (id_at (fixture, "dir/sub"), ==, born);
  assert_names (fixture, id_at (fixture, "dir/sub"), "inside");
  assert_names (fixture, dir, "exec file link sub");
}

static void
test_exchange (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *o = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  guint64 sub = id_at (fixture, "dir/sub"), born = make_file (fixture, ROOT, "born", "born");
  g_assert_cmpint (vf_overlay_rename (o, dir, "file", ROOT, "born", RENAME_EXCHANGE), ==, 0);
  g_assert_cmpint (vf_overlay_rename (o, dir, "sub", dir, "exec", RENAME_EXCHANGE), ==, 0);
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", sub, "x", RENAME_EXCHANGE), ==, -ENOENT);
  g_assert_cmpuint (id_at (fixture, "dir/file"), ==, born);
  g_assert_cmpuint (id_at (fixture, "born"), ==, file);
  restart (fixture);
  assert_text (fixture, id_at (fixture, "dir/file"), "born");
  assert_text (fixture, id_at (fixture, "born"), "lower file\n");
  assert_text (fixture, id_at (fixture, "dir/exec/deep"), "deep\n");
  assert_text (fixture, id_at (fixture, "dir/sub"), "#!/bin/sh\n");
  g_assert_cmpuint (id_at (fixture, "dir/exec"), ==, sub);
  g_assert_cmpuint (entry_at (fixture, "dir").st.st_nlink, ==, 4);
}

/* Its copy was deleted behind the overlay's back. */
static void
test_a_lost_object (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  g_assert_cmpint (vf_copyup_file (fixture->overlay, file, VF_COPYUP_STUB), ==, 0);
  g_assert_cmpint (unlinkat (fixture->environment_fd, "upper/dir/file", 0), ==, 0);
  g_assert_cmpint (vf_overlay_rename (fixture->overlay, dir, "file", dir, "moved", 0), ==, -ESTALE);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/rename/errors", test_errors);
  FIXTURE_TEST ("/rename/file", test_a_file_of_the_image);
  FIXTURE_TEST ("/rename/over-open", test_over_an_open_file_of_the_upper);
  FIXTURE_TEST ("/rename/directory", test_a_directory_of_the_image);
  FIXTURE_TEST ("/rename/over-empty", test_over_an_empty_directory);
  FIXTURE_TEST ("/rename/exchange", test_exchange);
  FIXTURE_TEST ("/rename/lost-object", test_a_lost_object);
  return g_test_run ();
}

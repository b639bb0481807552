#include "overlay-fixture.h"

static void
test_lower_attributes (Fixture *fixture, gconstpointer user_data)
{
  VfEntry dir = entry_at (fixture, "dir"), file = entry_at (fixture, "dir/exec");
  g_assert_cmpuint (dir.st.st_mode, ==, S_IFDIR | 0755);
  g_assert_cmpuint (dir.st.st_nlink, ==, 4);
  g_assert_cmpuint (file.st.st_mode, ==, S_IFREG | 0755);
  g_assert_cmpuint (file.st.st_nlink, ==, 1);
  g_assert_cmpuint (file.st.st_ino, ==, file.id);
  g_assert_cmpint (file.st.st_size, ==, 10);
  g_assert_cmpint (file.st.st_blocks, ==, 1);
  g_assert_cmpuint (file.st.st_uid, ==, geteuid ());
  g_assert_cmpuint (entry_at (fixture, "dir/link").st.st_mode, ==, S_IFLNK | 0777);
  VfEntry view = entry_at (fixture, "view");
  g_assert_true (view.view);
  g_assert_cmpint (view.st.st_size, ==, strlen ("at /here/.venv\n"));
  g_assert_cmpuint (entry_at (fixture, "").id, ==, 1);
}

static void
test_errors (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  g_assert_cmpint (error_at (fixture, "none"), ==, -ENOENT);
  g_assert_cmpint (error_at (fixture, "dir/file/x"), ==, -ENOTDIR);
  g_assert_cmpint (vf_overlay_getattr (fixture->overlay, 4711, &entry), ==, -ESTALE);
  g_assert_cmpint (vf_overlay_getattr (fixture->overlay, VF_UPPER_BORN_BIT | 5, &entry), ==,
                   -ESTALE);
  struct stat values = {.st_size = 0};
  g_assert_cmpint (vf_overlay_setattr (fixture->overlay, id_at (fixture, "dir"), VF_SET_SIZE,
                                       &values, NULL, &entry),
                   ==, -EISDIR);
}

static void
test_links_of_directories (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir");
  make_dir (fixture, dir, "new");
  g_assert_cmpuint (entry_at (fixture, "dir").st.st_nlink, ==, 5);
  g_assert_cmpint (vf_overlay_rmdir (fixture->overlay, dir, "empty"), ==, 0);
  g_assert_cmpuint (entry_at (fixture, "dir").st.st_nlink, ==, 4);
  restart (fixture);
  g_assert_cmpuint (entry_at (fixture, "dir").st.st_nlink, ==, 4);
}

static void
test_changes (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  guint64 id = id_at (fixture, "dir/file");
  struct stat values = {.st_mode = 04711};
  struct timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6}, {.tv_nsec = UTIME_OMIT}};
  g_assert_cmpint (
      vf_overlay_setattr (fixture->overlay, id, VF_SET_MODE | VF_SET_ATIME, &values, times, &entry),
      ==, 0);
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFREG | 04711);
  g_assert_cmpint (entry.st.st_atim.tv_nsec, ==, 6);
  /* A directory of the image, too, and nothing else of it changes. */
  VfEntry before = entry_at (fixture, "dir/sub");
  values.st_mode = 0500;
  g_assert_cmpint (
      vf_overlay_setattr (fixture->overlay, before.id, VF_SET_MODE, &values, NULL, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFDIR | 0500);
  g_assert_cmpint (entry.st.st_mtime, ==, before.st.st_mtime);
}

static void
test_truncating_takes_setid (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  struct stat values = {.st_mode = 06755, .st_size = 2};
  const char *paths[] = {"dir/file", "dir/born"};
  make_file (fixture, id_at (fixture, "dir"), "born", "born");
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++) {
    guint64 id = id_at (fixture, paths[i]);
    g_assert_cmpint (vf_overlay_setattr (fixture->overlay, id, VF_SET_MODE, &values, NULL, &entry),
                     ==, 0);
    g_assert_cmpuint (entry.st.st_mode, ==, S_IFREG | 06755);
    g_assert_cmpint (vf_overlay_setattr (fixture->overlay, id, VF_SET_SIZE | VF_TAKE_SETID, &values,
                                         NULL, &entry),
                     ==, 0);
    g_assert_cmpuint (entry.st.st_mode, ==, S_IFREG | 0755);
    g_assert_cmpint (entry.st.st_size, ==, 2);
  }
}

static void
test_open_files_that_are_gone (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  guint64 dir = id_at (fixture, "dir"), lower = id_at (fixture, "dir/file");
  guint64 born = make_file (fixture, dir, "born", "born");
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, dir, "file"), ==, 0);
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, dir, "born"), ==, 0);
  g_assert_cmpint (vf_overlay_getattr (fixture->overlay, lower, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_nlink, ==, 0);
  assert_text (fixture, lower, "lower file\n");
  g_assert_cmpint (vf_overlay_getattr (fixture->overlay, born, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_nlink, ==, 0);
  assert_text (fixture, born, "born");
  write_text (fixture, lower, 0, "L");
  assert_text (fixture, lower, "Lower file\n");
  g_assert_cmpint (error_at (fixture, "dir/file"), ==, -ENOENT);

  vf_overlay_forget (fixture->overlay, born, 1);
  vf_overlay_forget (fixture->overlay, lower, 1);
  g_assert_cmpint (vf_overlay_getattr (fixture->overlay, born, &entry), ==, -ESTALE);
  assert_work_is_empty (fixture);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/attributes/lower", test_lower_attributes);
  FIXTURE_TEST ("/attributes/errors", test_errors);
  FIXTURE_TEST ("/attributes/links", test_links_of_directories);
  FIXTURE_TEST ("/attributes/changes", test_changes);
  FIXTURE_TEST ("/attributes/setid", test_truncating_takes_setid);
  FIXTURE_TEST ("/attributes/gone", test_open_files_that_are_gone);
  return g_test_run ();
}

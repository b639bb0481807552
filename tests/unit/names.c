#include "overlay-fixture.h"

static void
test_makes (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  VfOverlay *overlay = fixture->overlay;
  guint64 dir = id_at (fixture, "dir");
  g_assert_cmpint (vf_overlay_mknod (overlay, &CALLER, dir, "fifo", S_IFIFO | 0640, 0, &entry), ==,
                   0);
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFIFO | 0640);
  g_assert_cmpint (vf_overlay_mknod (overlay, &CALLER, dir, "socket", S_IFSOCK | 0600, 0, &entry),
                   ==, 0);
  g_assert_cmpint (vf_overlay_symlink (overlay, &CALLER, "to/where", dir, "symlink", &entry), ==,
                   0);
  g_assert_cmpint (entry.st.st_size, ==, 8);
  g_assert_cmpint (vf_overlay_mkdir (overlay, &CALLER, dir, "d", 01777, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFDIR | 01755);
  g_assert_cmpuint (entry.st.st_nlink, ==, 2);
  g_assert_cmpuint (entry.id, ==, VF_UPPER_BORN_BIT | entry_at (fixture, "dir/d").st.st_ino);
}

static void
test_refusals (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  VfOverlay *overlay = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  g_autofree char *too_long = g_strnfill (256, 'n');
  g_assert_cmpint (vf_overlay_mkdir (overlay, &CALLER, dir, "file", 0755, &entry), ==, -EEXIST);
  g_assert_cmpint (vf_overlay_mkdir (overlay, &CALLER, file, "x", 0755, &entry), ==, -ENOTDIR);
  g_assert_cmpint (vf_overlay_mkdir (overlay, &CALLER, dir, too_long, 0755, &entry), ==,
                   -ENAMETOOLONG);
  g_assert_cmpint (vf_overlay_mknod (overlay, &CALLER, dir, "w", S_IFCHR | 0600, 0, &entry), ==,
                   -EPERM);
  g_assert_cmpint (vf_overlay_mknod (overlay, &CALLER, dir, "w", S_IFDIR | 0600, 0, &entry), ==,
                   -EINVAL);
  g_assert_cmpint (vf_overlay_link (overlay, dir, dir, "x", &entry), ==, -EPERM);
  g_assert_cmpint (vf_overlay_link (overlay, file, dir, "exec", &entry), ==, -EEXIST);
  g_assert_cmpint (vf_overlay_mkdir (overlay, &CALLER, 4711, "x", 0755, &entry), ==, -ESTALE);
  g_assert_false (disk_has (fixture, "upper/dir/exec"));
  assert_names (fixture, dir, "empty exec file link sub");
}

/* In a directory that is gone nothing can be made, and a file without a name is refused as by ext4.
 */
static void
test_a_removed_directory (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  guint64 dir = id_at (fixture, "dir"), empty = id_at (fixture, "dir/empty");
  guint64 born = make_dir (fixture, dir, "born");
  g_assert_cmpint (vf_overlay_rmdir (fixture->overlay, dir, "empty"), ==, 0);
  g_assert_cmpint (vf_overlay_rmdir (fixture->overlay, dir, "born"), ==, 0);
  g_assert_cmpint (vf_overlay_mkdir (fixture->overlay, &CALLER, empty, "x", 0755, &entry), ==,
                   -ENOENT);
  g_assert_cmpint (vf_overlay_mkdir (fixture->overlay, &CALLER, born, "x", 0755, &entry), ==,
                   -ENOENT);
  g_assert_cmpint (vf_overlay_tmpfile (fixture->overlay, &CALLER, empty, 0600, &entry), ==, -EPERM);
  g_assert_cmpint (vf_overlay_tmpfile (fixture->overlay, &CALLER, born, 0600, &entry), ==, -EPERM);
  g_assert_cmpint (vf_overlay_getattr (fixture->overlay, born, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_nlink, ==, 0);
}

static void
test_in_the_place_of_a_whiteout (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  guint64 dir = id_at (fixture, "dir"), sub = id_at (fixture, "dir/sub");
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, sub, "deep"), ==, 0);
  g_assert_cmpint (vf_overlay_rmdir (fixture->overlay, dir, "sub"), ==, 0);
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, dir, "file"), ==, 0);
  g_assert_true (disk_has_whiteout (fixture, "upper/dir/sub"));
  guint64 again = make_dir (fixture, dir, "sub");
  g_assert_cmpuint (again, !=, sub);
  g_autofree char *opaque = disk_attribute (fixture, "upper/dir/sub", "user.overlay.opaque");
  g_assert_cmpstr (opaque, ==, "y");
  guint64 file = make_file (fixture, dir, "file", "mine");
  g_assert_cmpint (vf_overlay_link (fixture->overlay, file, dir, "other", &entry), ==, 0);
  restart (fixture);
  assert_names (fixture, id_at (fixture, "dir/sub"), "");
  assert_text (fixture, id_at (fixture, "dir/file"), "mine");
}

static void
test_links (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  VfOverlay *overlay = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), sub = id_at (fixture, "dir/sub");
  guint64 file = id_at (fixture, "dir/file");
  g_assert_cmpint (vf_overlay_link (overlay, file, sub, "second", &entry), ==, 0);
  g_assert_cmpuint (entry.id, ==, file);
  g_assert_cmpuint (entry.st.st_nlink, ==, 2);
  /* One inode, filled once. */
  write_text (fixture, file, 0, "BOTH");
  assert_text (fixture, id_at (fixture, "dir/sub/second"), "BOTHr file\n");
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "file"), ==, 0);
  entry = entry_at (fixture, "dir/sub/second");
  g_assert_cmpuint (entry.id, ==, file);
  g_assert_cmpuint (entry.st.st_nlink, ==, 1);
  assert_text (fixture, file, "BOTHr file\n");
  restart (fixture);
  entry = entry_at (fixture, "dir/sub/second");
  g_assert_cmpuint (entry.id, ==, file);
  g_assert_cmpuint (entry.st.st_nlink, ==, 1);
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, sub, "second"), ==, 0);
  g_assert_cmpint (vf_overlay_link (fixture->overlay, file, dir, "back", &entry), ==, -ENOENT);
}

/* Nothing of it is seen until it is given a name, which it keeps. */
static void
test_files_without_a_name (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  VfOverlay *overlay = fixture->overlay;
  guint64 dir = id_at (fixture, "dir"), file = id_at (fixture, "dir/file");
  g_assert_cmpint (vf_overlay_tmpfile (overlay, &CALLER, file, 0600, &entry), ==, -ENOTDIR);
  g_assert_cmpint (vf_overlay_tmpfile (overlay, &CALLER, dir, 04666, &entry), ==, 0);
  guint64 gone = entry.id;
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFREG | 04644);
  g_assert_cmpuint (entry.st.st_nlink, ==, 0);
  g_assert_cmpuint (entry.st.st_ino, ==, gone);
  g_assert_false (disk_has (fixture, "upper/dir"));
  write_text (fixture, gone, 0, "gone");
  assert_text (fixture, gone, "gone");
  vf_overlay_forget (overlay, gone, 1);
  g_assert_cmpint (vf_overlay_getattr (overlay, gone, &entry), ==, -ESTALE);
  assert_work_is_empty (fixture);

  const char *names[] = {"new", "file"}; /* the latter in the place of a whiteout */
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "file"), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_assert_cmpint (vf_overlay_tmpfile (overlay, &CALLER, dir, 0600, &entry), ==, 0);
    guint64 id = entry.id;
    write_text (fixture, id, 0, names[i]);
    g_assert_cmpint (vf_overlay_link (overlay, id, dir, "exec", &entry), ==, -EEXIST);
    g_assert_cmpint (vf_overlay_link (overlay, id, dir, names[i], &entry), ==, 0);
    g_assert_cmpuint (entry.id, ==, id);
    g_assert_cmpuint (entry.st.st_nlink, ==, 1);
    g_assert_cmpint (vf_overlay_link (overlay, id, dir, "again", &entry), ==, 0);
    g_assert_cmpuint (entry.st.st_nlink, ==, 2);
    write_text (fixture, id, 0, "N");
    g_assert_cmpint (vf_overlay_unlink (overlay, dir, "again"), ==, 0);
    vf_overlay_forget (overlay, id, 3);
    assert_work_is_empty (fixture);
  }
  restart (fixture);
  assert_text (fixture, id_at (fixture, "dir/new"), "New");
  assert_text (fixture, id_at (fixture, "dir/file"), "Nile");
  assert_names (fixture, id_at (fixture, "dir"), "empty exec file link new sub");
}

static void
test_setgid_directories (Fixture *fixture, gconstpointer user_data)
{
  if (geteuid () != 0) {
    g_test_skip ("only root gives a directory another group");
    return;
  }
  VfEntry entry;
  VfOverlay *overlay = fixture->overlay;
  const VfCaller caller = {.uid = 1234, .gid = 1234};
  guint64 dir = id_at (fixture, "dir");
  struct stat values = {.st_mode = 02775, .st_gid = 77};
  g_assert_cmpint (
      vf_overlay_setattr (overlay, dir, VF_SET_MODE | VF_SET_GID, &values, NULL, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFDIR | 02775);
  g_assert_cmpint (vf_overlay_unlink (overlay, dir, "file"), ==, 0);
  g_assert_cmpint (vf_overlay_rmdir (overlay, dir, "empty"), ==, 0);
  const char *names[] = {"new", "empty"};
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_assert_cmpint (vf_overlay_mkdir (overlay, &caller, dir, names[i], 0755, &entry), ==, 0);
    g_assert_cmpuint (entry.st.st_mode, ==, S_IFDIR | 02755);
    g_assert_cmpuint (entry.st.st_gid, ==, 77);
    g_assert_cmpuint (entry.st.st_uid, ==, 1234);
  }
  g_assert_cmpint (vf_overlay_mknod (overlay, &caller, dir, "file", S_IFREG | 04755, 0, &entry), ==,
                   0);
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFREG | 04755);
  g_assert_cmpuint (entry.st.st_gid, ==, 77);
  g_assert_cmpint (vf_overlay_tmpfile (overlay, &caller, dir, 0755, &entry), ==, 0);
  g_assert_cmpuint (entry.st.st_mode, ==, S_IFREG | 0755);
  g_assert_cmpuint (entry.st.st_gid, ==, 77);
  g_assert_cmpuint (entry.st.st_uid, ==, 1234);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/names/make", test_makes);
  FIXTURE_TEST ("/names/refuse", test_refusals);
  FIXTURE_TEST ("/names/removed", test_a_removed_directory);
  FIXTURE_TEST ("/names/whiteout", test_in_the_place_of_a_whiteout);
  FIXTURE_TEST ("/names/link", test_links);
  FIXTURE_TEST ("/names/unnamed", test_files_without_a_name);
  FIXTURE_TEST ("/names/setgid", test_setgid_directories);
  return g_test_run ();
}

#include "overlay-fixture.h"

#include <sys/syscall.h>

/* What was synced, by inode number; in the place of the C library's. */
static GArray *synced;

int
fsync (int fd)
{
  struct stat st;
  if (synced && fstat (fd, &st) == 0) {
    guint64 ino = st.st_ino;
    g_array_append_val (synced, ino);
  }
  return (int)syscall (SYS_fsync, fd);
}

static void
assert_next_synced (Fixture *fixture, guint index, const char *path)
{
  struct stat st;
  g_assert_cmpint (disk_stat (fixture, path, &st), ==, 0);
  g_assert_cmpuint (synced->len, >, index);
  g_assert_cmpuint (g_array_index (synced, guint64, index), ==, st.st_ino);
}

static void
test_writing (Fixture *fixture, gconstpointer user_data)
{
  gsize written;
  guint64 dir = id_at (fixture, "dir");
  guint64 id = make_file (fixture, dir, "new", "hello");
  g_assert_cmpint (vf_overlay_write (fixture->overlay, id, 5, " end", 4, FALSE, &written), ==, 0);
  g_assert_cmpuint (written, ==, 4);
  assert_text (fixture, id, "hello end");
  g_assert_cmpint (vf_overlay_write (fixture->overlay, dir, 0, "x", 1, FALSE, &written), ==,
                   -EISDIR);
  VfRead read;
  g_assert_cmpint (vf_overlay_read (fixture->overlay, dir, 0, 10, &read), ==, -EISDIR);
}

/* Whoever runs this: root may keep them, and so its process has to take them away itself. */
static void
test_writing_takes_setid (Fixture *fixture, gconstpointer user_data)
{
  static const struct {
    mode_t before, after;
  } modes[] = {{06755, 0755}, {04700, 0700}, {02755, 0755}, {02744, 02744}, {0644, 0644}};
  gsize written;
  VfEntry entry;
  guint64 id = make_file (fixture, id_at (fixture, "dir"), "new", "hello");
  for (gsize i = 0; i < G_N_ELEMENTS (modes); i++) {
    struct stat values = {.st_mode = modes[i].before};
    g_assert_cmpint (vf_overlay_setattr (fixture->overlay, id, VF_SET_MODE, &values, NULL, &entry),
                     ==, 0);
    g_assert_cmpint (vf_overlay_write (fixture->overlay, id, 0, "x", 1, TRUE, &written), ==, 0);
    g_assert_cmpint (vf_overlay_getattr (fixture->overlay, id, &entry), ==, 0);
    g_assert_cmpuint (entry.st.st_mode, ==, S_IFREG | modes[i].after);
  }
}

static void
test_reading_past_the_end (Fixture *fixture, gconstpointer user_data)
{
  const char *paths[] = {"dir/file", "inline", "view"};
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++) {
    VfRead read;
    guint64 id = id_at (fixture, paths[i]);
    g_assert_cmpint (vf_overlay_read (fixture->overlay, id, 1000, 10, &read), ==, 0);
    g_assert_cmpuint (read.bytes ? g_bytes_get_size (read.bytes) : read.extent.length, ==, 0);
    vf_overlay_read_done (fixture->overlay, &read);
    g_assert_cmpint (vf_overlay_read (fixture->overlay, id, 3, 4, &read), ==, 0);
    g_assert_cmpuint (read.bytes ? g_bytes_get_size (read.bytes) : read.extent.length, ==, 4);
    vf_overlay_read_done (fixture->overlay, &read);
  }
}

/* Its descriptor falls out of the cache, and its mode allows no writing. */
static void
test_a_read_only_file_is_written_on (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  guint64 dir = id_at (fixture, "dir");
  g_assert_cmpint (
      vf_overlay_mknod (fixture->overlay, &CALLER, dir, "object", S_IFREG | 0444, 0, &entry), ==,
      0);
  write_text (fixture, entry.id, 0, "one");
  vf_descriptors_drop (fixture->overlay->descriptors, entry.id);
  write_text (fixture, entry.id, 3, "two");
  assert_text (fixture, entry.id, "onetwo");
  g_assert_cmpuint (entry_at (fixture, "dir/object").st.st_mode, ==, S_IFREG | 0444);
}

static void
test_holes (Fixture *fixture, gconstpointer user_data)
{
  gint64 found;
  VfEntry entry;
  guint64 lower = id_at (fixture, "dir/file");
  g_assert_cmpint (vf_overlay_lseek (fixture->overlay, lower, 2, SEEK_DATA, &found), ==, 0);
  g_assert_cmpint (found, ==, 2);
  g_assert_cmpint (vf_overlay_lseek (fixture->overlay, lower, 2, SEEK_HOLE, &found), ==, 0);
  g_assert_cmpint (found, ==, 11);
  g_assert_cmpint (vf_overlay_lseek (fixture->overlay, lower, 11, SEEK_DATA, &found), ==, -ENXIO);
  g_assert_cmpint (vf_overlay_lseek (fixture->overlay, lower, 0, SEEK_SET, &found), ==, -EINVAL);

  /* A stub is a hole on the disk, and all data to whoever asks. */
  g_assert_cmpint (vf_copyup_file (fixture->overlay, lower, VF_COPYUP_STUB), ==, 0);
  g_assert_cmpint (vf_overlay_lseek (fixture->overlay, lower, 0, SEEK_HOLE, &found), ==, 0);
  g_assert_cmpint (found, ==, 11);

  guint64 born = make_file (fixture, VF_IMAGE_ROOT_ID, "born", "");
  struct stat values = {.st_size = 1 << 20};
  g_assert_cmpint (vf_overlay_setattr (fixture->overlay, born, VF_SET_SIZE, &values, NULL, &entry),
                   ==, 0);
  g_assert_cmpint (vf_overlay_lseek (fixture->overlay, born, 0, SEEK_DATA, &found), ==, -ENXIO);
  g_assert_cmpint (vf_overlay_fallocate (fixture->overlay, born, 0, 0, 1 << 21), ==, 0);
  g_assert_cmpint (entry_at (fixture, "born").st.st_size, ==, 1 << 21);
  g_assert_cmpint (vf_overlay_fallocate (fixture->overlay, born, 0x4000, 0, 1), ==, -EOPNOTSUPP);
}

static void
test_copy_range (Fixture *fixture, gconstpointer user_data)
{
  gsize copied;
  guint64 from = id_at (fixture, "dir/file"), to = id_at (fixture, "dir/exec");
  g_assert_cmpint (vf_overlay_copy_range (fixture->overlay, from, 6, to, 2, 100, &copied), ==, 0);
  g_assert_cmpuint (copied, ==, 5);
  assert_text (fixture, to, "#!file\nsh\n");
  g_assert_cmpint (vf_overlay_copy_range (fixture->overlay, from, 50, to, 0, 5, &copied), ==, 0);
  g_assert_cmpuint (copied, ==, 0);
  g_assert_cmpint (
      vf_overlay_copy_range (fixture->overlay, id_at (fixture, "view"), 0, to, 0, 5, &copied), ==,
      -EOPNOTSUPP);
}

static void
test_sync (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir");
  g_assert_cmpint (vf_overlay_fsync (fixture->overlay, dir, FALSE), ==, 0);
  guint64 file = make_file (fixture, dir, "f", "x");
  g_assert_cmpint (vf_overlay_fsync (fixture->overlay, file, TRUE), ==, 0);
  vf_descriptors_drop (fixture->overlay->descriptors, file);
  g_assert_cmpint (vf_overlay_fsync (fixture->overlay, file, FALSE), ==, 0);
  g_assert_cmpint (vf_overlay_fsync (fixture->overlay, dir, FALSE), ==, 0);
  g_assert_cmpint (vf_overlay_fsync (fixture->overlay, 4711, FALSE), ==, -ESTALE);
}

/* A fifo in the place of a file must not stop the daemon. */
static void
test_what_stands_there_is_no_file (Fixture *fixture, gconstpointer user_data)
{
  VfRead read;
  guint64 id = make_file (fixture, VF_IMAGE_ROOT_ID, "born", "");
  vf_descriptors_drop (fixture->overlay->descriptors, id);
  g_assert_cmpint (unlinkat (fixture->environment_fd, "upper/born", 0), ==, 0);
  g_assert_cmpint (vf_overlay_read (fixture->overlay, id, 0, 10, &read), ==, -ESTALE);
  g_assert_cmpint (mkfifoat (fixture->environment_fd, "upper/born", 0600), ==, 0);
  g_assert_cmpint (vf_overlay_read (fixture->overlay, id, 0, 10, &read), ==, -EIO);
  g_assert_cmpint (unlinkat (fixture->environment_fd, "upper/born", 0), ==, 0);
  g_assert_cmpint (symlinkat ("/etc/passwd", fixture->environment_fd, "upper/born"), ==, 0);
  g_assert_cmpint (vf_overlay_read (fixture->overlay, id, 0, 10, &read), ==, -ELOOP);
}

/* The names that copying up made are on the disk when what they stand for is: once. */
static void
test_sync_after_copying_up (Fixture *fixture, gconstpointer user_data)
{
  guint64 id = id_at (fixture, "dir/sub/deep");
  write_text (fixture, id, 0, "D");
  synced = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_assert_cmpint (vf_overlay_fsync (fixture->overlay, id, FALSE), ==, 0);
  assert_next_synced (fixture, 0, "upper/dir/sub/deep");
  assert_next_synced (fixture, 1, "upper/dir/sub");
  assert_next_synced (fixture, 2, "upper/dir");
  assert_next_synced (fixture, 3, "upper");
  g_assert_cmpuint (synced->len, ==, 4);
  g_array_set_size (synced, 0);
  g_assert_cmpint (vf_overlay_fsync (fixture->overlay, id, FALSE), ==, 0);
  g_assert_cmpuint (synced->len, ==, 1);
  g_clear_pointer (&synced, g_array_unref);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/data/write", test_writing);
  FIXTURE_TEST ("/data/setid", test_writing_takes_setid);
  FIXTURE_TEST ("/data/end", test_reading_past_the_end);
  FIXTURE_TEST ("/data/read-only", test_a_read_only_file_is_written_on);
  FIXTURE_TEST ("/data/holes", test_holes);
  FIXTURE_TEST ("/data/copy-range", test_copy_range);
  FIXTURE_TEST ("/data/sync", test_sync);
  FIXTURE_TEST ("/data/sync-after-copying-up", test_sync_after_copying_up);
  FIXTURE_TEST ("/data/no-file", test_what_stands_there_is_no_file);
  return g_test_run ();
}

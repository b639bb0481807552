#include "overlay-fixture.h"

#include <stdio.h>

static void
test_a_write_copies (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  VfEntry before = entry_at (fixture, "dir/sub/deep");
  VfEntry parent = entry_at (fixture, "dir/sub");
  write_text (fixture, before.id, 2, "EP");
  assert_text (fixture, before.id, "deEP\n");
  VfEntry after = entry_at (fixture, "dir/sub/deep");
  g_assert_cmpuint (after.id, ==, before.id);
  g_assert_cmpuint (after.st.st_mode, ==, before.st.st_mode);
  g_assert_cmpint (after.st.st_mtime, >, before.st.st_mtime);
  /* No entry came or went: the directory shows no change. */
  g_assert_cmpint (entry_at (fixture, "dir/sub").st.st_mtime, ==, parent.st.st_mtime);
  g_assert_cmpint (disk_stat (fixture, "upper/dir/sub/deep", &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 5);
  restart (fixture);
  g_assert_cmpuint (id_at (fixture, "dir/sub/deep"), ==, before.id);
  assert_text (fixture, before.id, "deEP\n");
}

static void
remember (guint64 id, gpointer user_data)
{
  g_hash_table_add (user_data, (gpointer)(guintptr)id);
}

/* The directories above a copy have a new ctime each, of which the kernel is told. */
static void
test_touched_directories_are_told (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GHashTable) touched = g_hash_table_new (NULL, NULL);
  const char *const paths[] = {"", "dir", "dir/sub"};
  guint64 ids[G_N_ELEMENTS (paths)];
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    ids[i] = id_at (fixture, paths[i]);
  guint64 deep = id_at (fixture, "dir/sub/deep"), file = id_at (fixture, "dir/file");
  vf_overlay_on_touched (fixture->overlay, remember, touched);
  write_text (fixture, deep, 2, "EP");
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    g_assert_true (g_hash_table_remove (touched, (gpointer)(guintptr)ids[i]));
  g_assert_cmpuint (g_hash_table_size (touched), ==, 0);
  write_text (fixture, deep, 0, "DE");
  g_assert_cmpuint (g_hash_table_size (touched), ==, 0);
  write_text (fixture, file, 0, "L");
  g_assert_true (g_hash_table_remove (touched, (gpointer)(guintptr)ids[1]));
  g_assert_cmpuint (g_hash_table_size (touched), ==, 0);
}

static void
test_a_stub_keeps_its_bytes_below (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  guint64 id = id_at (fixture, "dir/file");
  g_assert_cmpint (vf_copyup_file (fixture->overlay, id, VF_COPYUP_STUB), ==, 0);
  g_autofree char *digest = disk_attribute (fixture, "upper/dir/file", "user.venvfs.digest");
  g_assert_cmpuint (strlen (digest), ==, 64);
  g_assert_cmpint (disk_stat (fixture, "upper/dir/file", &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 11);
  assert_text (fixture, id, "lower file\n");
  g_assert_cmpint (entry_at (fixture, "dir/file").st.st_blocks, ==, 1);
  restart (fixture);
  assert_text (fixture, id_at (fixture, "dir/file"), "lower file\n");

  write_text (fixture, id, 0, "L");
  assert_text (fixture, id, "Lower file\n");
  g_assert_false (has_disk_attribute (fixture, "upper/dir/file", "user.venvfs.digest"));
}

/* Cutting needs no bytes, and what was cut off does not come back. */
static void
test_a_stub_can_be_cut (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  guint64 id = id_at (fixture, "dir/file");
  struct stat values = {.st_size = 5};
  g_assert_cmpint (vf_overlay_setattr (fixture->overlay, id, VF_SET_SIZE, &values, NULL, &entry),
                   ==, 0);
  g_assert_cmpint (entry.st.st_size, ==, 5);
  assert_text (fixture, id, "lower");
  g_assert_true (has_disk_attribute (fixture, "upper/dir/file", "user.venvfs.digest"));
  values.st_size = 7;
  g_assert_cmpint (vf_overlay_setattr (fixture->overlay, id, VF_SET_SIZE, &values, NULL, &entry),
                   ==, 0);
  VfRead read;
  g_assert_cmpint (vf_overlay_read (fixture->overlay, id, 0, 100, &read), ==, 0);
  char bytes[8] = "";
  g_assert_cmpint (pread (read.extent.fd, bytes, 8, read.extent.offset), ==, 7);
  g_assert_cmpmem (bytes, 7, "lower\0\0", 7);
  vf_overlay_read_done (fixture->overlay, &read);
}

static void
test_views_and_inline_files (Fixture *fixture, gconstpointer user_data)
{
  guint64 view = id_at (fixture, "view"), kept = id_at (fixture, "inline");
  write_text (fixture, view, 0, "AT");
  write_text (fixture, kept, 0, "KEPT");
  assert_text (fixture, view, "AT /here/.venv\n");
  assert_text (fixture, kept, "KEPT inside\n");
  g_assert_false (entry_at (fixture, "view").view);
  restart (fixture);
  g_assert_cmpuint (id_at (fixture, "view"), ==, view);
}

static void
test_symlinks_keep_their_id (Fixture *fixture, gconstpointer user_data)
{
  VfEntry entry;
  guint64 id = id_at (fixture, "dir/link");
  struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 2, .tv_nsec = 3}};
  g_assert_cmpint (
      vf_overlay_setattr (fixture->overlay, id, VF_SET_MTIME, &(struct stat){0}, times, &entry), ==,
      0);
  g_assert_cmpint (entry.st.st_mtim.tv_nsec, ==, 3);
  vf_overlay_forget (fixture->overlay, id, 100);
  g_assert_cmpuint (id_at (fixture, "dir/link"), ==, id);
  g_autofree char *target = NULL;
  g_assert_cmpint (vf_overlay_readlink (fixture->overlay, id, &target), ==, 0);
  g_assert_cmpstr (target, ==, "file");
}

/* Nobody sees half a copy, and nothing is left of it. */
static void
test_a_failure_leaves_the_lower (Fixture *fixture, gconstpointer user_data)
{
  guint64 id = id_at (fixture, "dir/file");
  VfImageNode lower;
  char hex[VF_DIGEST_HEX + 1];
  g_assert_cmpint (vf_image_find (fixture->image, id, &lower), ==, 0);
  vf_digest_to_hex (&lower.digest, hex);
  g_autofree char *object = g_strdup_printf ("objects/%.2s/%s", hex, hex + 2);
  g_assert_cmpint (
      renameat (vf_store_fd (fixture->store), object, vf_store_fd (fixture->store), "tmp/away"), ==,
      0);
  gsize written;
  g_assert_cmpint (vf_overlay_write (fixture->overlay, id, 0, "x", 1, FALSE, &written), ==, -EIO);
  g_assert_false (disk_has (fixture, "upper/dir/file"));
  g_assert_cmpint (
      renameat (vf_store_fd (fixture->store), "tmp/away", vf_store_fd (fixture->store), object), ==,
      0);
  assert_text (fixture, id, "lower file\n");
  write_text (fixture, id, 0, "L");
  assert_work_is_empty (fixture);
}

static void
test_directories (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  VfEntry before = entry_at (fixture, "dir/sub");
  g_rw_lock_writer_lock (&fixture->overlay->tree);
  g_assert_cmpint (vf_copyup_directory (fixture->overlay, before.id), ==, 0);
  g_assert_cmpint (vf_copyup_directory (fixture->overlay, before.id), ==, 0);
  g_rw_lock_writer_unlock (&fixture->overlay->tree);
  g_assert_cmpint (disk_stat (fixture, "upper/dir/sub", &st), ==, 0);
  g_assert_cmpuint (st.st_mode, ==, before.st.st_mode);
  g_assert_cmpint (st.st_mtime, ==, before.st.st_mtime);
  VfEntry after = entry_at (fixture, "dir/sub");
  g_assert_cmpuint (after.id, ==, before.id);
  g_assert_cmpuint (after.st.st_nlink, ==, before.st.st_nlink);
  assert_names (fixture, after.id, "deep");
}

static gboolean
always (gpointer n_asked)
{
  (*(int *)n_asked)++;
  return TRUE;
}

/* Nothing of the copy is left, and the next call is as if nothing had been. */
static void
test_a_copy_can_be_interrupted (Fixture *fixture, gconstpointer user_data)
{
  gsize written;
  int n_asked = 0;
  guint64 file = id_at (fixture, "dir/file"), stub = id_at (fixture, "dir/exec");
  g_assert_cmpint (vf_copyup_file (fixture->overlay, stub, VF_COPYUP_STUB), ==, 0);
  vf_overlay_interrupt_by (always, &n_asked);
  g_assert_cmpint (vf_overlay_write (fixture->overlay, file, 0, "x", 1, FALSE, &written), ==,
                   -EINTR);
  g_assert_cmpint (vf_overlay_write (fixture->overlay, stub, 0, "x", 1, FALSE, &written), ==,
                   -EINTR);
  vf_overlay_interrupt_by (NULL, NULL);
  g_assert_cmpint (n_asked, ==, 2);
  g_assert_false (disk_has (fixture, "upper/dir/file"));
  assert_text (fixture, file, "lower file\n");
  assert_text (fixture, stub, "#!/bin/sh\n");
  write_text (fixture, stub, 0, "%");
  assert_text (fixture, stub, "%!/bin/sh\n");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/copyup/write", test_a_write_copies);
  FIXTURE_TEST ("/copyup/touched-directories", test_touched_directories_are_told);
  FIXTURE_TEST ("/copyup/stub", test_a_stub_keeps_its_bytes_below);
  FIXTURE_TEST ("/copyup/cut", test_a_stub_can_be_cut);
  FIXTURE_TEST ("/copyup/views", test_views_and_inline_files);
  FIXTURE_TEST ("/copyup/symlinks", test_symlinks_keep_their_id);
  FIXTURE_TEST ("/copyup/failure", test_a_failure_leaves_the_lower);
  FIXTURE_TEST ("/copyup/directories", test_directories);
  FIXTURE_TEST ("/copyup/interrupted", test_a_copy_can_be_interrupted);
  return g_test_run ();
}

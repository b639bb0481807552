#include "overlay-fixture.h"

static void
test_make (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  g_assert_cmpint (vf_whiteout_make (fixture->overlay, fixture->overlay->upper_fd, "w"), ==, 0);
  g_assert_cmpint (vf_whiteout_make (fixture->overlay, fixture->overlay->upper_fd, "w"), ==,
                   -EEXIST);
  g_assert_cmpint (disk_stat (fixture, "upper/w", &st), ==, 0);
  g_assert_true (vf_stat_is_whiteout (&st));
  g_assert_cmpint (stat ("/dev/null", &st), ==, 0);
  g_assert_false (vf_stat_is_whiteout (&st));
  g_assert_cmpint (error_at (fixture, "w"), ==, -ENOENT);
}

static guint64
ino_of (Fixture *fixture, const char *path)
{
  struct stat st;
  g_assert_cmpint (disk_stat (fixture, path, &st), ==, 0);
  g_assert_true (vf_stat_is_whiteout (&st));
  return st.st_ino;
}

/* All are names of one inode; when that can have no more, or is gone, of the next. */
static void
test_shares_an_inode (Fixture *fixture, gconstpointer user_data)
{
  VfOverlay *overlay = fixture->overlay;
  int upper_fd = overlay->upper_fd;
  g_assert_cmpint (vf_whiteout_make (overlay, upper_fd, "a"), ==, 0);
  g_assert_cmpint (vf_whiteout_make (overlay, upper_fd, "b"), ==, 0);
  guint64 first = ino_of (fixture, "upper/a");
  g_assert_cmpuint (ino_of (fixture, "upper/b"), ==, first);
  g_assert_cmpuint (overlay->whiteout_ino, ==, first);

  g_assert_cmpint (unlinkat (overlay->work_fd, "whiteout", 0), ==, 0);
  g_assert_cmpint (vf_whiteout_make (overlay, upper_fd, "c"), ==, 0);
  g_assert_cmpint (vf_whiteout_make (overlay, upper_fd, "d"), ==, 0);
  guint64 second = ino_of (fixture, "upper/c");
  g_assert_cmpuint (second, !=, first);
  g_assert_cmpuint (ino_of (fixture, "upper/d"), ==, second);
  g_assert_cmpuint (overlay->whiteout_ino, ==, second);
  assert_names (fixture, VF_IMAGE_ROOT_ID, "dir inline view");
  restart (fixture);
  g_assert_cmpint (error_at (fixture, "a"), ==, -ENOENT);
}

static void
test_deletes_whiteouts_with_their_directory (Fixture *fixture, gconstpointer user_data)
{
  int work_fd = fixture->overlay->work_fd;
  g_assert_cmpint (mkdirat (work_fd, "d", 0755), ==, 0);
  g_assert_cmpint (mknodat (work_fd, "d/w", S_IFCHR, 0), ==, 0);
  vf_work_delete (fixture->overlay, "d", TRUE);
  g_assert_false (disk_has (fixture, "work/d"));
  /* Anything else in it is not for this to delete. */
  g_assert_cmpint (mkdirat (work_fd, "d", 0755), ==, 0);
  g_assert_cmpint (mkdirat (work_fd, "d/sub", 0755), ==, 0);
  vf_work_delete (fixture->overlay, "d", TRUE);
  g_assert_true (disk_has (fixture, "work/d/sub"));
}

/* What nobody remembers is deleted at once, what somebody does only when it is forgotten. */
static void
test_keeps_what_is_remembered (Fixture *fixture, gconstpointer user_data)
{
  guint64 root = VF_IMAGE_ROOT_ID;
  guint64 one = make_file (fixture, root, "one", "1"), two = make_file (fixture, root, "two", "2");
  vf_overlay_forget (fixture->overlay, one, 1);
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, root, "one"), ==, 0);
  assert_work_is_empty (fixture);
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, root, "two"), ==, 0);
  g_autofree char *two_path = orphan_path (fixture, two);
  g_assert_true (disk_has (fixture, two_path));
  vf_overlay_forget (fixture->overlay, two, 1);
  assert_work_is_empty (fixture);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/whiteout/make", test_make);
  FIXTURE_TEST ("/whiteout/shared", test_shares_an_inode);
  FIXTURE_TEST ("/whiteout/delete", test_deletes_whiteouts_with_their_directory);
  FIXTURE_TEST ("/whiteout/remembered", test_keeps_what_is_remembered);
  return g_test_run ();
}

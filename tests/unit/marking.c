#include "overlay-fixture.h"

/* An ordinary user, whom modes hold back; the directory is theirs. */
static gboolean
become_ordinary (Fixture *fixture)
{
  return geteuid () != 0 || (fchownat (fixture->environment_fd, "upper", 65534, 65534, 0) == 0 &&
                             fchownat (fixture->environment_fd, "upper/x", 65534, 65534, 0) == 0 &&
                             seteuid (65534) == 0);
}

static void
become_again (void)
{
  if (getuid () == 0)
    g_assert_cmpint (seteuid (0), ==, 0);
}

static void
test_directory (Fixture *fixture, gconstpointer user_data)
{
  g_auto (VfMarks) marks = {0};
  struct stat st;
  g_assert_cmpint (chmod (fixture->root, 0755), ==, 0);
  g_assert_cmpint (mkdirat (fixture->environment_fd, "upper/x", 0555), ==, 0);
  g_assert_true (become_ordinary (fixture));
  VF_AUTOFD fd = openat (fixture->environment_fd, "upper/x", O_RDONLY | O_DIRECTORY);
  VF_AUTOFD upper_fd = openat (fixture->environment_fd, "upper", O_PATH | O_DIRECTORY);
  g_assert_cmpint (vf_mark_set_opaque (fd), ==, -EACCES);
  g_assert_cmpint (vf_marking_set_opaque (fd), ==, 0);
  g_assert_cmpint (vf_marking_set_lower (fd, vf_image_id (fixture->image), "dir"), ==, 0);
  g_assert_cmpint (fchmod (fd, 0), ==, 0);
  g_assert_cmpint (vf_marking_read (upper_fd, "x", S_IFDIR, &marks), ==, 0);
  g_assert_true (marks.opaque);
  g_assert_cmpstr (marks.lower_path, ==, "dir");
  g_assert_cmpint (vf_beneath_stat (upper_fd, "x", &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0);
  become_again ();
}

static void
test_file (Fixture *fixture, gconstpointer user_data)
{
  g_auto (VfMarks) marks = {0};
  VfDigest digest;
  vf_digest_of ("x", 1, &digest);
  g_assert_cmpint (chmod (fixture->root, 0755), ==, 0);
  VF_AUTOFD fd = openat (fixture->environment_fd, "upper/x", O_CREAT | O_RDWR, 0600);
  g_assert_true (become_ordinary (fixture));
  VF_AUTOFD upper_fd = openat (fixture->environment_fd, "upper", O_PATH | O_DIRECTORY);
  g_assert_cmpint (vf_mark_set_id (fd, 7), ==, 0);
  g_assert_cmpint (vf_mark_set_digest (fd, &digest), ==, 0);
  g_assert_cmpint (fchmod (fd, 0), ==, 0);
  g_assert_cmpint (vf_marks_read (upper_fd, "x", S_IFREG, &marks), ==, -EACCES);
  g_assert_cmpint (vf_marking_read (upper_fd, "x", S_IFREG, &marks), ==, 0);
  g_assert_cmpuint (marks.id, ==, 7);
  g_assert_true (marks.has_digest);
  g_assert_cmpint (vf_marking_remove_digest (fd), ==, 0);
  g_assert_cmpint (vf_marking_remove_id (fd), ==, 0);
  vf_marks_clear (&marks);
  g_assert_cmpint (vf_marking_read (upper_fd, "x", S_IFREG, &marks), ==, 0);
  g_assert_false (marks.has_digest);
  g_assert_cmpuint (marks.id, ==, 0);
  become_again ();
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/marking/directory", test_directory);
  FIXTURE_TEST ("/marking/file", test_file);
  return g_test_run ();
}

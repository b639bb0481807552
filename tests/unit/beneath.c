#include "overlay-fixture.h"

static void
test_stays_beneath (Fixture *fixture, gconstpointer user_data)
{
  int root_fd = fixture->environment_fd;
  g_assert_cmpint (symlinkat ("/etc", root_fd, "upper/away"), ==, 0);
  g_assert_cmpint (symlinkat ("../work", root_fd, "upper/beside"), ==, 0);
  g_assert_cmpint (vf_beneath_open (root_fd, "upper/away/passwd", O_RDONLY, 0), ==, -ELOOP);
  g_assert_cmpint (vf_beneath_open (root_fd, "upper/away", O_RDONLY, 0), ==, -ELOOP);
  g_assert_cmpint (vf_beneath_open (root_fd, "upper/beside/x", O_RDONLY, 0), ==, -ELOOP);
  g_assert_cmpint (vf_beneath_open (root_fd, "../..", O_PATH, 0), ==, -EXDEV);
  g_assert_cmpint (vf_beneath_open (root_fd, "/etc", O_PATH, 0), ==, -EXDEV);
  g_assert_cmpint (vf_beneath_open (root_fd, "upper/none", O_RDONLY, 0), ==, -ENOENT);
  VF_AUTOFD fd = vf_beneath_open (root_fd, "upper/away", O_PATH, 0);
  struct stat st;
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_assert_true (S_ISLNK (st.st_mode));
}

/* 40 directories of 200 bytes are more than one system call takes. */
static void
test_long_paths (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *name = g_strnfill (200, 'n');
  g_autoptr (GString) path = g_string_new ("upper");
  VF_AUTOFD fd = vf_beneath_open (fixture->environment_fd, "upper", O_PATH | O_DIRECTORY, 0);
  for (int i = 0; i < 40; i++) {
    g_assert_cmpint (mkdirat (fd, name, 0700), ==, 0);
    int next = vf_beneath_open (fd, name, O_PATH | O_DIRECTORY, 0);
    g_assert_cmpint (next, >=, 0);
    close (fd);
    fd = next;
    g_string_append_printf (path, "/%s", name);
  }
  struct stat by_steps, by_path;
  VF_AUTOFD found = vf_beneath_open (fixture->environment_fd, path->str, O_PATH | O_DIRECTORY, 0);
  g_assert_cmpint (fstat (fd, &by_steps), ==, 0);
  g_assert_cmpint (fstat (found, &by_path), ==, 0);
  g_assert_cmpuint (by_steps.st_ino, ==, by_path.st_ino);
}

static void
test_forced_open_keeps_the_mode (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  VF_AUTOFD made = openat (fixture->environment_fd, "upper/f", O_CREAT | O_WRONLY, 0400);
  VF_AUTOFD fd = vf_beneath_open_forced (fixture->environment_fd, "upper/f", O_RDWR);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (pwrite (fd, "x", 1, 0), ==, 1);
  g_assert_cmpint (disk_stat (fixture, "upper/f", &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0400);
}

/* As an ordinary user, whom modes hold back. */
static void
test_modes_do_not_matter (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  g_assert_cmpint (chmod (fixture->root, 0755), ==, 0);
  g_assert_cmpint (mkdirat (fixture->environment_fd, "upper/in", 0700), ==, 0);
  for (const char *const *name = (const char *const[]){"upper", "upper/in", "work", NULL}; *name;
       name++)
    if (geteuid () == 0)
      g_assert_cmpint (fchownat (fixture->environment_fd, *name, 65534, 65534, 0), ==, 0);
  if (geteuid () == 0)
    g_assert_cmpint (seteuid (65534), ==, 0);
  VF_AUTOFD upper_fd = openat (fixture->environment_fd, "upper", O_PATH | O_DIRECTORY);
  VF_AUTOFD work_fd = openat (fixture->environment_fd, "work", O_PATH | O_DIRECTORY);
  g_assert_cmpint (mkdirat (upper_fd, "in/sub", 0500), ==, 0);
  g_assert_cmpint (fchmodat (upper_fd, "in", 0, 0), ==, 0);
  VF_AUTOFD in_fd = openat (upper_fd, "in", O_PATH | O_DIRECTORY);
  g_assert_cmpint (fstatat (in_fd, "sub", &st, 0) < 0 ? -errno : 0, ==, -EACCES);
  g_assert_cmpint (vf_beneath_stat (in_fd, "sub", &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0500);
  VF_AUTOFD sub_fd = vf_beneath_open_directory (upper_fd, "in/sub");
  g_assert_cmpint (sub_fd, >=, 0);
  g_assert_cmpint (vf_beneath_open_directory (upper_fd, "in/none"), ==, -ENOENT);
  g_assert_cmpint (vf_beneath_rename (in_fd, "sub", work_fd, "moved", 0), ==, 0);
  g_assert_cmpint (vf_beneath_rename (in_fd, "sub", work_fd, "moved", 0), ==, -ENOENT);
  g_assert_cmpint (vf_beneath_stat (work_fd, "moved", &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0500);
  g_assert_cmpint (vf_beneath_stat (upper_fd, "in", &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0);
  if (getuid () == 0)
    g_assert_cmpint (seteuid (0), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/beneath/stays", test_stays_beneath);
  FIXTURE_TEST ("/beneath/long-paths", test_long_paths);
  FIXTURE_TEST ("/beneath/forced", test_forced_open_keeps_the_mode);
  FIXTURE_TEST ("/beneath/modes-do-not-matter", test_modes_do_not_matter);
  return g_test_run ();
}

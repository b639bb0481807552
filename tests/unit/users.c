#include "tools/users.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/io.h"

#define ALL 1000000

static void
assert_use (dev_t device, pid_t pid, const char *use)
{
  g_autofree char *expected = g_strdup_printf ("test-users (process %d, %s)", (int)pid, use);
  g_autofree char *users = NULL;
  for (int i = 0; i < 2000 && (users == NULL || strstr (users, expected) == NULL); i++) {
    g_free (users);
    g_usleep (1000);
    users = vf_users_describe (device, ALL);
  }
  g_assert_nonnull (strstr (users, expected));
}

static pid_t
fork_paused (const char *directory)
{
  pid_t pid = fork ();
  if (pid != 0)
    return pid;
  if (chdir (directory) == 0)
    pause ();
  _exit (1);
}

static void
test_uses (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-users-XXXXXX", NULL);
  struct stat memory, place;
  VF_AUTOFD fd = memfd_create ("users", MFD_CLOEXEC);
  g_assert_cmpint (fstat (fd, &memory), ==, 0);
  assert_use (memory.st_dev, getpid (), "open file");

  g_assert_cmpint (stat (directory, &place), ==, 0);
  pid_t pid = fork_paused (directory);
  assert_use (place.st_dev, pid, "current directory");
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);

  g_assert_cmpint (rmdir (directory), ==, 0);
}

static void
test_counts (void)
{
  struct stat st;
  g_assert_cmpint (stat ("/", &st), ==, 0);
  pid_t pid = fork_paused ("/");
  g_autofree char *one = vf_users_describe (st.st_dev, 1);
  g_assert_true (g_str_has_suffix (one, " more"));
  g_assert_nonnull (strstr (one, "), and "));
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  g_autofree char *none = vf_users_describe (makedev (4095, 1), ALL);
  g_assert_null (none);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/users/uses", test_uses);
  g_test_add_func ("/users/counts", test_counts);
  return g_test_run ();
}

#include "tools/users.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/io.h"

static void
test_users (void)
{
  g_autofree char *made = g_dir_make_tmp ("vf-users-XXXXXX", NULL);
  char *directory = realpath (made, NULL);
  g_autofree char *none = vf_users_describe (directory, 0, 4);
  g_assert_null (none);

  g_autofree char *file = g_build_filename (directory, "file", NULL);
  VF_AUTOFD fd = open (file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  g_autofree char *self = vf_users_describe (directory, 0, 4);
  g_autofree char *expected =
      g_strdup_printf ("test-users (process %d, open file)", (int)getpid ());
  g_assert_cmpstr (self, ==, expected);

  pid_t pid = fork ();
  if (pid == 0) {
    close (fd);
    if (chdir (directory) == 0)
      pause ();
    _exit (1);
  }
  g_autofree char *both = NULL;
  for (int i = 0; i < 1000 && (both == NULL || strstr (both, "current") == NULL); i++) {
    g_free (both);
    g_usleep (1000);
    both = vf_users_describe (directory, 0, 4);
  }
  g_autofree char *child = g_strdup_printf ("test-users (process %d, current directory)", (int)pid);
  g_assert_nonnull (strstr (both, child));
  g_autofree char *one = vf_users_describe (directory, 0, 1);
  g_assert_true (g_str_has_suffix (one, ", and 1 more"));
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  unlink (file);
  g_assert_cmpint (rmdir (directory), ==, 0);
  free (directory);
}

static void
test_mapping (void)
{
  struct stat st;
  g_assert_cmpint (stat ("/proc/self/exe", &st), ==, 0);
  g_autofree char *users = vf_users_describe ("/nonexistent", st.st_dev, 1000);
  g_autofree char *self = g_strdup_printf ("(process %d, mapped file)", (int)getpid ());
  g_assert_nonnull (strstr (users, self));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/users/users", test_users);
  g_test_add_func ("/users/mapping", test_mapping);
  return g_test_run ();
}

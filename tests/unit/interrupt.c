#include "tools/interrupt.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/error.h"

static void
test_first_signal (void)
{
  if (g_test_subprocess ()) {
    g_autoptr (GError) error = NULL;
    pid_t child = fork (); /* before the handlers, which it must not have */
    while (child == 0)
      pause ();
    vf_interrupt_install ();
    g_assert_true (vf_interrupt_check (&error));
    vf_interrupt_add_child (child);
    raise (SIGTERM);
    g_assert_true (vf_interrupted ());
    g_assert_cmpint (vf_interrupt_signal (), ==, SIGTERM);
    g_assert_false (vf_interrupt_check (&error));
    g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
    int status;
    g_assert_cmpint (waitpid (child, &status, 0), ==, child);
    g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGTERM);
    vf_interrupt_remove_child (child);
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

static void
test_second_signal (void)
{
  if (g_test_subprocess ()) {
    vf_interrupt_install ();
    raise (SIGHUP);
    raise (SIGHUP);
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
}

static void
test_ignored_stays_ignored (void)
{
  if (g_test_subprocess ()) {
    signal (SIGHUP, SIG_IGN);
    vf_interrupt_install ();
    raise (SIGHUP);
    g_assert_false (vf_interrupted ());
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/interrupt/first-signal", test_first_signal);
  g_test_add_func ("/interrupt/second-signal", test_second_signal);
  g_test_add_func ("/interrupt/ignored-stays-ignored", test_ignored_stays_ignored);
  return g_test_run ();
}

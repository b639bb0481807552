#include "tools/run-child.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"

static int
status_of_script (const char *script)
{
  char *arguments[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
  int status = -1;
  g_assert_true (vf_child_run (arguments, &status, NULL));
  return status;
}

static void
test_status (void)
{
  g_assert_cmpint (status_of_script ("exit 0"), ==, 0);
  g_assert_cmpint (status_of_script ("exit 3"), ==, 3);
  g_assert_cmpint (status_of_script ("kill -TERM $$"), ==, 128 + SIGTERM);
  g_assert_cmpint (status_of_script ("kill -KILL $$"), ==, 128 + SIGKILL);
}

static void
test_not_runnable (void)
{
  int status = 0;
  g_autoptr (GError) absent = NULL, unfit = NULL;
  char *none[] = {(char *)"/nonexistent/program", NULL};
  g_assert_false (vf_child_run (none, &status, &absent));
  g_assert_cmpint (status, ==, 127);
  g_assert_error (absent, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_assert_cmpstr (absent->message, ==, "/nonexistent/program: no such program");
  char *data[] = {(char *)"/etc/passwd", NULL};
  g_assert_false (vf_child_run (data, &status, &unfit));
  g_assert_cmpint (status, ==, 126);
  g_assert_cmpstr (unfit->message, ==, "/etc/passwd: cannot be run: Permission denied");
}

/* What is sent to this process reaches the child, however often; this process goes on. */
static void
test_signals_are_forwarded (void)
{
  g_assert_cmpint (status_of_script ("trap 'exit 40' USR1; kill -USR1 $PPID;"
                                     "while :; do sleep 0.01; done"),
                   ==, 40);
  g_assert_cmpint (status_of_script ("trap 'n=$((n+1)); test $n = 2 && exit 41' TERM;"
                                     "kill -TERM $PPID; sleep 0.2; kill -TERM $PPID;"
                                     "while :; do sleep 0.01; done"),
                   ==, 41);
  g_assert_cmpint (status_of_script ("kill -INT $PPID; sleep 10"), ==, 128 + SIGINT);
}

/* What was ignored stays so, by the child too. */
static void
test_ignored_signals (void)
{
  signal (SIGHUP, SIG_IGN);
  g_assert_cmpint (status_of_script ("kill -HUP $$; kill -HUP $PPID; sleep 0.1; exit 5"), ==, 5);
  signal (SIGHUP, SIG_DFL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/run-child/status", test_status);
  g_test_add_func ("/run-child/not-runnable", test_not_runnable);
  g_test_add_func ("/run-child/signals-are-forwarded", test_signals_are_forwarded);
  g_test_add_func ("/run-child/ignored-signals", test_ignored_signals);
  return g_test_run ();
}

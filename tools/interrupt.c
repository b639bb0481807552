#include "tools/interrupt.h"

#include <errno.h>
#include <signal.h>

#include "layers/error.h"

#define MAX_CHILDREN 16

/* Written by the handler or read by it: lock-free atomics only. */
static volatile gint caught_signal;
static volatile gint children[MAX_CHILDREN];

static void
on_signal (int number)
{
  int saved_errno = errno;
  g_atomic_int_set (&caught_signal, number);
  for (int i = 0; i < MAX_CHILDREN; i++) {
    gint pid = g_atomic_int_get (&children[i]);
    if (pid > 0)
      kill (pid, SIGTERM);
  }
  errno = saved_errno;
}

void
vf_interrupt_install (void)
{
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
  sigemptyset (&action.sa_mask);
  for (gsize i = 0; i < G_N_ELEMENTS (numbers); i++) {
    struct sigaction former;
    /* nohup's choice, and that of a shell for its background jobs, stands. */
    if (sigaction (numbers[i], NULL, &former) == 0 && former.sa_handler != SIG_IGN)
      sigaction (numbers[i], &action, NULL);
  }
}

gboolean
vf_interrupted (void)
{
  return g_atomic_int_get (&caught_signal) != 0;
}

int
vf_interrupt_signal (void)
{
  return g_atomic_int_get (&caught_signal);
}

gboolean
vf_interrupt_check (GError **error)
{
  if (!vf_interrupted ())
    return TRUE;
  return vf_error_set (error, VF_ERROR_CANCELLED, "interrupted; nothing was changed");
}

void
vf_interrupt_add_child (pid_t pid)
{
  for (int i = 0; i < MAX_CHILDREN; i++)
    if (g_atomic_int_compare_and_exchange (&children[i], 0, (gint)pid))
      break;
  if (vf_interrupted ())
    kill (pid, SIGTERM);
}

void
vf_interrupt_remove_child (pid_t pid)
{
  for (int i = 0; i < MAX_CHILDREN; i++)
    if (g_atomic_int_compare_and_exchange (&children[i], (gint)pid, 0))
      return;
}

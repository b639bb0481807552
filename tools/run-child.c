/* Signal handlers write what they got to a pipe: they work in whichever thread the kernel picks. */
#include "tools/run-child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

#define STATUS_NOT_RUNNABLE 126
#define STATUS_NOT_FOUND    127
#define STATUS_SIGNAL_BASE  128

extern char **environ;

typedef struct {
  int number;
  int code;
} Received;

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
static int pipe_write_fd = -1;

static void
on_signal (int number, siginfo_t *info, void *context)
{
  int saved_errno = errno;
  Received received = {number, info->si_code};
  if (write (pipe_write_fd, &received, sizeof received) < 0)
    errno = saved_errno; /* full: a thousand signals wait already */
  errno = saved_errno;
}

static void
take_signals (struct sigaction former[G_N_ELEMENTS (forwarded)])
{
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  for (gsize i = 0; i < G_N_ELEMENTS (forwarded); i++) {
    sigaction (forwarded[i], NULL, &former[i]);
    /* What is ignored (nohup) stays ignored, by the child too. */
    if (former[i].sa_handler != SIG_IGN)
      sigaction (forwarded[i], &action, NULL);
  }
}

static void
give_signals_back (const struct sigaction former[G_N_ELEMENTS (forwarded)])
{
  for (gsize i = 0; i < G_N_ELEMENTS (forwarded); i++)
    sigaction (forwarded[i], &former[i], NULL);
}

/* A key of the terminal (SI_KERNEL) has signalled the child's process group already. */
static void
forward (int pipe_fd, pid_t pid)
{
  Received received;
  while (read (pipe_fd, &received, sizeof received) == sizeof received)
    if (received.code != SI_KERNEL)
      kill (pid, received.number);
}

static int
wait_for (pid_t pid, int pipe_fd)
{
  VF_AUTOFD pid_fd = pidfd_open (pid, 0);
  struct pollfd waits[] = {{.fd = pid_fd, .events = POLLIN}, {.fd = pipe_fd, .events = POLLIN}};
  int status = 0;
  for (;;) {
    pid_t ended = waitpid (pid, &status, pid_fd >= 0 ? WNOHANG : 0);
    if (ended == pid || (ended < 0 && errno != EINTR))
      break;
    if (pid_fd >= 0)
      poll (waits, G_N_ELEMENTS (waits), -1);
    forward (pipe_fd, pid);
  }
  return WIFSIGNALED (status) ? STATUS_SIGNAL_BASE + WTERMSIG (status) : WEXITSTATUS (status);
}

static gboolean
run_with_pipe (char *const *arguments, int pipe_fd, int *out_status, GError **error)
{
  pid_t pid;
  int failure = posix_spawnp (&pid, arguments[0], NULL, NULL, arguments, environ);
  if (failure == 0) {
    *out_status = wait_for (pid, pipe_fd);
    return TRUE;
  }
  *out_status = failure == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUNNABLE;
  if (failure == ENOENT)
    return vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: no such program", arguments[0]);
  return vf_error_errno (error, failure, "%s: cannot be run", arguments[0]);
}

gboolean
vf_child_run (char *const *arguments, int *out_status, GError **error)
{
  int ends[2];
  if (pipe2 (ends, O_CLOEXEC | O_NONBLOCK) < 0)
    return vf_error_errno (error, errno, "%s: cannot make a pipe", arguments[0]);
  pipe_write_fd = ends[1];
  struct sigaction former[G_N_ELEMENTS (forwarded)];
  take_signals (former);
  gboolean done = run_with_pipe (arguments, ends[0], out_status, error);
  give_signals_back (former);
  close (ends[0]);
  close (ends[1]);
  return done;
}

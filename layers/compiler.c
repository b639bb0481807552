/* A worker is the interpreter with compile.py, on the other end of a socket pair.
 *
 * The same source gives the same bytes whichever worker compiles it, and when: the hash seed is
 * fixed, addresses are not randomised (before 3.12 the hash of None is its address, which orders
 * the constants of `x in {None, …}`), and what marshal leaves to chance is normalised (marshal.h).
 * -I would make the interpreter ignore PYTHONHASHSEED, so the other variables are removed instead
 * and the script drops the current directory from sys.path. */
#include "layers/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/marshal.h"
#include "layers/probe.h"

#define MAX_CPU_SECONDS 60
#define MAX_CODE_BYTES  (1u << 30)
#define POLL_MSEC       100

static const char script[] =
#include "layers/compile.py.inc"
    ;

struct VfCompiler {
  const VfInterpreter *interpreter; /* borrowed */
  GCancellable *cancellable;        /* borrowed; or NULL */
  GPid pid;                         /* 0: not running */
  int fd;                           /* both ways; -1: not running */
  int err_fd;                       /* memfd with what it wrote to stderr */
  double sent_at_cpu_seconds;
};

VfCompiler *
vf_compiler_new (const VfInterpreter *interpreter, GCancellable *cancellable)
{
  VfCompiler *compiler = g_new0 (VfCompiler, 1);
  compiler->interpreter = interpreter;
  compiler->cancellable = cancellable;
  compiler->fd = compiler->err_fd = -1;
  return compiler;
}

/* Ends the worker, however it is, and returns its wait status. */
static int
stop (VfCompiler *compiler, gboolean kill_it)
{
  int status = 0;
  if (!compiler->pid)
    return 0;
  if (kill_it)
    kill (compiler->pid, SIGKILL);
  vf_fd_clear (&compiler->fd);
  while (waitpid (compiler->pid, &status, 0) < 0 && errno == EINTR)
    ;
  compiler->pid = 0;
  return status;
}

void
vf_compiler_free (VfCompiler *compiler)
{
  stop (compiler, TRUE);
  vf_fd_clear (&compiler->err_fd);
  g_free (compiler);
}

/* In the child. Ctrl-C is for the parent to answer; the end of its socket ends the child. */
static void
prepare_child (gpointer unused)
{
  signal (SIGINT, SIG_IGN);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  int persona = personality (0xffffffff);
  if (persona >= 0)
    personality ((unsigned long)persona | ADDR_NO_RANDOMIZE);
}

static gboolean
spawn (VfCompiler *compiler, GError **error)
{
  const char *path = compiler->interpreter->executable;
  const char *argv[] = {path, "-s", "-S", "-B", "-c", script, NULL};
  g_auto (GStrv) env = g_environ_setenv (vf_probe_environment (), "PYTHONHASHSEED", "0", TRUE);
  g_autoptr (GError) local = NULL;
  int pair[2];
  vf_fd_clear (&compiler->err_fd);
  compiler->err_fd = memfd_create ("venvfs-compile-stderr", MFD_CLOEXEC);
  if (compiler->err_fd < 0 || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
    return vf_error_errno (error, errno, "%s: cannot start", path);
  compiler->fd = pair[0];
  VF_AUTOFD child_fd = pair[1];
  if (!g_spawn_async_with_pipes_and_fds ("/", argv, (const char *const *)env,
                                         G_SPAWN_DO_NOT_REAP_CHILD, prepare_child, NULL, child_fd,
                                         child_fd, compiler->err_fd, NULL, NULL, 0, &compiler->pid,
                                         NULL, NULL, NULL, &local)) {
    vf_fd_clear (&compiler->fd);
    return vf_error_set (error, VF_ERROR_FAILED, "%s: cannot start: %s", path, local->message);
  }
  return TRUE;
}

static double
cpu_seconds (VfCompiler *compiler)
{
  clockid_t clock;
  struct timespec used;
  if (clock_getcpuclockid (compiler->pid, &clock) != 0 || clock_gettime (clock, &used) < 0)
    return 0;
  return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

typedef enum { IO_DONE, IO_END, IO_HUNG, IO_CANCELLED } Io;

static Io
read_exactly (VfCompiler *compiler, void *data, gsize length)
{
  char *next = data;
  while (length > 0) {
    struct pollfd ready = {compiler->fd, POLLIN, 0};
    if (g_cancellable_is_cancelled (compiler->cancellable))
      return IO_CANCELLED;
    int n_ready = poll (&ready, 1, POLL_MSEC);
    if (n_ready <= 0) {
      if (cpu_seconds (compiler) - compiler->sent_at_cpu_seconds > MAX_CPU_SECONDS)
        return IO_HUNG;
      continue;
    }
    ssize_t n = read (compiler->fd, next, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return IO_END;
    next += n;
    length -= (gsize)n;
  }
  return IO_DONE;
}

static Io
write_exactly (VfCompiler *compiler, const void *data, gsize length)
{
  const char *next = data;
  while (length > 0) {
    ssize_t n = send (compiler->fd, next, length, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return IO_END;
    next += n;
    length -= (gsize)n;
  }
  return IO_DONE;
}

/* The last line the worker wrote to stderr, in the form ": line", for the message; may be empty. */
static char *
last_words (VfCompiler *compiler)
{
  char text[4096];
  goffset size = lseek (compiler->err_fd, 0, SEEK_END);
  goffset from = MAX (0, size - (goffset)sizeof text + 1);
  ssize_t n = pread (compiler->err_fd, text, sizeof text - 1, from);
  text[MAX (n, 0)] = '\0';
  char *last = strrchr (g_strchomp (text), '\n');
  last = last ? last + 1 : text;
  g_autofree char *valid = g_utf8_make_valid (last, -1);
  return *valid ? g_strdup_printf (": %.300s", valid) : g_strdup ("");
}

static gboolean
died (VfCompiler *compiler, int status, GError **error)
{
  g_autofree char *words = last_words (compiler);
  const char *path = compiler->interpreter->executable;
  if (WIFSIGNALED (status))
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: the process that compiles modules was killed by signal %d%s", path,
                         WTERMSIG (status), words);
  return vf_error_set (error, VF_ERROR_FAILED,
                       "%s: the process that compiles modules ended, exit status %d%s", path,
                       WEXITSTATUS (status), words);
}

/* Ends the worker, which did not do as it should. */
static gboolean
fail (VfCompiler *compiler, Io io, GError **error)
{
  int status = stop (compiler, io != IO_END);
  if (io == IO_CANCELLED)
    return vf_error_set (error, VF_ERROR_CANCELLED, "%s: compiling was interrupted",
                         compiler->interpreter->executable);
  return died (compiler, status, error);
}

/* Starts the worker and checks that its .pyc files are what the probe said. */
static gboolean
start (VfCompiler *compiler, GError **error)
{
  guint8 magic[4];
  char hex[9];
  if (!spawn (compiler, error))
    return FALSE;
  compiler->sent_at_cpu_seconds = 0;
  Io io = read_exactly (compiler, magic, sizeof magic);
  if (io != IO_DONE)
    return fail (compiler, io, error);
  g_snprintf (hex, sizeof hex, "%02x%02x%02x%02x", magic[0], magic[1], magic[2], magic[3]);
  if (strcmp (hex, compiler->interpreter->bytecode_magic) != 0)
    return vf_error_set (error, VF_ERROR_FAILED, "%s: changed while it was in use; try again",
                         compiler->interpreter->executable);
  return TRUE;
}

gboolean
vf_compiler_send (VfCompiler *compiler, const char *name, GBytes *source, GError **error)
{
  gsize length;
  const void *data = g_bytes_get_data (source, &length);
  guint32 head[2] = {GUINT32_TO_LE ((guint32)strlen (name)), GUINT32_TO_LE ((guint32)length)};
  if (!compiler->pid && !start (compiler, error))
    return FALSE;
  compiler->sent_at_cpu_seconds = cpu_seconds (compiler);
  if (write_exactly (compiler, head, sizeof head) == IO_DONE &&
      write_exactly (compiler, name, strlen (name)) == IO_DONE &&
      write_exactly (compiler, data, length) == IO_DONE)
    return TRUE;
  return fail (compiler, IO_END, error);
}

/* The worker's end while it compiled: the module's doing, or somebody else's? */
static gboolean
explain_end (VfCompiler *compiler, Io io, VfCompileResult *out_result, GError **error)
{
  if (io == IO_CANCELLED)
    return fail (compiler, io, error);
  int status = stop (compiler, io == IO_HUNG);
  int signum = WIFSIGNALED (status) ? WTERMSIG (status) : 0;
  *out_result = VF_COMPILER_DIED;
  if (io == IO_HUNG || signum == SIGSEGV || signum == SIGABRT || signum == SIGBUS ||
      signum == SIGILL || signum == SIGFPE)
    return TRUE;
  return died (compiler, status, error);
}

gboolean
vf_compiler_receive (VfCompiler *compiler, VfCompileResult *out_result, GByteArray **out_code,
                     GError **error)
{
  const VfInterpreter *interpreter = compiler->interpreter;
  guint32 length;
  Io io = read_exactly (compiler, &length, sizeof length);
  *out_code = NULL;
  if (io != IO_DONE)
    return explain_end (compiler, io, out_result, error);
  length = GUINT32_FROM_LE (length);
  *out_result = VF_NOT_COMPILED;
  if (length == 0)
    return TRUE;
  if (length > MAX_CODE_BYTES)
    return vf_error_set (error, VF_ERROR_FAILED, "%s: answers nonsense", interpreter->executable);
  g_autoptr (GByteArray) code = g_byte_array_new ();
  g_byte_array_set_size (code, length);
  io = read_exactly (compiler, code->data, length);
  if (io != IO_DONE)
    return explain_end (compiler, io, out_result, error);
  if (strcmp (interpreter->implementation, "cpython") == 0)
    vf_marshal_normalize (code->data, code->len, interpreter->minor);
  *out_result = VF_COMPILED;
  *out_code = g_steal_pointer (&code);
  return TRUE;
}

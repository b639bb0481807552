#include "tools/pip.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/object.h"
#include "layers/package.h"
#include "tools/interrupt.h"
#include "tools/pip-explain.h"

#define MAX_OUTPUT_BYTES (64 * 1024 * 1024)
#define TICK_MSEC        100

/* argv: -c, directory of pip, what pip gets. */
static const char pip_start[] = "import runpy, sys\n"
                                "sys.path.insert(0, sys.argv.pop(1))\n"
                                "sys.argv[0] = 'pip'\n"
                                "runpy.run_module('pip', run_name='__main__', alter_sys=True)\n";

static const char script_start[] = "import sys\n"
                                   "sys.path.insert(0, sys.argv.pop(1))\n"
                                   "exec(compile(sys.argv.pop(1), '<venvfs>', 'exec'))\n";

struct VfPip {
  const VfInterpreter *interpreter;
  char *directory; /* where pip can be imported from */
  char *tmp_path;
  gint n_runs; /* atomic: each has a log of its own */
};

/* Writes one file of the package into the tree at @dir_fd. */
static gboolean
unpack_file (VfStore *store, const VfPackageFile *file, int dir_fd, const char *what,
             GError **error)
{
  g_autofree char *parent = g_path_get_dirname (file->path);
  if (strcmp (parent, ".") != 0 && !vf_make_path (dir_fd, parent, what, error))
    return FALSE;
  VfExtent extent = {.fd = -1};
  int result = vf_object_open (store, &file->digest, &extent);
  if (result < 0)
    return vf_error_errno (error, -result, "%s: cannot read %s; run 'venvfs fsck'", what,
                           file->path);
  VF_AUTOFD in = extent.fd;
  VF_AUTOFD out = openat (dir_fd, file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (out < 0)
    return vf_error_errno (error, errno, "%s: cannot create %s", what, file->path);
  g_autofree char *data = g_malloc (extent.length);
  return vf_read_all (in, data, extent.length, extent.offset, file->path, error) &&
         vf_write_all (out, data, extent.length, file->path, error);
}

static gboolean
unpack (VfStore *store, const VfDigest *digest, int dir_fd, const char *what, GError **error)
{
  g_autoptr (VfPackage) package = vf_package_load (store, digest, error);
  if (!package)
    return FALSE;
  for (guint i = 0; i < package->files->len; i++) {
    const VfPackageFile *file = &g_array_index (package->files, VfPackageFile, i);
    if ((file->scheme == VF_SCHEME_PURELIB || file->scheme == VF_SCHEME_PLATLIB) &&
        !unpack_file (store, file, dir_fd, what, error))
      return FALSE;
  }
  return TRUE;
}

/* cache/pip-<package>: complete or not there, by one rename, after a power loss too: nobody would
 * look into it again. Two that do it at once do no harm. */
static char *
provide_directory (VfStore *store, const VfDigest *package, GError **error)
{
  g_autofree char *relative = vf_digest_path ("cache/pip-", package);
  g_autofree char *path = vf_store_path_of (store, relative);
  if (utimensat (AT_FDCWD, path, NULL, 0) == 0) /* fresh: `gc` removes what nobody used */
    return g_steal_pointer (&path);
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (store, error);
  if (!tmp || !vf_make_path (vf_store_tmp_fd (tmp), "pip", path, error))
    return NULL;
  VF_AUTOFD dir_fd =
      openat (vf_store_tmp_fd (tmp), "pip", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (dir_fd < 0) {
    vf_error_errno (error, errno, "%s: cannot open", path);
    return NULL;
  }
  if (!unpack (store, package, dir_fd, path, error))
    return NULL;
  if (syncfs (dir_fd) < 0) {
    vf_error_errno (error, errno, "%s: cannot sync", path);
    return NULL;
  }
  if (renameat (vf_store_tmp_fd (tmp), "pip", vf_store_fd (store), relative) < 0 &&
      errno != EEXIST && errno != ENOTEMPTY) {
    vf_error_errno (error, errno, "%s: cannot create", path);
    return NULL;
  }
  return g_steal_pointer (&path);
}

VfPip *
vf_pip_new (VfStore *store, const VfInterpreter *interpreter, const VfDigest *package,
            const char *tmp_path, GError **error)
{
  g_autofree char *directory = provide_directory (store, package, error);
  if (!directory)
    return NULL;
  VfPip *pip = g_new0 (VfPip, 1);
  pip->interpreter = interpreter;
  pip->directory = g_steal_pointer (&directory);
  pip->tmp_path = g_strdup (tmp_path);
  return pip;
}

void
vf_pip_free (VfPip *pip)
{
  g_free (pip->directory);
  g_free (pip->tmp_path);
  g_free (pip);
}

static char **
make_environment (const VfPip *pip, gboolean needs_constraints)
{
  static const char *const unwanted[] = {"PIP_TARGET",  "PIP_PREFIX", "PIP_ROOT",     "PIP_USER",
                                         "PIP_PYTHON",  "PIP_REPORT", "PIP_QUIET",    "PIP_VERBOSE",
                                         "PIP_DRY_RUN", "PIP_DEST",   "PIP_WHEEL_DIR"};
  char **environment = g_get_environ ();
  for (gsize i = 0; i < G_N_ELEMENTS (unwanted); i++)
    environment = g_environ_unsetenv (environment, unwanted[i]);
  if (!needs_constraints)
    environment = g_environ_unsetenv (environment, "PIP_CONSTRAINT");
  environment = g_environ_setenv (environment, "PIP_REQUIRE_VIRTUALENV", "0", TRUE);
  environment = g_environ_setenv (environment, "PIP_DISABLE_PIP_VERSION_CHECK", "1", TRUE);
  environment = g_environ_setenv (environment, "PIP_NO_COLOR", "1", TRUE);
  environment = g_environ_setenv (environment, "PIP_PROGRESS_BAR", "off", TRUE);
  environment = g_environ_setenv (environment, "PYTHONIOENCODING", "utf-8", TRUE);
  /* What an interrupted pip leaves goes with the directory. */
  return g_environ_setenv (environment, "TMPDIR", pip->tmp_path, TRUE);
}

/* Hands the complete lines of @text from @from on to @on_line; returns where the next begins. */
static gsize
deliver_lines (GString *text, gsize from, VfPipLine on_line, gpointer user_data)
{
  for (;;) {
    char *newline = memchr (text->str + from, '\n', text->len - from);
    if (!newline)
      return from;
    *newline = '\0';
    if (on_line)
      on_line (text->str + from, user_data);
    *newline = '\n';
    from = (gsize)(newline - text->str) + 1;
  }
}

/* Until there is something to read, or the end. */
static void
tick (int fd, VfPipLine on_line, gpointer user_data)
{
  struct pollfd wait = {.fd = fd, .events = POLLIN};
  while (poll (&wait, 1, TICK_MSEC) == 0)
    on_line (NULL, user_data);
}

/* Reads to the end; what is beyond MAX_OUTPUT_BYTES is read and dropped. */
static void
read_output (int fd, GString *text, VfPipLine on_line, gpointer user_data)
{
  gsize delivered = 0;
  char buffer[16384];
  for (;;) {
    if (on_line)
      tick (fd, on_line, user_data);
    ssize_t n = read (fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return;
    if (text->len + (gsize)n > MAX_OUTPUT_BYTES)
      continue;
    g_string_append_len (text, buffer, n);
    delivered = deliver_lines (text, delivered, on_line, user_data);
  }
}

static int
wait_for (pid_t pid)
{
  int status = 0;
  while (waitpid (pid, &status, 0) < 0)
    if (errno != EINTR)
      return -1;
  return status;
}

/* Starts @argv with stdout (and stderr too, if @err_fd is -1) on a pipe, reads, waits. FALSE with
 * an error only if it could not be started or was interrupted; else *out_status is its. */
static gboolean
run_child (VfPip *pip, const char *const *argv, gboolean needs_constraints, int err_fd,
           VfPipLine on_line, gpointer user_data, GString *text, int *out_status, GError **error)
{
  int fds[2];
  if (pipe2 (fds, O_CLOEXEC) < 0)
    return vf_error_errno (error, errno, "pip: cannot make a pipe");
  VF_AUTOFD read_fd = fds[0];
  VF_AUTOFD write_fd = fds[1];
  g_auto (GStrv) environment = make_environment (pip, needs_constraints);
  GPid pid;
  g_autoptr (GError) cause = NULL;
  if (!vf_interrupt_check (error))
    return FALSE;
  if (!g_spawn_async_with_fds (NULL, (char **)argv, environment, G_SPAWN_DO_NOT_REAP_CHILD, NULL,
                               NULL, &pid, -1, write_fd, err_fd < 0 ? write_fd : err_fd, &cause))
    return vf_error_set (error, VF_ERROR_FAILED, "%s: cannot be started: %s", argv[0],
                         cause->message);
  vf_interrupt_add_child (pid);
  vf_fd_clear (&write_fd);
  read_output (read_fd, text, on_line, user_data);
  *out_status = wait_for (pid);
  vf_interrupt_remove_child (pid);
  return vf_interrupt_check (error);
}

/* pip tells only its log why it passed over an index. Puts these lines before @text. */
static void
prepend_passed_over (GString *text, const char *log_path)
{
  g_autofree char *log = NULL;
  if (!g_file_get_contents (log_path, &log, NULL, NULL))
    return;
  g_auto (GStrv) lines = g_strsplit (log, "\n", -1);
  for (gsize i = 0; lines[i]; i++)
    if (strstr (lines[i], "Could not fetch URL")) {
      g_string_prepend_c (text, '\n');
      g_string_prepend (text, lines[i]);
    }
}

gboolean
vf_pip_run (VfPip *pip, const char *const *arguments, gboolean needs_constraints, VfPipLine on_line,
            gpointer user_data, GError **error)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autofree char *log_path =
      g_strdup_printf ("%s/pip-%d.log", pip->tmp_path, g_atomic_int_add (&pip->n_runs, 1));
  const char *start[] = {pip->interpreter->executable,
                         "-I",
                         "-u",
                         "-c",
                         pip_start,
                         pip->directory,
                         arguments[0],
                         "--log",
                         log_path};
  for (gsize i = 0; i < G_N_ELEMENTS (start); i++)
    g_ptr_array_add (argv, (gpointer)start[i]);
  for (gsize i = 1; arguments[i]; i++)
    g_ptr_array_add (argv, (gpointer)arguments[i]);
  g_ptr_array_add (argv, NULL);

  g_autoptr (GString) text = g_string_new (NULL);
  int status;
  if (!run_child (pip, (const char *const *)argv->pdata, needs_constraints, -1, on_line, user_data,
                  text, &status, error))
    return FALSE;
  g_debug ("pip %s: status %d\n%s", arguments[0], status, text->str);
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return TRUE;
  if (WIFSIGNALED (status))
    return vf_error_set (error, VF_ERROR_FAILED, "%s: pip was ended by signal %d",
                         pip->interpreter->executable, WTERMSIG (status));
  prepend_passed_over (text, log_path);
  g_autofree char *python = g_strdup_printf ("Python %s", pip->interpreter->version);
  return vf_pip_explain (text->str, python, error);
}

/* Bytes of the files in @directory, those of directories in it not. */
static guint64
size_of_files (const char *directory)
{
  guint64 bytes = 0;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (directory, name, NULL);
    struct stat st;
    if (stat (path, &st) == 0 && S_ISREG (st.st_mode))
      bytes += (guint64)st.st_size;
  }
  return bytes;
}

guint64
vf_pip_downloaded_bytes (const VfPip *pip)
{
  guint64 bytes = 0;
  g_autoptr (GDir) dir = g_dir_open (pip->tmp_path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    if (!g_str_has_prefix (name, "pip-unpack-"))
      continue;
    g_autofree char *path = g_build_filename (pip->tmp_path, name, NULL);
    bytes += size_of_files (path);
  }
  return bytes;
}

gboolean
vf_pip_run_script (VfPip *pip, const char *source, const char *const *arguments, char **out_text,
                   GError **error)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  const char *start[] = {
      pip->interpreter->executable, "-I", "-c", script_start, pip->directory, source};
  for (gsize i = 0; i < G_N_ELEMENTS (start); i++)
    g_ptr_array_add (argv, (gpointer)start[i]);
  for (gsize i = 0; arguments[i]; i++)
    g_ptr_array_add (argv, (gpointer)arguments[i]);
  g_ptr_array_add (argv, NULL);

  g_autofree char *err_path = g_build_filename (pip->tmp_path, "script-stderr", NULL);
  VF_AUTOFD err_fd = open (err_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (err_fd < 0)
    return vf_error_errno (error, errno, "%s: cannot create", err_path);
  g_autoptr (GString) text = g_string_new (NULL);
  int status;
  if (!run_child (pip, (const char *const *)argv->pdata, TRUE, err_fd, NULL, NULL, text, &status,
                  error))
    return FALSE;
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0) {
    *out_text = g_string_free (g_steal_pointer (&text), FALSE);
    return TRUE;
  }
  g_autofree char *complaint = NULL;
  if (!g_file_get_contents (err_path, &complaint, NULL, NULL))
    complaint = g_strdup ("");
  g_strchomp (complaint);
  const char *last = strrchr (complaint, '\n');
  return vf_error_set (error, VF_ERROR_INVALID, "%s", last ? last + 1 : complaint);
}

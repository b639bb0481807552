/* Starts a Python with the probe script and turns its line of JSON into a VfInterpreter.
 *
 * The script travels as an argument, the answer is the last line that begins with the mark, so
 * whatever a wrapper prints does no harm. The child has a process group of its own, which is
 * killed at the deadline, and dies with this thread. Which fields there are is said here once. */
#include "layers/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/error.h"

#define MAX_OUTPUT_BYTES (4u << 20)
#define MARK             "venvfs-probe: "

static const char script[] =
#include "layers/probe.py.inc"
    ;

#define FIELD(name, optional)                                                                      \
  {                                                                                                \
#name, G_STRUCT_OFFSET(VfInterpreter, name), optional                                          \
  }
const VfInterpreterField vf_interpreter_fields[] = {
    FIELD (executable, FALSE),   FIELD (stdlib, FALSE),    FIELD (implementation, FALSE),
    FIELD (version_info, FALSE), FIELD (cache_tag, FALSE), FIELD (bytecode_magic, FALSE),
    FIELD (lib_name, FALSE),     FIELD (purelib, FALSE),   FIELD (platlib, FALSE),
    FIELD (scripts, FALSE),      FIELD (data, FALSE),      FIELD (headers, FALSE),
    FIELD (ensurepip_dir, TRUE),
};
const gsize vf_interpreter_n_fields = G_N_ELEMENTS (vf_interpreter_fields);

void
vf_interpreter_free (VfInterpreter *interpreter)
{
  if (!interpreter)
    return;
  for (gsize i = 0; i < vf_interpreter_n_fields; i++)
    g_free (*vf_interpreter_string (interpreter, &vf_interpreter_fields[i]));
  g_free (interpreter->real_executable);
  g_free (interpreter->home);
  g_free (interpreter->version);
  g_free (interpreter->probe_id);
  g_strfreev (interpreter->names);
  g_strfreev (interpreter->tags);
  g_free (interpreter);
}

typedef struct {
  GPid pid;
  int out_fd, err_fd;
  GString *out, *err;
} Child;

static void
child_clear (Child *child)
{
  vf_fd_clear (&child->out_fd);
  vf_fd_clear (&child->err_fd);
  if (child->out)
    g_string_free (child->out, TRUE);
  if (child->err)
    g_string_free (child->err, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Child, child_clear)

static void
prepare_child (gpointer unused)
{
  setpgid (0, 0);
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

char **
vf_probe_environment (void)
{
  char **env = g_get_environ ();
  char **names = g_listenv ();
  for (char **name = names; *name; name++)
    if (g_str_has_prefix (*name, "PYTHON") || strcmp (*name, "__PYVENV_LAUNCHER__") == 0 ||
        strcmp (*name, "SOURCE_DATE_EPOCH") == 0)
      env = g_environ_unsetenv (env, *name);
  g_strfreev (names);
  return g_environ_setenv (env, "LC_ALL", "C.UTF-8", TRUE);
}

static gboolean
start (Child *child, const char *path, GError **error)
{
  const char *argv[] = {path, "-E", "-s", "-S", "-B", "-c", script, NULL};
  g_auto (GStrv) env = vf_probe_environment ();
  g_autoptr (GError) local = NULL;
  VF_AUTOFD null_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  int out[2], err[2];
  if (null_fd < 0 || pipe2 (out, O_CLOEXEC) < 0)
    return vf_error_errno (error, errno, "%s: cannot start", path);
  child->out_fd = out[0];
  VF_AUTOFD out_write = out[1];
  if (pipe2 (err, O_CLOEXEC) < 0)
    return vf_error_errno (error, errno, "%s: cannot start", path);
  child->err_fd = err[0];
  VF_AUTOFD err_write = err[1];
  if (!g_spawn_async_with_pipes_and_fds (
          NULL, argv, (const char *const *)env, G_SPAWN_DO_NOT_REAP_CHILD, prepare_child, NULL,
          null_fd, out_write, err_write, NULL, NULL, 0, &child->pid, NULL, NULL, NULL, &local))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: does not start: %s", path, local->message);
  return TRUE;
}

/* Reads what there is; closes the descriptor at its end. FALSE when it is too much. */
static gboolean
take_output (int *fd, short revents, GString *text)
{
  if (!revents)
    return TRUE;
  char buffer[65536];
  ssize_t n = read (*fd, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR)
    return TRUE;
  if (n <= 0) {
    vf_fd_clear (fd);
    return TRUE;
  }
  g_string_append_len (text, buffer, n);
  return text->len <= MAX_OUTPUT_BYTES;
}

static gboolean
read_output (Child *child, const char *path, gint64 timeout_usec, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + timeout_usec;
  while (child->out_fd >= 0 || child->err_fd >= 0) {
    gint64 left_usec = deadline - g_get_monotonic_time ();
    struct pollfd fds[] = {{child->out_fd, POLLIN, 0}, {child->err_fd, POLLIN, 0}};
    if (left_usec <= 0)
      return vf_error_set (error, VF_ERROR_INVALID,
                           "%s: does not answer; is it a Python interpreter?", path);
    if (poll (fds, 2, (int)(left_usec / 1000) + 1) < 0 && errno != EINTR)
      return vf_error_errno (error, errno, "%s: cannot read its answer", path);
    if (!take_output (&child->out_fd, fds[0].revents, child->out) ||
        !take_output (&child->err_fd, fds[1].revents, child->err))
      return vf_error_set (error, VF_ERROR_INVALID, "%s: does not answer like a Python interpreter",
                           path);
  }
  return TRUE;
}

/* What the child said last on stderr, for the message; may be empty. */
static char *
last_words (const GString *err)
{
  g_auto (GStrv) lines = g_strsplit (err->str, "\n", -1);
  for (guint i = g_strv_length (lines); i-- > 0;)
    if (*g_strstrip (lines[i])) {
      g_autofree char *valid = g_utf8_make_valid (lines[i], -1);
      return g_strdup_printf (": %.300s", valid);
    }
  return g_strdup ("");
}

static gboolean
check_status (int status, const Child *child, const char *path, GError **error)
{
  g_autofree char *words = last_words (child->err);
  if (WIFSIGNALED (status))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: does not start, killed by signal %d%s", path,
                         WTERMSIG (status), words);
  if (WEXITSTATUS (status) != 0)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: does not work as a Python interpreter, exit status %d%s", path,
                         WEXITSTATUS (status), words);
  return TRUE;
}

/* The text of the last marked line, inside @child->out. */
static char *
find_answer (Child *child, const char *path, GError **error)
{
  char *found = g_strrstr_len (child->out->str, (gssize)child->out->len, "\n" MARK);
  if (!found || strlen (child->out->str) != child->out->len) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: does not answer like a Python interpreter", path);
    return NULL;
  }
  found += strlen ("\n" MARK);
  found[strcspn (found, "\n")] = '\0';
  return found;
}

static const char *
member_string (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);
  gboolean is_string =
      node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
  return is_string ? json_node_get_string (node) : NULL;
}

static gint64
member_int (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);
  gboolean is_int =
      node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64;
  return is_int ? CLAMP (json_node_get_int (node), -1, 1 << 20) : -1;
}

/* NULL unless @name is an array of strings none of which is empty. */
static char **
member_strings (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);
  if (!node || !JSON_NODE_HOLDS_ARRAY (node))
    return NULL;
  JsonArray *array = json_node_get_array (node);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonNode *element = json_array_get_element (array, i);
    if (!JSON_NODE_HOLDS_VALUE (element) || json_node_get_value_type (element) != G_TYPE_STRING ||
        !*json_node_get_string (element))
      return NULL;
    g_strv_builder_add (builder, json_node_get_string (element));
  }
  return g_strv_builder_end (builder);
}

/* What other code relies on without asking again. */
static gboolean
is_sane (const VfInterpreter *interpreter)
{
  const char *relative[] = {interpreter->purelib, interpreter->platlib, interpreter->scripts,
                            interpreter->lib_name, interpreter->headers};
  for (gsize i = 0; i < G_N_ELEMENTS (relative); i++)
    if (!*relative[i] || *relative[i] == '/' || strstr (relative[i], ".."))
      return FALSE;
  for (char **name = interpreter->names; *name; name++)
    if (strchr (*name, '/'))
      return FALSE;
  return interpreter->names[0] && g_path_is_absolute (interpreter->executable) &&
         g_path_is_absolute (interpreter->stdlib) && !strpbrk (interpreter->executable, "\r\n") &&
         *interpreter->cache_tag && !strpbrk (interpreter->cache_tag, "/\r\n") &&
         interpreter->cache_tag[0] != '.' && strlen (interpreter->bytecode_magic) == 8 &&
         strspn (interpreter->bytecode_magic, "0123456789abcdef") == 8;
}

static gboolean
parse_fields (VfInterpreter *interpreter, JsonObject *object)
{
  for (gsize i = 0; i < vf_interpreter_n_fields; i++) {
    const VfInterpreterField *field = &vf_interpreter_fields[i];
    const char *value = member_string (object, field->name);
    if (!value && !field->optional)
      return FALSE;
    *vf_interpreter_string (interpreter, field) = g_strdup (value);
  }
  interpreter->lib64 = json_object_get_boolean_member_with_default (object, "lib64", FALSE);
  interpreter->names = member_strings (object, "names");
  interpreter->tags = member_strings (object, "tags");
  return interpreter->names && interpreter->tags && is_sane (interpreter);
}

static VfInterpreter *
parse_answer (const char *text, const char *path, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!json_parser_load_from_data (parser, text, -1, NULL) ||
      !JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser))) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: does not answer like a Python interpreter", path);
    return NULL;
  }
  JsonObject *object = json_node_get_object (json_parser_get_root (parser));
  g_autoptr (VfInterpreter) interpreter = g_new0 (VfInterpreter, 1);
  interpreter->major = (int)member_int (object, "major");
  interpreter->minor = (int)member_int (object, "minor");
  interpreter->micro = (int)member_int (object, "micro");
  interpreter->version =
      g_strdup_printf ("%d.%d.%d", interpreter->major, interpreter->minor, interpreter->micro);
  if (interpreter->major < 3 || (interpreter->major == 3 && interpreter->minor < 8)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: is Python %s, but 3.8 or newer is needed", path,
                  interpreter->version);
    return NULL;
  }
  if (!parse_fields (interpreter, object)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: Python %s answers something that is not understood",
                  path, interpreter->version);
    return NULL;
  }
  return g_steal_pointer (&interpreter);
}

VfInterpreter *
vf_probe_run (const char *path, gint64 timeout_usec, GError **error)
{
  g_auto (Child) child = {0, -1, -1, g_string_new (NULL), g_string_new (NULL)};
  if (!start (&child, path, error))
    return NULL;
  gboolean answered = read_output (&child, path, timeout_usec, error);
  if (!answered) {
    /* The group may not exist yet when the child has not run: then the child alone. */
    if (kill (-child.pid, SIGKILL) < 0)
      kill (child.pid, SIGKILL);
  }
  int status = 0;
  while (waitpid (child.pid, &status, 0) < 0 && errno == EINTR)
    ;
  if (!answered || !check_status (status, &child, path, error))
    return NULL;
  const char *text = find_answer (&child, path, error);
  return text ? parse_answer (text, path, error) : NULL;
}

const char *
vf_probe_script_id (void)
{
  static gsize once;
  static char hex[VF_DIGEST_HEX + 1];
  if (g_once_init_enter (&once)) {
    VfDigest digest;
    vf_digest_of (script, strlen (script), &digest);
    vf_digest_to_hex (&digest, hex);
    g_once_init_leave (&once, 1);
  }
  return hex;
}

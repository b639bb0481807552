/* From a path that a user names to one VfInterpreter, by cache where possible.
 *
 * Order: a virtual environment's python is followed to its base by pyvenv.cfg, without starting it
 * (its base may be gone); a script is started, uncached, since what a shim starts depends on the
 * current directory; a binary is answered from interpreters/<hash of its path>, a key file whose
 * [key] group must match the binary and its standard library as they are now. A cache entry that
 * is damaged or old is made anew. */
#include "layers/interpreter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/probe.h"

#define MAX_CACHE_BYTES (4u << 20)
#define MAX_HOPS        8 /* environment made from a shim made from an environment … */

/* Fills in what follows from the rest. */
static gboolean
complete (VfInterpreter *interpreter, GError **error)
{
  char *real = realpath (interpreter->executable, NULL);
  if (!real)
    return vf_error_errno (error, errno, "%s: cannot resolve", interpreter->executable);
  interpreter->real_executable = g_strdup (real);
  free (real);
  interpreter->home = g_path_get_dirname (interpreter->executable);
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  for (gsize i = 0; i < vf_interpreter_n_fields; i++) {
    const char *value = *vf_interpreter_string (interpreter, &vf_interpreter_fields[i]);
    vf_hasher_update (hasher, value ? value : "\1", (value ? strlen (value) : 1) + 1);
  }
  vf_hasher_update (hasher, interpreter->real_executable,
                    strlen (interpreter->real_executable) + 1);
  vf_hasher_update (hasher, interpreter->lib64 ? "1" : "0", 2);
  char **lists[] = {interpreter->names, interpreter->tags};
  for (gsize i = 0; i < G_N_ELEMENTS (lists); i++) {
    for (char **item = lists[i]; *item; item++)
      vf_hasher_update (hasher, *item, strlen (*item) + 1);
    vf_hasher_update (hasher, "", 1);
  }
  VfDigest digest;
  vf_hasher_finish (hasher, &digest);
  interpreter->probe_id = vf_digest_path ("", &digest);
  return TRUE;
}

/* What must be unchanged for a cached answer to count, as text. The standard library's directory
 * tells when ensurepip comes or goes; tags depend on the C library too. */
static char *
cache_key (const char *path, const struct stat *st, const char *stdlib)
{
  struct stat library = {0};
  char libc[64] = "";
#ifdef _CS_GNU_LIBC_VERSION
  confstr (_CS_GNU_LIBC_VERSION, libc, sizeof libc);
#endif
  if (stat (stdlib, &library) < 0)
    return NULL;
  return g_strdup_printf ("%s %" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT " %" G_GINT64_FORMAT
                          " %ld.%09ld %ld.%09ld %" G_GUINT64_FORMAT " %ld.%09ld %s %s",
                          vf_probe_script_id (), (guint64)st->st_dev, (guint64)st->st_ino,
                          (gint64)st->st_size, (long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                          (long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, (guint64)library.st_ino,
                          (long)library.st_mtim.tv_sec, library.st_mtim.tv_nsec, libc, path);
}

static char *
cache_name (const char *path)
{
  VfDigest digest;
  vf_digest_of (path, strlen (path), &digest);
  return vf_digest_path ("interpreters/", &digest);
}

/* A list as one line: tags and names hold no space. */
static char **
get_list (GKeyFile *file, const char *name)
{
  g_autofree char *line = g_key_file_get_value (file, "interpreter", name, NULL);
  if (!line)
    return NULL;
  return *line ? g_strsplit (line, " ", -1) : g_new0 (char *, 1);
}

static gboolean
read_fields (GKeyFile *file, VfInterpreter *interpreter)
{
  for (gsize i = 0; i < vf_interpreter_n_fields; i++) {
    const VfInterpreterField *field = &vf_interpreter_fields[i];
    char *value = g_key_file_get_string (file, "interpreter", field->name, NULL);
    *vf_interpreter_string (interpreter, field) = value;
    if (!value && !field->optional)
      return FALSE;
  }
  interpreter->names = get_list (file, "names");
  interpreter->tags = get_list (file, "tags");
  interpreter->lib64 = g_key_file_get_boolean (file, "interpreter", "lib64", NULL);
  interpreter->version = g_key_file_get_string (file, "interpreter", "version", NULL);
  return interpreter->names && interpreter->tags && interpreter->version &&
         sscanf (interpreter->version, "%d.%d.%d", &interpreter->major, &interpreter->minor,
                 &interpreter->micro) == 3;
}

static VfInterpreter *
load_cached (VfStore *store, const char *path, const struct stat *st)
{
  g_autofree char *name = cache_name (path);
  g_autoptr (GBytes) bytes = vf_read_file (vf_store_fd (store), name, MAX_CACHE_BYTES, name, NULL);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  if (!bytes || !g_key_file_load_from_bytes (file, bytes, G_KEY_FILE_NONE, NULL))
    return NULL;
  g_autoptr (VfInterpreter) interpreter = g_new0 (VfInterpreter, 1);
  if (!read_fields (file, interpreter))
    return NULL;
  g_autofree char *stored = g_key_file_get_string (file, "key", "key", NULL);
  g_autofree char *stored_id = g_key_file_get_string (file, "key", "probe-id", NULL);
  g_autofree char *now = cache_key (path, st, interpreter->stdlib);
  if (!now || g_strcmp0 (stored, now) != 0 || !complete (interpreter, NULL) ||
      g_strcmp0 (stored_id, interpreter->probe_id) != 0)
    return NULL;
  return g_steal_pointer (&interpreter);
}

static gboolean
save_cached (VfStore *store, const char *path, const struct stat *st, VfInterpreter *interpreter,
             GError **error)
{
  g_autofree char *key = cache_key (path, st, interpreter->stdlib);
  if (!key)
    return TRUE;
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_key_file_set_string (file, "key", "key", key);
  g_key_file_set_string (file, "key", "probe-id", interpreter->probe_id);
  for (gsize i = 0; i < vf_interpreter_n_fields; i++) {
    const char *value = *vf_interpreter_string (interpreter, &vf_interpreter_fields[i]);
    if (value)
      g_key_file_set_string (file, "interpreter", vf_interpreter_fields[i].name, value);
  }
  g_autofree char *names = g_strjoinv (" ", interpreter->names);
  g_autofree char *tags = g_strjoinv (" ", interpreter->tags);
  g_key_file_set_value (file, "interpreter", "names", names);
  g_key_file_set_value (file, "interpreter", "tags", tags);
  g_key_file_set_boolean (file, "interpreter", "lib64", interpreter->lib64);
  g_key_file_set_string (file, "interpreter", "version", interpreter->version);
  gsize length = 0;
  g_autofree char *data = g_key_file_to_data (file, &length, NULL);
  g_autofree char *name = cache_name (path);
  return vf_replace_file (vf_store_fd (store), name, 0644, data, length, name, error);
}

/* The value of @key in the text of a pyvenv.cfg, or NULL; keys are case-insensitive as in site. */
static char *
config_value (const char *text, const char *key)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++) {
    char *equals = strchr (*line, '=');
    if (!equals)
      continue;
    *equals = '\0';
    if (g_ascii_strcasecmp (g_strstrip (*line), key) == 0)
      return g_strdup (g_strstrip (equals + 1));
  }
  return NULL;
}

/* The text of the pyvenv.cfg beside @path or above its directory; NULL if there is none. */
static char *
read_config (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  g_autofree char *above = g_path_get_dirname (directory);
  const char *places[] = {directory, above};
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++) {
    g_autofree char *file = g_build_filename (places[i], "pyvenv.cfg", NULL);
    g_autoptr (GBytes) bytes = vf_read_file (AT_FDCWD, file, 65536, file, NULL);
    if (bytes)
      return g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  }
  return NULL;
}

static gboolean
is_executable_file (const char *path)
{
  struct stat st;
  return stat (path, &st) == 0 && S_ISREG (st.st_mode) && access (path, X_OK) == 0;
}

/* Sets @out_base to what the virtual environment that @path is of was made from, NULL if it is of
 * none. */
static gboolean
find_base (const char *path, char **out_base, GError **error)
{
  *out_base = NULL;
  g_autofree char *config = read_config (path);
  g_autofree char *home = config ? config_value (config, "home") : NULL;
  if (!home || !*home)
    return TRUE;
  g_autofree char *version = config_value (config, "version");
  if (!version)
    version = config_value (config, "version_info");
  guint major = 3, minor = 0;
  gboolean has_version = version && sscanf (version, "%u.%u", &major, &minor) == 2;
  g_autofree char *by_version =
      has_version ? g_strdup_printf ("python%u.%u", major, minor) : g_path_get_basename (path);
  g_autofree char *own_name = g_path_get_basename (path);
  g_autofree char *stated = config_value (config, "base-executable");
  g_autofree char *executable = config_value (config, "executable");
  const char *names[] = {stated, by_version, own_name, "python3", "python", executable};
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *candidate = names[i] ? g_build_filename (home, names[i], NULL) : NULL;
    if (names[i] && g_path_is_absolute (names[i])) {
      g_free (candidate);
      candidate = g_strdup (names[i]);
    }
    if (candidate && strcmp (candidate, path) != 0 && is_executable_file (candidate)) {
      *out_base = g_steal_pointer (&candidate);
      return TRUE;
    }
  }
  return vf_error_set (error, VF_ERROR_INVALID,
                       "%s: belongs to a virtual environment whose base Python is gone (%s)", path,
                       home);
}

static gboolean
check_file (const char *path, struct stat *out_st, GError **error)
{
  if (stat (path, out_st) < 0)
    return errno == ENOENT || errno == ENOTDIR
               ? vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: no such Python interpreter", path)
               : vf_error_errno (error, errno, "%s: cannot use as a Python interpreter", path);
  if (S_ISDIR (out_st->st_mode))
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: a directory; name the Python interpreter in it", path);
  if (!S_ISREG (out_st->st_mode) || access (path, X_OK) < 0)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: not an executable file", path);
  return TRUE;
}

static gboolean
is_script (const char *path)
{
  char start[2] = "";
  VF_AUTOFD fd = open (path, O_RDONLY | O_CLOEXEC);
  return fd >= 0 && read (fd, start, 2) == 2 && start[0] == '#' && start[1] == '!';
}

static VfInterpreter *
probe_binary (VfStore *store, const char *path, const struct stat *st, GError **error)
{
  g_autoptr (VfInterpreter) interpreter = load_cached (store, path, st);
  if (interpreter)
    return g_steal_pointer (&interpreter);
  interpreter = vf_probe_run (path, VF_PROBE_TIMEOUT_USEC, error);
  if (!interpreter || !complete (interpreter, error) ||
      !save_cached (store, path, st, interpreter, error))
    return NULL;
  return g_steal_pointer (&interpreter);
}

VfInterpreter *
vf_interpreter_probe (VfStore *store, const char *executable, GError **error)
{
  g_autofree char *path = g_canonicalize_filename (executable, NULL);
  for (int hops = 0; hops < MAX_HOPS; hops++) {
    struct stat st;
    g_autofree char *base = NULL;
    if (!find_base (path, &base, error))
      return NULL;
    if (base) {
      g_free (path);
      path = g_steal_pointer (&base);
      continue;
    }
    if (!check_file (path, &st, error))
      return NULL;
    if (!is_script (path))
      return probe_binary (store, path, &st, error);
    g_autoptr (VfInterpreter) started = vf_probe_run (path, VF_PROBE_TIMEOUT_USEC, error);
    if (!started)
      return NULL;
    if (strcmp (started->executable, path) == 0)
      return complete (started, error) ? g_steal_pointer (&started) : NULL;
    g_free (path);
    path = g_strdup (started->executable);
  }
  vf_error_set (error, VF_ERROR_INVALID, "%s: leads from one Python to another without end",
                executable);
  return NULL;
}

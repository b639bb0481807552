#include "tools/find-python.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"

#define MAX_VERSION_FILE_BYTES 4096
#define OLDEST_MAJOR           3
#define OLDEST_MINOR           8

gboolean
vf_find_python_is_version (const char *request)
{
  const char *p = request;
  for (int part = 0; part < 3; part++) {
    if (!g_ascii_isdigit (*p))
      return FALSE;
    while (g_ascii_isdigit (*p))
      p++;
    if (*p != '.')
      break;
    p++;
  }
  return *p == '\0' || strcmp (p, "t") == 0;
}

gboolean
vf_find_python_matches (const char *request, const char *version, gboolean free_threaded)
{
  gsize length = strlen (request);
  gboolean wants_free_threaded = length > 0 && request[length - 1] == 't';
  if (wants_free_threaded)
    length--;
  if (wants_free_threaded != free_threaded || strncmp (version, request, length) != 0)
    return FALSE;
  return version[length] == '\0' || version[length] == '.';
}

/* "python3.13", "cpython-3.13", "cpython@3.13": the version in it, else NULL. */
static const char *
version_in_name (const char *name)
{
  static const char *const prefixes[] = {"cpython-", "cpython@", "cpython", "python-",
                                         "python@",  "python",   ""};
  for (gsize i = 0; i < G_N_ELEMENTS (prefixes); i++)
    if (g_str_has_prefix (name, prefixes[i]) &&
        vf_find_python_is_version (name + strlen (prefixes[i])))
      return name + strlen (prefixes[i]);
  return NULL;
}

static gboolean
is_path (const char *request)
{
  return strchr (request, '/') || strcmp (request, ".") == 0 || strcmp (request, "..") == 0;
}

static gboolean
is_executable (const char *path)
{
  struct stat st;
  return stat (path, &st) == 0 && S_ISREG (st.st_mode) && access (path, X_OK) == 0;
}

/* Adds @path if it can be executed and is not there yet; takes it over. */
static void
add_candidate (GPtrArray *candidates, char *path)
{
  if (is_executable (path) &&
      !g_ptr_array_find_with_equal_func (candidates, path, g_str_equal, NULL))
    g_ptr_array_add (candidates, path);
  else
    g_free (path);
}

static char *
pyenv_root (void)
{
  const char *root = g_getenv ("PYENV_ROOT");
  return root && *root ? g_strdup (root) : g_build_filename (g_get_home_dir (), ".pyenv", NULL);
}

/* The versions in the file @path, which may be a link, as pyenv reads it: the first word of each
 * line that is no comment. NULL if it cannot be read. */
static char **
read_versions (const char *path)
{
  g_autofree char *real = realpath (path, NULL);
  g_autoptr (GBytes) bytes =
      real ? vf_read_file (AT_FDCWD, real, MAX_VERSION_FILE_BYTES, path, NULL) : NULL;
  if (!bytes)
    return NULL;
  g_auto (GStrv) lines = g_strsplit_set (g_bytes_get_data (bytes, NULL), "\r\n", -1);
  g_autoptr (GStrvBuilder) versions = g_strv_builder_new ();
  for (gsize i = 0; lines[i]; i++) {
    char *line = g_strchug (lines[i]);
    line[strcspn (line, " \t")] = '\0';
    if (*line && *line != '#')
      g_strv_builder_add (versions, line);
  }
  return g_strv_builder_end (versions);
}

/* Of the first .python-version in the current directory or above, else NULL. */
static char **
read_version_file (char **out_path)
{
  g_autofree char *directory = g_get_current_dir ();
  for (;;) {
    g_autofree char *path = g_build_filename (directory, ".python-version", NULL);
    char **versions = read_versions (path);
    if (versions) {
      *out_path = g_steal_pointer (&path);
      return versions;
    }
    if (strcmp (directory, "/") == 0)
      return NULL;
    char *parent = g_path_get_dirname (directory);
    g_free (directory);
    directory = parent;
  }
}

/* The versions that pyenv would use here, as its own `version-name` finds them; may be NULL. */
static char **
pyenv_selected (const char *root)
{
  const char *chosen = g_getenv ("PYENV_VERSION");
  if (chosen && *chosen)
    return g_strsplit (chosen, ":", -1);
  g_autofree char *local = NULL;
  char **versions = read_version_file (&local);
  if (versions)
    return versions;
  g_autofree char *path = g_build_filename (root, "version", NULL);
  return read_versions (path);
}

static gint
compare_versions_descending (gconstpointer a, gconstpointer b)
{
  return strverscmp (*(const char *const *)b, *(const char *const *)a);
}

/* Names in @directory that begin with @prefix and no digit or letter after it ("3.1" is not the
 * beginning of "3.13.0"), the newest first. */
static GPtrArray *
list_versions (const char *directory, const char *prefix)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;
  gsize length = strlen (prefix);
  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_prefix (name, prefix) && (length == 0 || !g_ascii_isalnum (name[length])))
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_versions_descending);
  return names;
}

/* What the shim of @name in pyenv's @root runs here, else NULL. */
static char *
resolve_shim (const char *root, const char *name)
{
  g_auto (GStrv) selected = pyenv_selected (root);
  g_autofree char *versions = g_build_filename (root, "versions", NULL);
  for (gsize i = 0; selected && selected[i]; i++) {
    if (!*selected[i] || strchr (selected[i], '/'))
      continue;
    g_autoptr (GPtrArray) matching = list_versions (versions, selected[i]);
    for (guint j = 0; j < matching->len; j++) {
      g_autofree char *path = g_build_filename (versions, matching->pdata[j], "bin", name, NULL);
      if (is_executable (path))
        return g_steal_pointer (&path);
    }
  }
  return NULL;
}

/* Every @name in the directories of PATH; shims of pyenv stand for what they run. */
static void
add_from_path (GPtrArray *candidates, const char *name)
{
  const char *path = g_getenv ("PATH");
  g_auto (GStrv) directories = g_strsplit (path ? path : "/usr/local/bin:/usr/bin", ":", -1);
  g_autofree char *root = pyenv_root ();
  g_autofree char *shims = g_build_filename (root, "shims", NULL);
  for (gsize i = 0; directories[i]; i++) {
    if (!g_path_is_absolute (directories[i]))
      continue; /* an executable of the current directory is never meant */
    g_autofree char *directory = g_canonicalize_filename (directories[i], NULL);
    char *found = strcmp (directory, shims) == 0 ? resolve_shim (root, name)
                                                 : g_build_filename (directory, name, NULL);
    if (found)
      add_candidate (candidates, found);
  }
}

/* The executable of an installation or a virtual environment at @prefix. */
static void
add_from_prefix (GPtrArray *candidates, const char *prefix)
{
  add_candidate (candidates, g_build_filename (prefix, "bin", "python3", NULL));
  if (candidates->len == 0)
    add_candidate (candidates, g_build_filename (prefix, "bin", "python", NULL));
}

/* DIR/<name>/bin/python<X.Y> for every name of @directory that begins with @prefix. */
static void
add_installations (GPtrArray *candidates, const char *directory, const char *prefix)
{
  g_autoptr (GPtrArray) names = list_versions (directory, prefix);
  for (guint i = 0; i < names->len; i++)
    add_candidate (candidates,
                   g_build_filename (directory, names->pdata[i], "bin", "python3", NULL));
}

static void
add_by_version (GPtrArray *candidates, const char *version)
{
  g_auto (GStrv) parts = g_strsplit (version, ".", 3);
  gsize n = g_strv_length (parts);
  gboolean free_threaded = g_str_has_suffix (version, "t");
  g_autofree char *bare = g_strndup (version, strlen (version) - free_threaded);
  g_autofree char *name = n < 2 ? g_strdup_printf ("python%s", bare)
                                : g_strdup_printf ("python%s.%s%s", parts[0], parts[1],
                                                   free_threaded && n > 2 ? "t" : "");
  add_from_path (candidates, name);
  add_from_path (candidates, "python3");
  add_from_path (candidates, "python");

  g_autofree char *root = pyenv_root ();
  g_autofree char *pyenv = g_build_filename (root, "versions", NULL);
  add_installations (candidates, pyenv, bare);

  const char *uv = g_getenv ("UV_PYTHON_INSTALL_DIR");
  g_autofree char *uv_directory =
      uv && *uv ? g_strdup (uv) : g_build_filename (g_get_user_data_dir (), "uv", "python", NULL);
  g_autofree char *uv_prefix = g_strconcat ("cpython-", bare, NULL);
  add_installations (candidates, uv_directory, uv_prefix);

  add_candidate (candidates, g_build_filename ("/usr/local/bin", name, NULL));
  add_candidate (candidates, g_build_filename ("/usr/bin", name, NULL));
  if (n >= 2) {
    g_autofree char *tag = g_strdup_printf ("cp%s%s", parts[0], parts[1]);
    add_installations (candidates, "/opt/python", tag);
  }
}

/* The first version of .python-version, if there is one here or above. pyenv's "system" is what
 * there would be without one. The caller frees both. */
static char *
pinned_request (char **out_path)
{
  g_auto (GStrv) versions = read_version_file (out_path);
  return versions && versions[0] && strcmp (versions[0], "system") != 0 ? g_strdup (versions[0])
                                                                        : NULL;
}

GPtrArray *
vf_find_python_candidates (const char *request)
{
  GPtrArray *candidates = g_ptr_array_new_with_free_func (g_free);
  if (!request) {
    add_from_path (candidates, "python3");
    add_from_path (candidates, "python");
    return candidates;
  }
  if (is_path (request)) {
    g_autofree char *path = g_canonicalize_filename (request, NULL);
    if (g_file_test (path, G_FILE_TEST_IS_DIR))
      add_from_prefix (candidates, path);
    else
      add_candidate (candidates, g_steal_pointer (&path));
    return candidates;
  }
  const char *version = version_in_name (request);
  if (version != request)
    add_from_path (candidates, request);
  if (version)
    add_by_version (candidates, version);
  g_autofree char *root = pyenv_root ();
  g_autofree char *prefix = g_build_filename (root, "versions", request, NULL);
  add_candidate (candidates, g_build_filename (prefix, "bin", "python3", NULL));
  if (candidates->len == 0) {
    g_autofree char *here = g_canonicalize_filename (request, NULL);
    add_from_prefix (candidates, here);
  }
  return candidates;
}

/* A script in the place of a python (a shim of asdf, a wrapper) runs another one, which it names
 * here; anything else is itself. */
static char *
resolve_script (const char *path)
{
  char magic[2] = {0};
  VF_AUTOFD fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read (fd, magic, 2) != 2 || memcmp (magic, "#!", 2) != 0)
    return g_strdup (path);
  const char *argv[] = {path, "-I", "-c", "import sys; print(sys.executable)", NULL};
  g_autofree char *answer = NULL;
  int status = 0;
  if (!g_spawn_sync (NULL, (char **)argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &answer,
                     NULL, &status, NULL) ||
      !g_spawn_check_wait_status (status, NULL))
    return g_strdup (path);
  g_strchomp (answer);
  return g_strdup (g_path_is_absolute (answer) && is_executable (answer) ? answer : path);
}

/* "3.8.18, 3.13.0": the versions that are in the usual places. The caller frees. */
static char *
versions_here (VfStore *store)
{
  g_autoptr (GPtrArray) candidates = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) versions = g_ptr_array_new_with_free_func (g_free);
  add_by_version (candidates, "3");
  for (int minor = 8; minor < 20; minor++) {
    g_autofree char *version = g_strdup_printf ("3.%d", minor);
    add_by_version (candidates, version);
  }
  for (guint i = 0; i < candidates->len; i++) {
    g_autofree char *path = resolve_script (candidates->pdata[i]);
    g_autoptr (VfInterpreter) interpreter = vf_interpreter_probe (store, path, NULL);
    if (interpreter &&
        !g_ptr_array_find_with_equal_func (versions, interpreter->version, g_str_equal, NULL))
      g_ptr_array_add (versions, g_strdup (interpreter->version));
  }
  g_ptr_array_sort (versions, compare_versions_descending);
  g_ptr_array_add (versions, NULL);
  return g_strjoinv (", ", (char **)versions->pdata);
}

/* "2.7", "3.7.16": of which there may well be one, but none to use. */
static gboolean
is_too_old (const char *version)
{
  unsigned major = 0, minor = 0;
  int n = sscanf (version, "%u.%u", &major, &minor);
  return major < OLDEST_MAJOR || (n == 2 && major == OLDEST_MAJOR && minor < OLDEST_MINOR);
}

static gboolean
report_not_found (VfStore *store, const char *request, const char *version, GError **error)
{
  if (request && is_path (request))
    return vf_error_set (error, VF_ERROR_NOT_FOUND,
                         "%s: no Python here; give an executable or a directory with bin/python",
                         request);
  g_autofree char *here = versions_here (store);
  if (version && is_too_old (version))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: Python 3.8 or newer is needed; %s%s",
                         request, *here ? "there are " : "there is none", here);
  return vf_error_set (error, VF_ERROR_NOT_FOUND,
                       "%s: no such Python was found; %s%s; install it, or give its path with "
                       "--python",
                       request ? request : "python3", *here ? "there are " : "there is none", here);
}

static gboolean
is_free_threaded (const VfInterpreter *interpreter)
{
  return g_str_has_suffix (interpreter->lib_name, "t");
}

static VfInterpreter *
find (VfStore *store, const char *request, GError **error)
{
  g_autoptr (GPtrArray) candidates = vf_find_python_candidates (request);
  const char *version = request && !is_path (request) ? version_in_name (request) : NULL;
  if (version && is_too_old (version)) {
    report_not_found (store, request, version, error);
    return NULL;
  }
  g_autoptr (GError) first = NULL;
  for (guint i = 0; i < candidates->len; i++) {
    g_autofree char *path = resolve_script (candidates->pdata[i]);
    g_autoptr (VfInterpreter) interpreter =
        vf_interpreter_probe (store, path, first ? NULL : &first);
    if (interpreter && (!version || vf_find_python_matches (version, interpreter->version,
                                                            is_free_threaded (interpreter))))
      return g_steal_pointer (&interpreter);
    if (!interpreter && !version)
      break; /* the one that was meant does not work */
  }
  if (first)
    g_propagate_error (error, g_steal_pointer (&first));
  else
    report_not_found (store, request, version, error);
  return NULL;
}

VfInterpreter *
vf_find_python (VfStore *store, const char *request, GError **error)
{
  g_autofree char *path = NULL;
  g_autofree char *pinned = request ? NULL : pinned_request (&path);
  VfInterpreter *interpreter = find (store, pinned ? pinned : request, error);
  if (!interpreter && pinned)
    g_prefix_error (error, "%s: ", path);
  return interpreter;
}

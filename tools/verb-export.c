/* venvfs export NAME DIR */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/environment.h"
#include "layers/error.h"
#include "tools/export-tree.h"
#include "tools/verb.h"

/* @path: what may become the directory: nothing is there, or an empty directory; outside the store.
 * The parent exists. */
static gboolean
check_target (VfStore *store, const char *path, GError **error)
{
  g_autofree char *inside = g_strconcat (vf_store_path (store), "/", NULL);
  if (g_str_equal (path, vf_store_path (store)) || g_str_has_prefix (path, inside))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: lies in the store; choose another directory",
                         path);
  if (strchr (path, ':') || strchr (path, '\n'))
    return vf_error_set (
        error, VF_ERROR_INVALID,
        "%s: the path of an environment cannot hold ':' or a line break; choose another", path);
  struct stat st;
  if (lstat (path, &st) < 0)
    return errno == ENOENT || vf_error_errno (error, errno, "%s: cannot look at it", path);
  if (!S_ISDIR (st.st_mode))
    return vf_error_set (error, VF_ERROR_EXISTS, "%s: exists and is no directory; choose another",
                         path);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  if (!dir || g_dir_read_name (dir))
    return vf_error_set (error, VF_ERROR_EXISTS,
                         "%s: is not empty; remove it or choose another directory", path);
  return TRUE;
}

/* With links above the last component resolved: what is written into scripts must stay true. */
static char *
resolve_target (const char *given, GError **error)
{
  g_autofree char *path = g_canonicalize_filename (given, NULL);
  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  char *resolved = realpath (parent, NULL);
  if (!resolved) {
    vf_error_errno (error, errno, "%s: cannot go there", parent);
    return NULL;
  }
  char *target = g_build_filename (resolved, name, NULL);
  free (resolved);
  return target;
}

/* Into a directory beside @target, which one rename then puts in its place. */
static gboolean
export_beside (VfStore *store, VfEnvironment *environment, const char *target, VfOutput *output,
               VfExportResult *result, GError **error)
{
  g_autofree char *relative =
      vf_digest_path ("images/", &vf_environment_current (environment)->image);
  g_autoptr (VfImage) image = vf_image_open (vf_store_fd (store), relative, error);
  if (!image) {
    g_prefix_error (error, "%s: run 'venvfs fsck': ", vf_environment_name (environment));
    return FALSE;
  }
  g_autofree char *beside = g_strconcat (target, ".export-XXXXXX", NULL);
  if (!g_mkdtemp_full (beside, 0700))
    return vf_error_errno (error, errno, "%s: cannot create", target);
  VF_AUTOFD fd = open (beside, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  gboolean ok = fd < 0
                    ? vf_error_errno (error, errno, "%s: cannot open", beside)
                    : vf_export_tree (store, environment, image, fd, target, output, result, error);
  if (ok && rename (beside, target) < 0)
    ok = vf_error_errno (error, errno, "%s: cannot create", target);
  if (!ok)
    vf_remove_tree (AT_FDCWD, beside, beside, NULL);
  return ok;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 2, 2, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  g_autoptr (VfEnvironment) environment =
      store ? vf_environment_open (store, arguments[0], error) : NULL;
  g_autofree char *target = environment ? resolve_target (arguments[1], error) : NULL;
  VfExportResult exported = {0};
  if (!target || !check_target (store, target, error) ||
      !export_beside (store, environment, target, invocation->output, &exported, error))
    return FALSE;
  if (exported.skipped > 0)
    vf_output_warning (invocation->output, "%s: sockets and devices were left out", target);
  g_autofree char *files = vf_output_count (exported.files, "file");
  g_autofree char *bytes = vf_output_bytes (exported.bytes);
  g_autofree char *duration = vf_output_duration (g_get_monotonic_time () - invocation->start_usec);
  vf_output_line (invocation->output, "Exported %s to %s (%s, %s) in %s", arguments[0], target,
                  files, bytes, duration);
  JsonObject *result = vf_output_result (invocation->output);
  if (!result)
    return TRUE;
  json_object_set_string_member (result, "name", arguments[0]);
  json_object_set_string_member (result, "path", target);
  json_object_set_int_member (result, "files", (gint64)exported.files);
  json_object_set_int_member (result, "directories", (gint64)exported.directories);
  json_object_set_int_member (result, "symlinks", (gint64)exported.symlinks);
  json_object_set_int_member (result, "bytes", (gint64)exported.bytes);
  return TRUE;
}

extern const VfVerb vf_verb_export;
const VfVerb vf_verb_export = {
    .name = "export",
    .arguments = "NAME DIR",
    .summary = "Write an environment out as an ordinary directory",
    .description =
        "DIR becomes a virtual environment like any other, with all that the mount would\n"
        "show; it needs neither venvfs nor /dev/fuse. Files share blocks with the store\n"
        "where the file system can do that, else they are copies.",
    .examples = "  venvfs export proj /srv/app/.venv\n"
                "  venvfs export proj ./image/venv     for a container image",
    .run = run,
};

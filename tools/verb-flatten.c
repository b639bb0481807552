/* venvfs flatten [UPPER] */
#include <errno.h>
#include <fcntl.h>

#include "layers/error.h"
#include "layers/flatten.h"
#include "layers/io.h"
#include "tools/current.h"
#include "tools/interrupt.h"
#include "tools/mounting.h"
#include "tools/stack-mount.h"
#include "tools/verb.h"

static gboolean
report (VfInvocation *invocation, const char *path, const VfFlattened *flattened)
{
  g_autofree char *files = vf_output_count (flattened->files, "file");
  g_autofree char *bytes = vf_output_bytes (flattened->bytes);
  vf_output_line (invocation->output, "Flattened %s: %s, %s written", path, files, bytes);
  JsonObject *result = vf_output_result (invocation->output);
  if (result == NULL)
    return TRUE;
  json_object_set_string_member (result, "upper", path);
  json_object_set_int_member (result, "files", (gint64)flattened->files);
  json_object_set_int_member (result, "directories", (gint64)flattened->directories);
  json_object_set_int_member (result, "bytes", (gint64)flattened->bytes);
  return TRUE;
}

static gboolean
flatten_upper (VfInvocation *invocation, VfStore *store, const char *path, GError **error)
{
  VfFlattened flattened;
  VF_AUTOFD fd = vf_stack_claim_upper (path, error);
  return fd >= 0 && vf_flatten (store, fd, path, NULL, vf_interrupted, &flattened, error) &&
         report (invocation, path, &flattened);
}

static gboolean
flatten_environment (VfInvocation *invocation, VfStore *store, VfEnvironment *environment,
                     GError **error)
{
  VfFlattened flattened;
  const char *place = vf_environment_mount_point (environment);
  VfViewContext view = {.mount_point = place != NULL ? place : "/",
                        .prompt = vf_environment_prompt (environment)};
  g_autofree char *path = g_build_filename (vf_environment_path (environment), "upper", NULL);
  vf_mounting_wait_released (environment);
  VF_AUTOFD lock_fd = vf_environment_lock (environment, error);
  if (lock_fd < 0)
    return FALSE;
  VF_AUTOFD fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot be opened", path);
  return vf_flatten (store, fd, path, &view, vf_interrupted, &flattened, error) &&
         report (invocation, path, &flattened);
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 0, invocation->name != NULL ? 0 : 1, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (store == NULL)
    return FALSE;
  invocation->interrupted = "interrupted; it shows what it showed, and flattening it again goes on";
  if (arguments[0] != NULL)
    return flatten_upper (invocation, store, arguments[0], error);
  g_autoptr (VfEnvironment) environment = vf_current_environment (invocation, store, error);
  return environment != NULL && flatten_environment (invocation, store, environment, error);
}

extern const VfVerb vf_verb_flatten;
const VfVerb vf_verb_flatten = {
    .name = "flatten",
    .arguments = "[UPPER]",
    .summary = "Make an upper that overlayfs can mount",
    .description =
        "Writes into the upper of a venvfs mount --lower, or of an environment, what in\n"
        "it stands for contents of the store: files that were changed in mode or name\n"
        "only, and directories that were renamed. The kernel's overlayfs, mounted with\n"
        "userxattr, then shows with it what venvfs shows. It must not be mounted\n"
        "meanwhile.",
    .examples = "  venvfs flatten up           of a mount with --upper up\n"
                "  venvfs flatten -n proj      of an environment",
    .run = run,
};

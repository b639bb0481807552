/* venvfs run [-n NAME] COMMAND… */
#include <unistd.h>

#include "layers/error.h"
#include "tools/borrowed-mount.h"
#include "tools/run-child.h"
#include "tools/current.h"
#include "tools/interrupt.h"
#include "tools/verb.h"

/* What activation does. */
static void
enter (const char *path, const char *prompt)
{
  g_autofree char *programs = g_build_filename (path, "bin", NULL);
  const char *former = g_getenv ("PATH");
  g_autofree char *search =
      former != NULL ? g_strconcat (programs, ":", former, NULL) : g_strdup (programs);
  g_setenv ("VIRTUAL_ENV", path, TRUE);
  g_setenv ("VIRTUAL_ENV_PROMPT", prompt, TRUE);
  g_setenv ("PATH", search, TRUE);
  g_unsetenv ("PYTHONHOME");
  /* uv would try hard links and clones from its cache first, and warn. */
  g_setenv ("UV_LINK_MODE", "copy", FALSE);
}

/* "run NAME COMMAND" is what one types who has just mounted NAME. */
static gboolean
is_environment (VfStore *store, const char *name)
{
  g_autoptr (VfEnvironment) found = vf_environment_open (store, name, NULL);
  return found != NULL;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 1, -1, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  g_autoptr (VfEnvironment) environment =
      store != NULL ? vf_current_environment (invocation, store, error) : NULL;
  VfBorrowedMount *mount =
      environment != NULL ? vf_borrowed_mount_new (store, environment, error) : NULL;
  if (mount == NULL)
    return FALSE;
  enter (vf_borrowed_mount_path (mount), vf_environment_prompt (environment));
  g_autoptr (GError) cause = NULL;
  gboolean ran =
      vf_interrupt_check (&cause) && vf_child_run (arguments, &invocation->exit_status, &cause);
  gboolean returned = vf_borrowed_mount_return (mount, ran ? error : NULL);
  gboolean has_status = ran || invocation->exit_status != 0;
  JsonObject *result = has_status ? vf_output_result (invocation->output) : NULL;
  if (result != NULL)
    json_object_set_int_member (result, "status", invocation->exit_status);
  if (ran)
    return returned;
  if (has_status && is_environment (store, arguments[0]))
    return vf_error_set (error, VF_ERROR_NOT_FOUND, "%s, but an environment; name it with --name",
                         cause->message);
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

extern const VfVerb vf_verb_run;
const VfVerb vf_verb_run = {
    .name = "run",
    .arguments = "COMMAND [ARGUMENT…]",
    .summary = "Run a command inside an environment",
    .description = "Runs COMMAND as if the environment were activated, and exits with its status.\n"
                   "Where it is not mounted it is mounted for that time: where it last was, else\n"
                   "privately. Signals are passed on. Options of venvfs stand before COMMAND.",
    .examples = "  venvfs run -n proj python script.py\n"
                "  venvfs run pytest -x             in the environment of this directory",
    .options_before_args = TRUE,
    .run = run,
};

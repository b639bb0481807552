/* venvfs direnv: prints tools/shell/direnv.sh, which gives direnv a `layout venvfs`. */
#include <stdio.h>

#include "layers/error.h"
#include "tools/verb.h"

static const char layout[] =
#include "tools/direnv.sh.inc"
    ;

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 0, 0, error))
    return FALSE;
  JsonObject *result = vf_output_result (invocation->output);
  if (result != NULL)
    json_object_set_string_member (result, "text", layout);
  else
    fputs (layout, stdout);
  return TRUE;
}

extern const VfVerb vf_verb_direnv;
const VfVerb vf_verb_direnv = {
    .name = "direnv",
    .arguments = NULL,
    .summary = "Print direnv's 'layout venvfs'",
    .description =
        "Prints a function for direnv. With it, the line 'layout venvfs NAME' in a\n"
        "project's .envrc mounts the environment NAME at ./.venv whenever a shell comes\n"
        "into the directory, and enters it. What follows NAME is what 'venvfs create'\n"
        "gets when there is no such environment yet, as -r requirements.txt.",
    .examples = "  mkdir -p ~/.config/direnv/lib\n"
                "  venvfs direnv > ~/.config/direnv/lib/venvfs.sh    once\n"
                "  echo 'layout venvfs proj' > .envrc; direnv allow  in a project",
    .run = run,
};

/* venvfs help [VERB] */
#include <stdio.h>

#include "layers/error.h"
#include "tools/suggest.h"
#include "tools/verb.h"

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 0, 1, error))
    return FALSE;
  const VfVerb *verb = arguments[0] ? vf_verb_find (arguments[0]) : NULL;
  if (arguments[0] && !verb)
    return vf_suggest_verb (arguments[0], error);
  g_autofree char *text = verb ? vf_verb_help (verb) : vf_verb_overview ();
  JsonObject *result = vf_output_result (invocation->output);
  if (result)
    json_object_set_string_member (result, "text", text);
  else
    fputs (text, stdout);
  return TRUE;
}

extern const VfVerb vf_verb_help_verb;
const VfVerb vf_verb_help_verb = {
    .name = "help",
    .arguments = "[VERB]",
    .summary = "Explain a verb, or list all",
    .examples = "  venvfs help             all verbs\n"
                "  venvfs help create      the same as venvfs create --help",
    .run = run,
};

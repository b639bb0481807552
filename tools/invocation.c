/* What a verb's run() gets from its invocation besides the options. */
#include "tools/interrupt.h"
#include "tools/verb.h"

VfStore *
vf_verb_open_store (const VfInvocation *invocation, GError **error)
{
  g_autofree char *path =
      invocation->store_path ? g_strdup (invocation->store_path) : vf_store_default_path ();
  return vf_store_open (path, error);
}

gboolean
vf_verb_pass_over (VfInvocation *invocation, GError **cause, GError **error)
{
  if (vf_interrupted ()) {
    g_propagate_error (error, g_steal_pointer (cause));
    return FALSE;
  }
  vf_output_warning (invocation->output, "%s", (*cause)->message);
  g_clear_error (cause);
  return TRUE;
}

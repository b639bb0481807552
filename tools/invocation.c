/* What a verb's run() gets from its invocation besides the options. */
#include "tools/verb.h"

VfStore *
vf_verb_open_store (const VfInvocation *invocation, GError **error)
{
  g_autofree char *path =
      invocation->store_path ? g_strdup (invocation->store_path) : vf_store_default_path ();
  return vf_store_open (path, error);
}

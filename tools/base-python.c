#include "tools/base-python.h"

#include <unistd.h>

#include "layers/interpreter.h"

/* The probe is remembered by the executable's identity. */
char *
vf_base_python_state (VfStore *store, VfEnvironment *environment)
{
  const VfGeneration *generation = vf_environment_current (environment);
  if (access (generation->python, X_OK) < 0)
    return g_strdup ("gone");
  g_autoptr (VfInterpreter) now = vf_interpreter_probe (store, generation->python, NULL);
  if (now == NULL)
    return g_strdup ("broken");
  if (g_str_equal (now->version, generation->python_version))
    return g_strdup ("ok");
  return g_strdup_printf ("replaced by %s", now->version);
}

void
vf_base_python_warn (VfOutput *output, VfEnvironment *environment, const char *state)
{
  const char *name = vf_environment_name (environment);
  const char *python = vf_environment_current (environment)->python;
  if (g_str_equal (state, "gone") || g_str_equal (state, "broken"))
    vf_output_warning (output, "%s: its interpreter %s is %s; python will not start in it", name,
                       python, state);
  else if (!g_str_equal (state, "ok"))
    vf_output_warning (output, "%s: its interpreter %s is %s; what was compiled for it may not run",
                       name, python, state);
}

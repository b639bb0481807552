/* venvfs gc */
#include "layers/sweep.h"
#include "tools/verb.h"

static gboolean dry_run;

static const GOptionEntry entries[] = {
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &dry_run, "Say what would go, remove nothing", NULL},
    {NULL},
};

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  VfSweepResult swept = {0};
  if (!vf_verb_check_arguments (invocation, arguments, 0, 0, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (!store || !vf_sweep (store, dry_run, &swept, error))
    return FALSE;
  g_autofree char *bytes = vf_output_bytes (swept.bytes);
  g_autofree char *objects = vf_output_count (swept.objects, "file");
  g_autofree char *packages = vf_output_count (swept.packages, "package");
  g_autofree char *images = vf_output_count (swept.images, "image");
  vf_output_line (invocation->output, "%s %s: %s, %s, %s%s", dry_run ? "Would free" : "Freed",
                  bytes, objects, packages, images,
                  swept.cautious ? " (the store is being written to: what is recent was kept)"
                                 : "");
  JsonObject *result = vf_output_result (invocation->output);
  if (!result)
    return TRUE;
  json_object_set_boolean_member (result, "dry_run", dry_run);
  json_object_set_int_member (result, "bytes", (gint64)swept.bytes);
  json_object_set_int_member (result, "objects", (gint64)swept.objects);
  json_object_set_int_member (result, "packages", (gint64)swept.packages);
  json_object_set_int_member (result, "images", (gint64)swept.images);
  json_object_set_int_member (result, "bytecode", (gint64)swept.bytecode);
  json_object_set_int_member (result, "wheels", (gint64)swept.wheels);
  json_object_set_int_member (result, "others", (gint64)swept.others);
  json_object_set_boolean_member (result, "cautious", swept.cautious);
  return TRUE;
}

extern const VfVerb vf_verb_gc;
const VfVerb vf_verb_gc = {
    .name = "gc",
    .summary = "Remove from the store what nothing uses",
    .description = "What no environment and no live mount uses goes: files, packages, images,\n"
                   "bytecode. Safe at any time, also while environments are mounted or being made.",
    .examples = "  venvfs gc --dry-run     how much would go\n"
                "  venvfs gc               let it go",
    .entries = entries,
    .run = run,
};

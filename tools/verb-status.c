/* venvfs status */
#include "layers/error.h"
#include "tools/base-python.h"
#include "tools/current.h"
#include "tools/mounting.h"
#include "tools/upper-usage.h"
#include "tools/verb.h"

#define IMAGE_SHOWN 12

typedef struct {
  VfStore *store;
  VfEnvironment *environment;
  const VfGeneration *generation;
  VfMountedPlace place;
  gboolean repaired;
  char *python_state; /* "ok", "gone", "replaced by 3.13.1" */
  VfUpperUsage usage;
} Status;

static void
status_clear (Status *status)
{
  g_clear_pointer (&status->environment, vf_environment_free);
  g_clear_pointer (&status->store, vf_store_unref);
  g_clear_pointer (&status->python_state, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Status, status_clear)

static const char *
state_name (VfMountedState state)
{
  switch (state) {
  case VF_MOUNTED_NOT:
    return "unmounted";
  case VF_MOUNTED_LIVE:
    return "mounted";
  case VF_MOUNTED_DETACHED:
    return "detached";
  case VF_MOUNTED_DEAD:
    return "dead";
  }
  return "unknown";
}

static void
print_mount (VfOutput *output, const Status *status)
{
  const char *recorded = vf_environment_mount_point (status->environment);
  if (status->place.state == VF_MOUNTED_LIVE)
    vf_output_data (output, "  mounted at   %s%s", status->place.path,
                    status->repaired ? "  (was dead, mounted again)" : "");
  else if (status->place.state == VF_MOUNTED_DETACHED)
    vf_output_data (output,
                    "  not mounted, but still in use: by a program, or in another mount namespace");
  else if (recorded != NULL)
    vf_output_data (output, "  not mounted; last at %s", recorded);
  else
    vf_output_data (output, "  not mounted; venvfs mount %s mounts it at ./.venv",
                    vf_environment_name (status->environment));
}

static void
print_status (VfOutput *output, const Status *status)
{
  const VfGeneration *generation = status->generation;
  g_autofree char *disk = vf_output_bytes (status->usage.disk_bytes);
  g_autofree char *files = vf_output_count (status->usage.n_files, "file");
  gboolean python_ok = g_str_equal (status->python_state, "ok");
  char image[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&generation->image, image);
  vf_output_data (output, "%s", vf_environment_name (status->environment));
  print_mount (output, status);
  vf_output_data (output, "  python       %s  %s%s%s%s", generation->python_version,
                  generation->python, python_ok ? "" : "  (", python_ok ? "" : status->python_state,
                  python_ok ? "" : ")");
  vf_output_data (output, "  packages     %u, generation %u, image %.*s",
                  generation->installed->len, generation->number, IMAGE_SHOWN, image);
  if (status->usage.n_removed > 0)
    vf_output_data (output, "  changes      %s, %" G_GUINT64_FORMAT " removed, %s", files,
                    status->usage.n_removed, disk);
  else
    vf_output_data (output, "  changes      %s, %s", files, disk);
  vf_base_python_warn (output, status->environment, status->python_state);
}

static JsonObject *
describe_requests (const VfLiveMount *live)
{
  JsonObject *requests = json_object_new ();
  GVariantIter iter;
  const char *kind;
  guint64 n;
  g_variant_iter_init (&iter, live->requests);
  while (g_variant_iter_next (&iter, "{&st}", &kind, &n))
    json_object_set_int_member (requests, kind, (gint64)n);
  return requests;
}

static void
describe_status (JsonObject *result, const Status *status)
{
  const VfGeneration *generation = status->generation;
  const char *recorded = vf_environment_mount_point (status->environment);
  const VfLiveMount *live = status->place.live;
  char image[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&generation->image, image);
  json_object_set_string_member (result, "name", vf_environment_name (status->environment));
  json_object_set_string_member (result, "store", vf_store_path (status->store));
  json_object_set_string_member (result, "path", vf_environment_path (status->environment));
  json_object_set_string_member (result, "state", state_name (status->place.state));
  json_object_set_string_member (result, "mount_point", status->place.path);
  json_object_set_string_member (result, "recorded_mount_point", recorded);
  json_object_set_boolean_member (result, "repaired", status->repaired);
  json_object_set_string_member (result, "prompt", vf_environment_prompt (status->environment));
  json_object_set_string_member (result, "python", generation->python);
  json_object_set_string_member (result, "python_version", generation->python_version);
  json_object_set_string_member (result, "python_state", status->python_state);
  json_object_set_int_member (result, "generation", generation->number);
  json_object_set_int_member (result, "packages", generation->installed->len);
  json_object_set_string_member (result, "image", image);
  json_object_set_int_member (result, "changed_files", (gint64)status->usage.n_files);
  json_object_set_int_member (result, "removed_files", (gint64)status->usage.n_removed);
  json_object_set_int_member (result, "changes_bytes", (gint64)status->usage.disk_bytes);
  if (live != NULL && live->requests != NULL)
    json_object_set_object_member (result, "requests", describe_requests (live));
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  g_auto (Status) status = {0};
  if (!vf_verb_check_arguments (invocation, arguments, 0, 0, error))
    return FALSE;
  status.store = vf_verb_open_store (invocation, error);
  if (status.store == NULL)
    return FALSE;
  status.environment = vf_current_environment (invocation, status.store, error);
  if (status.environment == NULL ||
      !vf_mounting_repair (status.store, status.environment, &status.repaired, error))
    return FALSE;
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL ||
      !vf_upper_usage (vf_environment_fd (status.environment), &status.usage, error))
    return FALSE;
  status.generation = vf_environment_current (status.environment);
  status.place = vf_mounted_find (mounted, status.store, status.environment);
  status.python_state = vf_base_python_state (status.store, status.environment);
  print_status (invocation->output, &status);
  JsonObject *result = vf_output_result (invocation->output);
  if (result != NULL)
    describe_status (result, &status);
  return TRUE;
}

extern const VfVerb vf_verb_status;
const VfVerb vf_verb_status = {
    .name = "status",
    .arguments = NULL,
    .summary = "Tell about an environment",
    .description = "Tells where the environment is mounted, what it is made of and what was\n"
                   "changed in it since. A mount whose daemon was killed is found and mounted\n"
                   "again.",
    .examples = "  venvfs status                    the environment of this directory\n"
                "  venvfs status -n proj --json     for a program, requests by kind included",
    .run = run,
};

/* venvfs debug switch IMAGE: what no user needs, but tests and developers do. */
#include <string.h>

#include "layers/belongings.h"
#include "layers/error.h"
#include "tools/current.h"
#include "tools/mounted.h"
#include "tools/verb.h"

static char **option_set_aside;
static int option_number, option_bring_back;

static const GOptionEntry entries[] = {
    {"set-aside", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &option_set_aside,
     "Set aside what was changed of this distribution; may be repeated", "DISTRIBUTION"},
    {"number", 0, 0, G_OPTION_ARG_INT, &option_number,
     "Set aside as of this generation; the current one if not given", "NUMBER"},
    {"bring-back", 0, 0, G_OPTION_ARG_INT, &option_bring_back,
     "Bring back what was set aside as of this generation", "NUMBER"},
    {NULL},
};

/* By its name, or the current one of an environment. */
static gboolean
find_image (VfStore *store, const char *wanted, char out_hex[VF_DIGEST_HEX + 1], GError **error)
{
  VfDigest digest;
  if (!vf_digest_from_hex (wanted, strlen (wanted), &digest)) {
    g_autoptr (VfEnvironment) environment = vf_environment_open (store, wanted, error);
    if (environment == NULL)
      return FALSE;
    digest = vf_environment_current (environment)->image;
  }
  vf_digest_to_hex (&digest, out_hex);
  return TRUE;
}

/* What the mount and the image have of the distributions. */
static char **
find_paths (VfStore *store, const char *hex, const char *mount_point, GError **error)
{
  if (option_set_aside == NULL)
    return g_new0 (char *, 1);
  g_autofree char *relative = g_strconcat ("images/", hex, NULL);
  g_autoptr (VfImage) image = vf_image_open (vf_store_fd (store), relative, error);
  g_autoptr (VfBelongings) belongings = vf_belongings_new ((const char *const *)option_set_aside);
  if (image == NULL || !vf_belongings_add_image (belongings, image, error) ||
      !vf_belongings_add_directory (belongings, mount_point, error))
    return NULL;
  return vf_belongings_paths (belongings);
}

static gboolean
run_switch (VfInvocation *invocation, const char *wanted, GError **error)
{
  char image[VF_DIGEST_HEX + 1];
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  g_autoptr (VfEnvironment) environment =
      store != NULL ? vf_current_environment (invocation, store, error) : NULL;
  if (environment == NULL || !find_image (store, wanted, image, error))
    return FALSE;
  const char *name = vf_environment_name (environment);
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return FALSE;
  VfMountedPlace place = vf_mounted_find (mounted, store, environment);
  if (place.state != VF_MOUNTED_LIVE)
    return vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: is not mounted", name);
  g_auto (GStrv) paths = find_paths (store, image, place.path, error);
  g_autoptr (VfClient) client = paths != NULL ? vf_client_new (FALSE, error) : NULL;
  if (client == NULL)
    return FALSE;
  guint number =
      option_number > 0 ? (guint)option_number : vf_environment_current (environment)->number;
  VfClientSwitch request = {.device = place.device,
                            .image = image,
                            .number = number,
                            .paths = (const char *const *)paths,
                            .bring_back = (guint)MAX (option_bring_back, 0)};
  g_auto (GStrv) hidden = vf_client_switch (client, &request, error);
  if (hidden == NULL)
    return FALSE;
  g_autofree char *duration = vf_output_duration (g_get_monotonic_time () - invocation->start_usec);
  vf_output_line (invocation->output, "%s shows image %.12s in %s", name, image, duration);
  for (char **path = hidden; *path != NULL; path++)
    vf_output_data (invocation->output, "hidden\t%s", *path);
  JsonObject *result = vf_output_result (invocation->output);
  if (result == NULL)
    return TRUE;
  JsonArray *list = json_array_new ();
  for (char **path = hidden; *path != NULL; path++)
    json_array_add_string_element (list, *path);
  json_object_set_string_member (result, "image", image);
  json_object_set_array_member (result, "hidden", list);
  return TRUE;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 2, 2, error))
    return FALSE;
  if (!g_str_equal (arguments[0], "switch"))
    return vf_error_set (error, VF_ERROR_USAGE, "debug: %s: there is only switch", arguments[0]);
  return run_switch (invocation, arguments[1], error);
}

extern const VfVerb vf_verb_debug;
const VfVerb vf_verb_debug = {
    .name = "debug",
    .arguments = "switch IMAGE|NAME",
    .summary = "What tests of venvfs need",
    .description = "switch: the mount of the environment of this directory, or of -n NAME, shows\n"
                   "another image, given by its name or by an environment that has it. The\n"
                   "environment's generation stays, so its next mount shows its own image again.",
    .examples = "  venvfs debug switch -n proj other                    as other is\n"
                "  venvfs debug switch -n proj other --set-aside numpy  as far as its numpy goes",
    .entries = entries,
    .hidden = TRUE,
    .run = run,
};

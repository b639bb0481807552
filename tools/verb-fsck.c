/* venvfs fsck */
#include "layers/check.h"
#include "layers/error.h"
#include "tools/interrupt.h"
#include "tools/progress.h"
#include "tools/verb.h"

static gboolean deep, repair;

static const GOptionEntry entries[] = {
    {"deep", 0, 0, G_OPTION_ARG_NONE, &deep, "Read every file and compare its digest", NULL},
    {"repair", 0, 0, G_OPTION_ARG_NONE, &repair, "Set aside what is damaged, to be made anew",
     NULL},
    {NULL},
};

typedef struct {
  VfOutput *output;
  VfProgress *progress;
  JsonArray *problems; /* NULL without --json */
} Listing;

static gboolean
on_progress (guint64 done, gpointer user_data)
{
  Listing *listing = user_data;
  vf_progress_update (listing->progress, done, 0);
  return !vf_interrupted ();
}

static void
on_problem (const char *path, const char *problem, gpointer user_data)
{
  Listing *listing = user_data;
  vf_progress_erase (listing->progress);
  vf_output_data (listing->output, "%s: %s", path, problem);
  if (!listing->problems)
    return;
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "path", path);
  json_object_set_string_member (object, "problem", problem);
  json_array_add_object_element (listing->problems, object);
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 0, 0, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (!store)
    return FALSE;
  JsonObject *result = vf_output_result (invocation->output);
  g_autoptr (VfProgress) progress =
      vf_progress_new (invocation->output, "Checking", VF_PROGRESS_ITEMS, "file");
  Listing listing = {invocation->output, progress, result ? json_array_new () : NULL};
  VfCheckResult found;
  if (result)
    json_object_set_array_member (result, "problems", listing.problems);
  if (!vf_check (store, deep, repair, on_problem, on_progress, &listing, &found, error))
    return FALSE;
  vf_progress_erase (progress);
  if (found.problems == 0) {
    vf_output_line (invocation->output, "%s: nothing is wrong", vf_store_path (store));
    return TRUE;
  }
  g_autofree char *count = vf_output_count (found.problems, "problem");
  if (!repair)
    return vf_error_set (error, VF_ERROR_DAMAGED,
                         "%s: %s; 'venvfs fsck --repair' sets aside what is damaged",
                         vf_store_path (store), count);
  if (found.repaired < found.problems)
    return vf_error_set (error, VF_ERROR_DAMAGED,
                         "%s: %s, of which %" G_GUINT64_FORMAT " are repaired; 'venvfs create' "
                         "with the same packages brings back what is missing, and 'venvfs gc' "
                         "removes what nothing uses",
                         vf_store_path (store), count, found.repaired);
  vf_output_line (invocation->output, "%s: repaired %s", vf_store_path (store), count);
  return TRUE;
}

extern const VfVerb vf_verb_fsck;
const VfVerb vf_verb_fsck = {
    .name = "fsck",
    .summary = "Check the store",
    .description =
        "Checks that everything in the store is what it says and refers to what is there.\n"
        "With --repair, damaged files go to trash/quarantine; what is missing then is\n"
        "made anew when an environment is created from the same packages. The status is\n"
        "1 as long as anything is wrong.",
    .examples = "  venvfs fsck               the structure, quick\n"
                "  venvfs fsck --deep        the contents too\n"
                "  venvfs fsck --repair",
    .entries = entries,
    .run = run,
};

/* venvfs complete [WORD…]: what the completions of the shells (tools/shell/) ask at every Tab.
 *
 * It prints one candidate a line, with a tab and an explanation where there is one, and then what
 * the shell is to add of its own: ":files", ":directories", or ":command N" when word N begins a
 * command line of its own. It never fails: a line that makes no sense has no completions. */
#include <stdio.h>

#include "layers/environment.h"
#include "tools/complete.h"
#include "tools/verb.h"

/* Those of a store that is there: a Tab makes none. */
static char **
list_environments (const char *store_path)
{
  g_autofree char *path = store_path != NULL ? g_strdup (store_path) : vf_store_default_path ();
  g_autofree char *folder = g_build_filename (path, "envs", NULL);
  if (!g_file_test (folder, G_FILE_TEST_IS_DIR))
    return NULL;
  g_autoptr (VfStore) store = vf_store_open (path, NULL);
  return store != NULL ? vf_environment_list (store, NULL) : NULL;
}

static void
add_environments (VfCompletion *completion, const char *current)
{
  g_auto (GStrv) names = list_environments (completion->store);
  for (char **name = names; name != NULL && *name != NULL; name++) {
    char *word = g_strconcat (completion->prefix, *name, NULL);
    if (g_str_has_prefix (word, current))
      g_ptr_array_add (completion->candidates, word);
    else
      g_free (word);
  }
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  g_auto (VfCompletion) completion = {0};
  guint n = g_strv_length (arguments);
  vf_complete ((const char *const *)arguments, &completion);
  GPtrArray *lines = completion.candidates;
  if (completion.environments)
    add_environments (&completion, n > 0 ? arguments[n - 1] : "");
  if (completion.directories)
    g_ptr_array_add (lines, g_strdup (":directories"));
  if (completion.files)
    g_ptr_array_add (lines, g_strdup (":files"));
  if (completion.command >= 0)
    g_ptr_array_add (lines, g_strdup_printf (":command %d", completion.command));
  JsonObject *result = vf_output_result (invocation->output);
  JsonArray *array = result != NULL ? json_array_new () : NULL;
  for (guint i = 0; i < lines->len; i++) {
    if (array != NULL)
      json_array_add_string_element (array, g_ptr_array_index (lines, i));
    else
      puts (g_ptr_array_index (lines, i)); /* as it is: the tabs are for the shells */
  }
  if (array != NULL)
    json_object_set_array_member (result, "lines", array);
  return TRUE;
}

extern const VfVerb vf_verb_complete;
const VfVerb vf_verb_complete = {
    .name = "complete",
    .arguments = "[WORD…]",
    .summary = "Print what may stand in place of the last word",
    .description = "What the completions of bash, zsh and fish ask.",
    .examples = "  venvfs complete -- mount pr",
    .options_before_args = TRUE,
    .hidden = TRUE,
    .run = run,
};

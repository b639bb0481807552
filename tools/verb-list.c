/* venvfs list */
#include "layers/error.h"
#include "tools/mounted.h"
#include "tools/verb.h"

typedef struct {
  char *name, *python, *place;
  guint n_packages;
  VfMountedState state;
} Row;

static void
row_free (gpointer data)
{
  Row *row = data;
  g_free (row->name);
  g_free (row->python);
  g_free (row->place);
  g_free (row);
}

static Row *
row_new (VfEnvironment *environment, VfStore *store, VfMounted *mounted)
{
  const VfGeneration *generation = vf_environment_current (environment);
  const char *recorded = vf_environment_mount_point (environment);
  VfMountedPlace place = vf_mounted_find (mounted, store, environment);
  Row *row = g_new0 (Row, 1);
  row->name = g_strdup (vf_environment_name (environment));
  row->python = g_strdup (generation->python_version);
  row->place = g_strdup (place.path != NULL ? place.path : recorded);
  row->n_packages = generation->installed->len;
  row->state = place.state;
  return row;
}

static const char *
remark (const Row *row)
{
  if (row->state == VF_MOUNTED_DEAD)
    return "  (dead: venvfs doctor mounts it again)";
  if (row->state == VF_MOUNTED_DETACHED)
    return "  (unmounted, still in use)";
  return row->state == VF_MOUNTED_NOT ? "  (not mounted)" : "";
}

static void
print_rows (VfOutput *output, GPtrArray *rows)
{
  int name_width = 4, python_width = 6;
  for (guint i = 0; i < rows->len; i++) {
    const Row *row = g_ptr_array_index (rows, i);
    name_width = MAX (name_width, (int)g_utf8_strlen (row->name, -1));
    python_width = MAX (python_width, (int)g_utf8_strlen (row->python, -1));
  }
  if (rows->len > 0)
    vf_output_data (output, "%-*s  %-*s  %8s  %s", name_width, "NAME", python_width, "PYTHON",
                    "PACKAGES", "MOUNT POINT");
  for (guint i = 0; i < rows->len; i++) {
    const Row *row = g_ptr_array_index (rows, i);
    vf_output_data (output, "%-*s  %-*s  %8u  %s%s", name_width, row->name, python_width,
                    row->python, row->n_packages, row->place != NULL ? row->place : "-",
                    remark (row));
  }
}

static void
describe_row (JsonArray *array, const Row *row)
{
  static const char *const states[] = {
      [VF_MOUNTED_NOT] = "unmounted",
      [VF_MOUNTED_LIVE] = "mounted",
      [VF_MOUNTED_DETACHED] = "detached",
      [VF_MOUNTED_DEAD] = "dead",
  };
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "name", row->name);
  json_object_set_string_member (object, "python_version", row->python);
  json_object_set_int_member (object, "packages", row->n_packages);
  json_object_set_string_member (object, "state", states[row->state]);
  json_object_set_string_member (object, "mount_point", row->place);
  json_array_add_object_element (array, object);
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 0, 0, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  g_auto (GStrv) names = store != NULL ? vf_environment_list (store, error) : NULL;
  g_autoptr (VfMounted) mounted = names != NULL ? vf_mounted_new (error) : NULL;
  if (mounted == NULL)
    return FALSE;
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func (row_free);
  for (char **name = names; *name != NULL; name++) {
    g_autoptr (GError) cause = NULL;
    g_autoptr (VfEnvironment) environment = vf_environment_open (store, *name, &cause);
    if (environment != NULL)
      g_ptr_array_add (rows, row_new (environment, store, mounted));
    else if (!g_error_matches (cause, VF_ERROR, VF_ERROR_NOT_FOUND)) /* deleted just now */
      vf_output_warning (invocation->output, "%s", cause->message);
  }
  print_rows (invocation->output, rows);
  JsonObject *result = vf_output_result (invocation->output);
  if (result == NULL)
    return TRUE;
  JsonArray *array = json_array_new ();
  for (guint i = 0; i < rows->len; i++)
    describe_row (array, g_ptr_array_index (rows, i));
  json_object_set_array_member (result, "environments", array);
  return TRUE;
}

extern const VfVerb vf_verb_list;
const VfVerb vf_verb_list = {
    .name = "list",
    .arguments = NULL,
    .summary = "List all environments and where they are mounted",
    .description = "Of each: its Python, how many packages it was created with, and where it is\n"
                   "mounted or was last. The dead ones among them, whose daemon was killed, are\n"
                   "mounted again by venvfs doctor.",
    .examples = "  venvfs list\n"
                "  venvfs list --json               for a program",
    .run = run,
};

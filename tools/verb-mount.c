/* venvfs mount NAME [MOUNTPOINT] | --all */
#include "layers/error.h"
#include "tools/base-python.h"
#include "tools/borrowed-mount.h"
#include "tools/interrupt.h"
#include "tools/mounting.h"
#include "tools/stack-mount.h"
#include "tools/verb.h"

#define DEFAULT_PLACE ".venv"

static gboolean option_all, option_allow_other;
static char *option_lower, *option_upper, *option_work;

static const GOptionEntry entries[] = {
    {"all", 'a', 0, G_OPTION_ARG_NONE, &option_all,
     "Mount every environment where it last was (after a reboot)", NULL},
    {"allow-other", 0, 0, G_OPTION_ARG_NONE, &option_allow_other,
     "Let other users in, as far as modes permit", NULL},
    {"lower", 0, 0, G_OPTION_ARG_FILENAME, &option_lower,
     "Show these directories instead of an environment, the uppermost first", "DIR[:DIR…]"},
    {"upper", 0, 0, G_OPTION_ARG_FILENAME, &option_upper, "With --lower: where changes go", "DIR"},
    {"work", 0, 0, G_OPTION_ARG_FILENAME, &option_work,
     "With --lower: an empty directory on the upper's file system", "DIR"},
    {NULL},
};

static gboolean
mount_one (VfInvocation *invocation, VfStore *store, VfEnvironment *environment, const char *where,
           GError **error)
{
  VfOutput *output = invocation->output;
  const char *name = vf_environment_name (environment);
  gint64 start_usec = option_all ? g_get_monotonic_time () : invocation->start_usec;
  VfMountingOptions options = {.allow_other = option_allow_other};
  g_autofree char *path = NULL;
  if (!vf_mounting_mount (store, environment, where, &options, &path, error))
    return FALSE;
  if (option_all)
    invocation->interrupted = "interrupted; venvfs mount --all mounts the others";
  vf_borrowed_mount_disown (store, environment);
  g_autofree char *state = vf_base_python_state (store, environment);
  vf_base_python_warn (output, environment, state);
  g_autofree char *duration = vf_output_duration (g_get_monotonic_time () - start_usec);
  vf_output_line (output, "Mounted %s at %s in %s", name, path, duration);
  JsonObject *result = vf_output_result (output);
  if (result == NULL)
    return TRUE;
  JsonObject *mounted = json_object_new ();
  json_object_set_string_member (mounted, "name", name);
  json_object_set_string_member (mounted, "mount_point", path);
  json_array_add_object_element (json_object_get_array_member (result, "mounted"), mounted);
  return TRUE;
}

/* A project that was moved or removed is not made anew for the sake of its environment. */
static gboolean
check_project (const char *name, const char *where, GError **error)
{
  g_autofree char *project = g_path_get_dirname (where);
  return g_file_test (project, G_FILE_TEST_IS_DIR) ||
         vf_error_set (error, VF_ERROR_NOT_FOUND,
                       "%s: was mounted at %s last, and %s is gone; venvfs mount %s MOUNTPOINT "
                       "mounts it elsewhere",
                       name, where, project, name);
}

/* One that fails does not keep the others from being mounted. */
static gboolean
mount_all (VfInvocation *invocation, VfStore *store, GError **error)
{
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  g_auto (GStrv) names = mounted != NULL ? vf_environment_list (store, error) : NULL;
  if (names == NULL)
    return FALSE;
  guint n_failed = 0;
  for (char **name = names; *name != NULL; name++) {
    g_autoptr (GError) cause = NULL;
    if (!vf_interrupt_check (error))
      return FALSE;
    g_autoptr (VfEnvironment) environment = vf_environment_open (store, *name, &cause);
    const char *where = environment != NULL ? vf_environment_mount_point (environment) : NULL;
    gboolean wanted = where != NULL && vf_environment_mount_record (environment)->wanted;
    if (wanted) {
      VfMountedPlace place = vf_mounted_find (mounted, store, environment);
      wanted = place.state == VF_MOUNTED_NOT || place.state == VF_MOUNTED_DEAD;
    }
    if (environment != NULL &&
        (!wanted || (check_project (*name, where, &cause) &&
                     mount_one (invocation, store, environment, where, &cause))))
      continue;
    if (!vf_verb_pass_over (invocation, &cause, error))
      return FALSE;
    n_failed++;
  }
  return n_failed == 0 || vf_error_set (error, VF_ERROR_FAILED,
                                        "%u of the environments could not be mounted", n_failed);
}

static void
report_stack (VfInvocation *invocation, const char *path)
{
  g_autofree char *duration = vf_output_duration (g_get_monotonic_time () - invocation->start_usec);
  vf_output_line (invocation->output, "Mounted %s at %s in %s", option_lower, path, duration);
  JsonObject *result = vf_output_result (invocation->output);
  if (result == NULL)
    return;
  JsonObject *mounted = json_object_new ();
  JsonArray *list = json_array_new ();
  json_object_set_string_member (mounted, "upper", option_upper);
  json_object_set_string_member (mounted, "mount_point", path);
  json_array_add_object_element (list, mounted);
  json_object_set_array_member (result, "mounted", list);
}

static gboolean
mount_stack (VfInvocation *invocation, char **arguments, GError **error)
{
  if (option_lower == NULL || option_upper == NULL || option_work == NULL || option_all ||
      invocation->name != NULL)
    return vf_error_set (error, VF_ERROR_USAGE,
                         "mount: --lower, --upper and --work go together, without a name");
  if (!vf_verb_check_arguments (invocation, arguments, 1, 1, error))
    return FALSE;
  g_auto (GStrv) lower = g_strsplit (option_lower, ":", -1);
  VfStackMount mount = {.lower = (const char *const *)lower,
                        .upper = option_upper,
                        .work = option_work,
                        .allow_other = option_allow_other};
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *path = NULL;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (store == NULL || !vf_stack_mount (store, &mount, arguments[0], warnings, &path, error))
    return FALSE;
  for (guint i = 0; i < warnings->len; i++)
    vf_output_warning (invocation->output, "%s", (const char *)warnings->pdata[i]);
  report_stack (invocation, path);
  return TRUE;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (option_lower != NULL || option_upper != NULL || option_work != NULL)
    return mount_stack (invocation, arguments, error);
  int n_named = invocation->name == NULL && !option_all;
  if (!vf_verb_check_arguments (invocation, arguments, n_named, option_all ? 0 : 1 + n_named,
                                error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (store == NULL)
    return FALSE;
  JsonObject *result = vf_output_result (invocation->output);
  if (result != NULL)
    json_object_set_array_member (result, "mounted", json_array_new ());
  if (option_all)
    return mount_all (invocation, store, error);
  const char *name = n_named ? arguments[0] : invocation->name;
  const char *where = arguments[n_named] != NULL ? arguments[n_named] : DEFAULT_PLACE;
  g_autoptr (VfEnvironment) environment = vf_environment_open (store, name, error);
  return environment != NULL && mount_one (invocation, store, environment, where, error);
}

extern const VfVerb vf_verb_mount;
const VfVerb vf_verb_mount = {
    .name = "mount",
    .arguments = "NAME [MOUNTPOINT]",
    .summary = "Show an environment at a directory",
    .description = "Mounts the environment NAME at MOUNTPOINT, ./.venv if none is given. The\n"
                   "directory is made if it is absent, and must be empty otherwise. It is an\n"
                   "ordinary virtual environment from then on: activate it, use its pip, point an\n"
                   "editor at it. What is changed in it is kept; mounted somewhere else, it says\n"
                   "the new place.\n"
                   "With --lower, any directories are shown at MOUNTPOINT, which exists, under an\n"
                   "upper of your choice. They are taken into the store as they are now: what is\n"
                   "changed in them later does not show.",
    .examples = "  venvfs mount proj                mount proj at ./.venv\n"
                "  venvfs mount proj ~/src/.venv    mount it there\n"
                "  venvfs mount --all               after a reboot: all, where they last were\n"
                "  venvfs mount --lower /srv/tree --upper up --work work /mnt/tree",
    .entries = entries,
    .run = run,
};

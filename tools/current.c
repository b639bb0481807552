#include "tools/current.h"

#include "layers/error.h"
#include "tools/mount-point.h"
#include "tools/mounted.h"

#define DEFAULT_PLACE ".venv"

/* The name behind a mount. Of a dead one only its source tells. */
static char *
name_of_mount (VfMounted *mounted, VfStore *store, const VfMountEntry *entry, GError **error)
{
  const VfLiveMount *live = vf_mounted_by_device (mounted, entry->device);
  if (live == NULL)
    return g_strdup (entry->source);
  if (g_str_equal (live->store, vf_store_path (store)))
    return g_strdup (live->name);
  vf_error_set (error, VF_ERROR_INVALID,
                "%s: the environment '%s' mounted here is of the store %s; add --store %s",
                entry->path, live->name, live->store, live->store);
  return NULL;
}

/* The one whose last place was @path. */
static char *
name_of_record (VfStore *store, const char *path)
{
  g_auto (GStrv) names = vf_environment_list (store, NULL);
  for (char **name = names; name != NULL && *name != NULL; name++) {
    g_autoptr (VfEnvironment) environment = vf_environment_open (store, *name, NULL);
    if (environment != NULL && g_strcmp0 (vf_environment_mount_point (environment), path) == 0)
      return g_strdup (*name);
  }
  return NULL;
}

char *
vf_environment_name_at (VfStore *store, const char *path, GError **error)
{
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return NULL;
  const VfMountEntry *entry = vf_mountinfo_containing (mounted->table, path);
  if (entry != NULL)
    return name_of_mount (mounted, store, entry, error);
  char *name = vf_mount_point_read_name (path);
  return name != NULL ? name : name_of_record (store, path);
}

static char *
current_name (VfStore *store, GError **error)
{
  g_autofree char *directory = g_get_current_dir ();
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return NULL;
  const VfMountEntry *entry = vf_mountinfo_containing (mounted->table, directory);
  if (entry != NULL)
    return name_of_mount (mounted, store, entry, error);
  g_autofree char *place = vf_mount_point_normalise (DEFAULT_PLACE, error);
  g_autoptr (GError) cause = NULL;
  char *name = place != NULL ? vf_environment_name_at (store, place, &cause) : NULL;
  if (cause != NULL)
    g_propagate_error (error, g_steal_pointer (&cause));
  else if (name == NULL && place != NULL)
    vf_error_set (error, VF_ERROR_NOT_FOUND,
                  "%s: no environment is or was mounted here; name one with -n, or mount one with "
                  "venvfs mount NAME",
                  place);
  return name;
}

VfEnvironment *
vf_current_environment (const VfInvocation *invocation, VfStore *store, GError **error)
{
  g_autofree char *found = invocation->name == NULL ? current_name (store, error) : NULL;
  const char *name = invocation->name != NULL ? invocation->name : found;
  return name != NULL ? vf_environment_open (store, name, error) : NULL;
}

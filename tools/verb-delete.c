/* venvfs delete NAME… */
#include <string.h>

#include "layers/environment.h"
#include "layers/error.h"
#include "tools/mount-point.h"
#include "tools/mounted.h"
#include "tools/mounting.h"
#include "tools/relocate.h"
#include "tools/verb.h"

static gboolean force;

static const GOptionEntry entries[] = {
    {"force", 'f', 0, G_OPTION_ARG_NONE, &force, "Even if programs use it where it is mounted",
     NULL},
    {NULL},
};

/* Takes it off all places where it is seen, which are added to @places: it may have been moved
 * there while it was mounted. */
static gboolean
unmount (VfStore *store, VfEnvironment *environment, GPtrArray *places, GError **error)
{
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (!mounted)
    return FALSE;
  VfMountedPlace place = vf_mounted_find (mounted, store, environment);
  gboolean dead = place.state == VF_MOUNTED_DEAD;
  for (guint i = mounted->table->len; place.path && i-- > 0;) {
    const VfMountEntry *entry = mounted->table->pdata[i];
    if (entry->device != place.device)
      continue;
    if (!vf_mounting_unmount (entry->path, entry->device, force || dead, error))
      return FALSE;
    g_ptr_array_add (places, g_strdup (entry->path));
  }
  vf_mounting_wait_released (environment);
  return TRUE;
}

static int
lock (VfEnvironment *environment, GError **error)
{
  g_autoptr (GError) cause = NULL;
  int fd = vf_environment_lock (environment, &cause);
  if (fd < 0 && g_error_matches (cause, VF_ERROR, VF_ERROR_BUSY))
    vf_error_set (error, VF_ERROR_BUSY,
                  "%s: in use by a mount that programs still hold; end them and try again",
                  vf_environment_name (environment));
  else if (fd < 0)
    g_propagate_error (error, g_steal_pointer (&cause));
  return fd;
}

/* @place, if it waits for @name: another environment may have taken it over. */
static gboolean
remove_mount_point (const char *place, const char *name, GError **error)
{
  g_autofree char *waits_for = vf_mount_point_read_name (place);
  return g_strcmp0 (waits_for, name) != 0 || vf_mount_point_remove (place, error);
}

/* All at which it is known to have been mounted. */
static GPtrArray *
places_of (VfEnvironment *environment)
{
  g_auto (GStrv) noted = vf_places_read (vf_environment_fd (environment));
  GPtrArray *places = g_ptr_array_new_with_free_func (g_free);
  for (gsize i = 0; noted[i]; i++)
    g_ptr_array_add (places, g_strdup (noted[i]));
  const char *recorded = vf_environment_mount_point (environment);
  if (recorded)
    g_ptr_array_add (places, g_strdup (recorded));
  return places;
}

static gboolean
delete_one (VfStore *store, const char *name, gboolean *out_left, GError **error)
{
  g_autoptr (VfEnvironment) environment = vf_environment_open (store, name, error);
  if (!environment)
    return FALSE;
  g_autoptr (GPtrArray) places = places_of (environment);
  if (!unmount (store, environment, places, error))
    return FALSE;
  VF_AUTOFD lock_fd = lock (environment, error);
  if (lock_fd < 0 || !vf_environment_delete (environment, out_left, error))
    return FALSE;
  for (guint i = 0; i < places->len; i++)
    if (!remove_mount_point (places->pdata[i], name, error))
      return FALSE;
  return TRUE;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  char *named[] = {(char *)invocation->name, NULL};
  if (invocation->name && !arguments[0])
    arguments = named;
  if (!vf_verb_check_arguments (invocation, arguments, 1, -1, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (!store)
    return FALSE;
  JsonObject *result = vf_output_result (invocation->output);
  JsonArray *deleted = result ? json_array_new () : NULL;
  if (result)
    json_object_set_array_member (result, "deleted", deleted);
  for (gsize i = 0; arguments[i]; i++) {
    gboolean left = FALSE;
    if (!delete_one (store, arguments[i], &left, error))
      return FALSE;
    vf_output_line (invocation->output, "Deleted %s%s", arguments[i],
                    left ? "; 'venvfs gc' frees its disk" : "");
    if (deleted)
      json_array_add_string_element (deleted, arguments[i]);
  }
  return TRUE;
}

extern const VfVerb vf_verb_delete;
const VfVerb vf_verb_delete = {
    .name = "delete",
    .arguments = "NAME…",
    .summary = "Delete environments, with all that was written into them",
    .description =
        "What is mounted is unmounted first, unless programs use it; directories made for\n"
        "its mounts go too. The packages stay in the store for other environments, until\n"
        "venvfs gc.",
    .examples = "  venvfs delete proj\n"
                "  venvfs delete --force old-one older-one",
    .entries = entries,
    .run = run,
};

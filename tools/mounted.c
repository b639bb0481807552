#include "tools/mounted.h"

#include <unistd.h>

#include "layers/error.h"
#include "tools/fuse-mount.h"
#include "tools/relocate.h"

VfMounted *
vf_mounted_new (GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (VfClient) client = vf_client_new (FALSE, &cause);
  g_autoptr (GPtrArray) live = client != NULL ? vf_client_list (client, error) : NULL;
  if (client == NULL && !g_error_matches (cause, VF_ERROR, VF_ERROR_NOT_FOUND)) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return NULL;
  }
  if (client != NULL && live == NULL)
    return NULL;
  GPtrArray *table = vf_mountinfo_read (error);
  if (table == NULL)
    return NULL;
  VfMounted *mounted = g_new0 (VfMounted, 1);
  mounted->live = live != NULL ? g_steal_pointer (&live) : g_ptr_array_new ();
  mounted->table = table;
  return mounted;
}

void
vf_mounted_free (VfMounted *mounted)
{
  g_ptr_array_unref (mounted->live);
  g_ptr_array_unref (mounted->table);
  g_free (mounted);
}

/* A mount of this user that the daemon does not serve and that does not answer. Its place tells
 * whose it is, or its device where the project was moved with it. */
static const VfMountEntry *
find_dead (VfMounted *mounted, VfEnvironment *environment)
{
  const char *name = vf_environment_name (environment);
  const VfMountRecord *record = vf_environment_mount_record (environment);
  g_auto (GStrv) places = vf_places_read (vf_environment_fd (environment));
  const VfMountEntry *found = NULL;
  for (guint i = 0; i < mounted->table->len; i++) {
    const VfMountEntry *entry = g_ptr_array_index (mounted->table, i);
    gboolean candidate = g_str_equal (entry->type, VF_MOUNT_TYPE) &&
                         g_str_equal (entry->source, name) && entry->owner == geteuid () &&
                         (entry->device == record->device ||
                          g_strv_contains ((const char *const *)places, entry->path)) &&
                         vf_mounted_by_device (mounted, entry->device) == NULL;
    if (!candidate || !vf_fuse_is_dead (entry->path))
      continue;
    if (found == NULL || g_strcmp0 (entry->path, record->point) == 0)
      found = entry;
  }
  return found;
}

VfMountedPlace
vf_mounted_find (VfMounted *mounted, VfStore *store, VfEnvironment *environment)
{
  const char *name = vf_environment_name (environment);
  for (guint i = 0; i < mounted->live->len; i++) {
    const VfLiveMount *live = g_ptr_array_index (mounted->live, i);
    if (g_strcmp0 (live->store, vf_store_path (store)) != 0 || g_strcmp0 (live->name, name) != 0)
      continue;
    const VfMountEntry *entry = vf_mountinfo_of_device (mounted->table, live->device,
                                                        vf_environment_mount_point (environment));
    return (VfMountedPlace){
        .state = entry != NULL ? VF_MOUNTED_LIVE : VF_MOUNTED_DETACHED,
        .path = entry != NULL ? entry->path : NULL,
        .device = live->device,
        .live = live,
    };
  }
  const VfMountEntry *dead = find_dead (mounted, environment);
  if (dead == NULL)
    return (VfMountedPlace){.state = VF_MOUNTED_NOT};
  return (VfMountedPlace){.state = VF_MOUNTED_DEAD, .path = dead->path, .device = dead->device};
}

VfEnvironment *
vf_mounted_behind_dead (VfMounted *mounted, VfStore *store, const VfMountEntry *entry)
{
  g_autoptr (VfEnvironment) named = vf_environment_open (store, entry->source, NULL);
  if (named == NULL || vf_mounted_find (mounted, store, named).device != entry->device)
    return NULL;
  return g_steal_pointer (&named);
}

const VfLiveMount *
vf_mounted_by_device (VfMounted *mounted, dev_t device)
{
  for (guint i = 0; i < mounted->live->len; i++) {
    const VfLiveMount *live = g_ptr_array_index (mounted->live, i);
    if (live->device == device)
      return live;
  }
  return NULL;
}

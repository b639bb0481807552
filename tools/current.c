#include "tools/current.h"

#include <stdlib.h>

#include "layers/error.h"
#include "tools/mount-point.h"
#include "tools/mounted.h"

#define DEFAULT_PLACE ".venv"

/* Every environment's last place → its name. */
static GHashTable *
read_records (VfStore *store)
{
  GHashTable *records = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_auto (GStrv) names = vf_environment_list (store, NULL);
  for (char **name = names; name != NULL && *name != NULL; name++) {
    g_autoptr (VfEnvironment) environment = vf_environment_open (store, *name, NULL);
    const char *place = environment != NULL ? vf_environment_mount_point (environment) : NULL;
    if (place != NULL)
      g_hash_table_insert (records, g_strdup (place), g_strdup (*name));
  }
  return records;
}

/* One search: what is mounted is read once, the records when they are needed. */
typedef struct {
  VfStore *store;
  VfMounted *mounted;
  GHashTable *records; /* NULL until they are needed */
} Search;

static void
search_clear (Search *search)
{
  g_clear_pointer (&search->mounted, vf_mounted_free);
  g_clear_pointer (&search->records, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Search, search_clear)

static const char *
recorded_at (Search *search, const char *path)
{
  if (search->records == NULL)
    search->records = read_records (search->store);
  return g_hash_table_lookup (search->records, path);
}

static gboolean
is_place (Search *search, const char *path)
{
  const VfMountEntry *entry = vf_mountinfo_at (search->mounted->table, path);
  if (entry != NULL)
    return g_str_equal (entry->type, VF_MOUNT_TYPE);
  g_autofree char *sentinel = vf_mount_point_read_name (path);
  return sentinel != NULL || recorded_at (search, path) != NULL;
}

/* The first .venv from @directory on upwards, or NULL. */
static char *
find_upwards (Search *search, const char *directory)
{
  g_autofree char *above = g_strdup (directory);
  for (;;) {
    g_autofree char *path = g_build_filename (above, DEFAULT_PLACE, NULL);
    char *real = realpath (path, NULL); /* it may be a symbolic link to the mount point */
    g_autofree char *place = g_strdup (real != NULL ? real : path);
    gboolean there = real != NULL;
    free (real);
    if (is_place (search, place))
      return g_steal_pointer (&place);
    if (there || g_str_equal (above, "/"))
      return NULL;
    char *parent = g_path_get_dirname (above);
    g_free (above);
    above = parent;
  }
}

static char *
find_place (Search *search, GError **error)
{
  g_autofree char *directory = vf_mount_point_normalise (".", error);
  if (directory == NULL)
    return NULL;
  search->mounted = vf_mounted_new (error);
  if (search->mounted == NULL)
    return NULL;
  const VfMountEntry *around = vf_mountinfo_containing (search->mounted->table, directory);
  if (around != NULL)
    return g_strdup (around->path);
  char *place = find_upwards (search, directory);
  if (place == NULL)
    vf_error_set (error, VF_ERROR_NOT_FOUND,
                  "%s: no environment is or was mounted at .venv here or above; name one with -n, "
                  "or mount one with venvfs mount NAME",
                  directory);
  return place;
}

char *
vf_current_place (VfStore *store, GError **error)
{
  g_auto (Search) search = {.store = store};
  return find_place (&search, error);
}

/* The name behind a mount. */
static char *
name_of_mount (const Search *search, const VfMountEntry *entry, GError **error)
{
  const VfLiveMount *live = vf_mounted_by_device (search->mounted, entry->device);
  if (live == NULL) {
    g_autoptr (VfEnvironment) own = vf_mounted_behind_dead (search->mounted, search->store, entry);
    if (own == NULL)
      vf_error_set (error, VF_ERROR_INVALID, VF_MOUNTED_STRAY, entry->path, entry->path);
    return own != NULL ? g_strdup (vf_environment_name (own)) : NULL;
  }
  if (g_str_equal (live->store, vf_store_path (search->store)))
    return g_strdup (live->name);
  vf_error_set (error, VF_ERROR_INVALID,
                "%s: the environment '%s' mounted here is of the store %s; add --store %s",
                entry->path, live->name, live->store, live->store);
  return NULL;
}

static char *
current_name (VfStore *store, GError **error)
{
  g_auto (Search) search = {.store = store};
  g_autofree char *place = find_place (&search, error);
  if (place == NULL)
    return NULL;
  const VfMountEntry *entry = vf_mountinfo_containing (search.mounted->table, place);
  if (entry != NULL)
    return name_of_mount (&search, entry, error);
  char *name = vf_mount_point_read_name (place);
  return name != NULL ? name : g_strdup (recorded_at (&search, place));
}

VfEnvironment *
vf_current_environment (const VfInvocation *invocation, VfStore *store, GError **error)
{
  g_autofree char *found = invocation->name == NULL ? current_name (store, error) : NULL;
  const char *name = invocation->name != NULL ? invocation->name : found;
  return name != NULL ? vf_environment_open (store, name, error) : NULL;
}

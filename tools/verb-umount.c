/* venvfs umount [MOUNTPOINT|NAME]… | --all */
#include <string.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tools/current.h"
#include "tools/fuse-mount.h"
#include "tools/interrupt.h"
#include "tools/mount-point.h"
#include "tools/mounting.h"
#include "tools/relocate.h"
#include "tools/stack-mount.h"
#include "tools/verb.h"

static gboolean option_all, option_force, option_remove;

static const GOptionEntry entries[] = {
    {"all", 'a', 0, G_OPTION_ARG_NONE, &option_all,
     "Unmount all; venvfs mount --all mounts them again", NULL},
    {"force", 'f', 0, G_OPTION_ARG_NONE, &option_force,
     "Even if it is in use: who uses it keeps what is open", NULL},
    {"remove", 0, 0, G_OPTION_ARG_NONE, &option_remove,
     "Remove the mount point too, unless it was there before venvfs", NULL},
    {NULL},
};

/* The environment behind a mount, to record that it is unmounted; NULL if it is not to be found. */
static VfEnvironment *
environment_behind (VfMounted *mounted, const VfMountEntry *entry, VfStore *store)
{
  const VfLiveMount *live = vf_mounted_by_device (mounted, entry->device);
  if (live == NULL)
    return vf_mounted_behind_dead (mounted, store, entry);
  g_autoptr (VfStore) its = vf_store_open (live->store, NULL);
  return its != NULL ? vf_environment_open (its, live->name, NULL) : NULL;
}

static void
report (VfInvocation *invocation, const char *name, const char *path)
{
  vf_output_line (invocation->output, "Unmounted %s from %s", name, path);
  JsonObject *result = vf_output_result (invocation->output);
  if (result == NULL)
    return;
  JsonObject *unmounted = json_object_new ();
  json_object_set_string_member (unmounted, "name", name);
  json_object_set_string_member (unmounted, "mount_point", path);
  json_array_add_object_element (json_object_get_array_member (result, "unmounted"), unmounted);
}

/* It may have been moved there while it was mounted: scripts were written there, and the mount
 * point is to be removed with the environment. --all is for a shutdown: `mount --all` brings them
 * back. */
static gboolean
note (VfEnvironment *environment, const char *path, GError **error)
{
  return vf_places_add (vf_environment_fd (environment), path, error) &&
         vf_environment_set_mount_record (environment, path, 0, option_all, error);
}

/* Until the daemon has given up what was mounted: @environment, or an upper, which the mount is
 * named after. */
static void
wait_released (VfEnvironment *environment, const VfLiveMount *live)
{
  if (environment != NULL)
    vf_mounting_wait_released (environment);
  else if (live != NULL && g_path_is_absolute (live->name)) {
    VF_AUTOFD fd = vf_stack_claim_upper (live->name, NULL);
  }
}

/* One place of a mount. When it was the last, its environment or upper is free once this
 * returns. */
static gboolean
unmount_entry (VfInvocation *invocation, VfMounted *mounted, const VfMountEntry *entry,
               VfStore *store, GError **error)
{
  g_autoptr (VfEnvironment) environment = environment_behind (mounted, entry, store);
  g_autofree char *former =
      environment != NULL ? g_strdup (vf_environment_mount_point (environment)) : NULL;
  gboolean dead = vf_fuse_is_dead (entry->path);
  if (!vf_mounting_unmount (entry->path, entry->device, option_force || dead, error))
    return FALSE;
  invocation->interrupted = "interrupted; what was not unmounted is still mounted";
  g_autoptr (GPtrArray) table = vf_mountinfo_read (error);
  if (table == NULL)
    return FALSE;
  gboolean last = vf_mountinfo_of_device (table, entry->device, NULL) == NULL;
  if (last && !option_force)
    wait_released (environment, vf_mounted_by_device (mounted, entry->device));
  if (environment != NULL && last) {
    g_autoptr (GError) cause = NULL;
    /* Done is what was asked for, also where there is no room to note it. */
    if (!note (environment, entry->path, &cause))
      vf_output_warning (invocation->output, "%s: is unmounted, but that is not noted: %s",
                         entry->source, cause->message);
  }
  vf_mount_point_reseal (entry->path, last ? former : NULL);
  report (invocation, entry->source, entry->path);
  return !option_remove || vf_mount_point_remove (entry->path, error);
}

/* All places where @name of this store is seen. */
static gboolean
unmount_name (VfInvocation *invocation, VfStore *store, const char *name, GError **error)
{
  g_autoptr (VfEnvironment) environment = vf_environment_open (store, name, error);
  g_autoptr (VfMounted) mounted = environment != NULL ? vf_mounted_new (error) : NULL;
  if (mounted == NULL)
    return FALSE;
  const char *recorded = vf_environment_mount_point (environment);
  VfMountedPlace place = vf_mounted_find (mounted, store, environment);
  if (place.path == NULL && option_remove && recorded != NULL)
    return vf_mount_point_remove (recorded, error);
  if (place.path == NULL)
    return vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: is not mounted", name);
  for (guint i = mounted->table->len; i-- > 0;) {
    const VfMountEntry *entry = g_ptr_array_index (mounted->table, i);
    if (entry->device == place.device && !unmount_entry (invocation, mounted, entry, store, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
unmount_path (VfInvocation *invocation, VfStore *store, const char *given, GError **error)
{
  g_autofree char *path = vf_mount_point_normalise (given, error);
  g_autoptr (VfMounted) mounted = path != NULL ? vf_mounted_new (error) : NULL;
  if (mounted == NULL)
    return FALSE;
  const VfMountEntry *entry = vf_mountinfo_at (mounted->table, path);
  if (entry != NULL && g_str_equal (entry->type, VF_MOUNT_TYPE))
    return unmount_entry (invocation, mounted, entry, store, error);
  if (entry != NULL)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: what is mounted here (%s) is no environment; use umount(8)", path,
                         entry->type);
  g_autofree char *sentinel = option_remove ? vf_mount_point_read_name (path) : NULL;
  if (sentinel != NULL)
    return vf_mount_point_remove (path, error);
  const VfMountEntry *around = vf_mountinfo_containing (mounted->table, path);
  return vf_error_set (error, VF_ERROR_NOT_FOUND,
                       around != NULL ? "%s: is not a mount point, but lies in one: %s"
                                      : "%s: nothing is mounted here%s",
                       path, around != NULL ? around->path : "");
}

static gboolean
is_own (VfMounted *mounted, const VfMountEntry *entry)
{
  return vf_mounted_by_device (mounted, entry->device) != NULL ||
         (g_str_equal (entry->type, VF_MOUNT_TYPE) && entry->owner == geteuid () &&
          vf_fuse_is_dead (entry->path));
}

static gboolean
unmount_all (VfInvocation *invocation, VfStore *store, GError **error)
{
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return FALSE;
  guint n_failed = 0;
  for (guint i = mounted->table->len; i-- > 0;) {
    const VfMountEntry *entry = g_ptr_array_index (mounted->table, i);
    g_autoptr (GError) cause = NULL;
    if (!vf_interrupt_check (error))
      return FALSE;
    if (!is_own (mounted, entry) || unmount_entry (invocation, mounted, entry, store, &cause))
      continue;
    if (!vf_verb_pass_over (invocation, &cause, error))
      return FALSE;
    n_failed++;
  }
  return n_failed == 0 || vf_error_set (error, VF_ERROR_BUSY,
                                        "%u of the environments could not be unmounted", n_failed);
}

/* A word without '/' that is no mount point here, mounted or not, is a name. */
static gboolean
is_path (const char *word)
{
  if (strchr (word, '/') != NULL || word[0] == '.')
    return TRUE;
  g_autofree char *path = vf_mount_point_normalise (word, NULL);
  g_autoptr (GPtrArray) table = path != NULL ? vf_mountinfo_read (NULL) : NULL;
  if (table == NULL)
    return FALSE;
  g_autofree char *sentinel = vf_mount_point_read_name (path);
  return sentinel != NULL || vf_mountinfo_at (table, path) != NULL;
}

/* What is meant is made out for all before the first is unmounted, which leaves the directory. */
static gboolean
unmount_words (VfInvocation *invocation, VfStore *store, char **words, GError **error)
{
  gsize n = g_strv_length (words);
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  for (gsize i = 0; i < n; i++) {
    char *path = is_path (words[i]) ? vf_mount_point_normalise (words[i], error) : g_strdup ("");
    if (path == NULL)
      return FALSE;
    g_ptr_array_add (paths, path);
  }
  for (gsize i = 0; i < n; i++) {
    const char *path = g_ptr_array_index (paths, i);
    if (!vf_interrupt_check (error) || !(*path ? unmount_path (invocation, store, path, error)
                                               : unmount_name (invocation, store, words[i], error)))
      return FALSE;
  }
  return TRUE;
}

static gboolean
unmount_current (VfInvocation *invocation, VfStore *store, GError **error)
{
  g_autofree char *place = vf_current_place (store, error);
  return place != NULL && unmount_path (invocation, store, place, error);
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  gboolean named = invocation->name != NULL || option_all;
  if (!vf_verb_check_arguments (invocation, arguments, 0, named ? 0 : -1, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (store == NULL)
    return FALSE;
  JsonObject *result = vf_output_result (invocation->output);
  if (result != NULL)
    json_object_set_array_member (result, "unmounted", json_array_new ());
  if (option_all)
    return unmount_all (invocation, store, error);
  if (invocation->name != NULL)
    return unmount_name (invocation, store, invocation->name, error);
  return arguments[0] != NULL ? unmount_words (invocation, store, arguments, error)
                              : unmount_current (invocation, store, error);
}

extern const VfVerb vf_verb_umount;
const VfVerb vf_verb_umount = {
    .name = "umount",
    .arguments = "[MOUNTPOINT|NAME]…",
    .summary = "Take environments off their directories",
    .description =
        "Unmounts what is mounted at MOUNTPOINT, or the environment NAME wherever it is;\n"
        "without either, the environment of the current directory. Nothing in it is\n"
        "lost: mount it again, here or elsewhere. The directory stays, with a file in it\n"
        "that says how to mount it again.",
    .examples = "  venvfs umount                    the environment of this directory\n"
                "  venvfs umount proj               wherever it is mounted\n"
                "  venvfs umount --remove .venv     and leave no directory behind",
    .entries = entries,
    .run = run,
};

/* The order of a mount, and what an end in the middle leaves:
 *
 *   the environment's lock      (freed with this process)
 *   the daemon is reached       (it leaves when idle)
 *   the place is claimed        (freed with this process) at most an empty directory
 *   the upper is relocated      (each file by itself; the list of places makes it repeatable)
 *   the sentinel is written     an unmounted mount point, as after umount
 *   the mount is made, the daemon adopts it
 *   it is attached              from here on it is mounted
 *   the place is recorded
 *
 * An ordinary user's mount is attached when it is made; killed before the daemon adopted it, it is
 * dead, which the next mount, status or doctor finds. */
#include "tools/mounting.h"

#include <errno.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tools/client.h"
#include "tools/fuse-mount.h"
#include "tools/interrupt.h"
#include "tools/mount-point.h"
#include "tools/relocate.h"
#include "tools/users.h"

/* The daemon gives the lock back a moment after the kernel says that a mount has gone. */
#define RELEASE_MSEC   2000
#define POLL_USEC      2000
#define BUSY_TRIES     10
#define BUSY_WAIT_USEC 20000
#define USERS_SHOWN    4

static gboolean
explain_locked (VfStore *store, VfEnvironment *environment, GError **error)
{
  const char *name = vf_environment_name (environment);
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return FALSE;
  VfMountedPlace place = vf_mounted_find (mounted, store, environment);
  if (place.state == VF_MOUNTED_LIVE)
    return vf_error_set (error, VF_ERROR_BUSY,
                         "%s: is mounted at %s already, and has one place at a time; venvfs umount "
                         "%s unmounts it",
                         name, place.path, place.path);
  if (place.state != VF_MOUNTED_DETACHED)
    return vf_error_set (error, VF_ERROR_BUSY,
                         "%s: another venvfs command is at work on it; try again", name);
  g_autofree char *users = vf_users_describe (place.device, USERS_SHOWN);
  return vf_error_set (error, VF_ERROR_BUSY,
                       "%s: was unmounted while in use, and is still used by %s; end that first",
                       name, users != NULL ? users : "a process that cannot be seen from here");
}

/* The lock, or -1. A mount that was just unmounted is waited for. */
static int
take_lock (VfStore *store, VfEnvironment *environment, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + RELEASE_MSEC * G_TIME_SPAN_MILLISECOND;
  for (gboolean looked = FALSE;; looked = TRUE) {
    g_autoptr (GError) cause = NULL;
    int fd = vf_environment_lock (environment, &cause);
    if (fd >= 0)
      return fd;
    if (!g_error_matches (cause, VF_ERROR, VF_ERROR_BUSY)) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return -1;
    }
    g_autoptr (VfMounted) mounted = looked ? NULL : vf_mounted_new (NULL);
    gboolean live =
        mounted != NULL && vf_mounted_find (mounted, store, environment).state == VF_MOUNTED_LIVE;
    if (live || g_get_monotonic_time () > deadline) {
      explain_locked (store, environment, error);
      return -1;
    }
    if (!vf_interrupt_check (error))
      return -1;
    g_usleep (POLL_USEC);
  }
}

gboolean
vf_mounting_wait_released (VfEnvironment *environment)
{
  gint64 deadline = g_get_monotonic_time () + RELEASE_MSEC * G_TIME_SPAN_MILLISECOND;
  for (;;) {
    VF_AUTOFD fd = vf_environment_lock (environment, NULL);
    if (fd >= 0)
      return TRUE;
    if (g_get_monotonic_time () > deadline)
      return FALSE;
    g_usleep (POLL_USEC);
  }
}

/* Dead mounts at @path, of whatever environment, however many lie over each other. */
static gboolean
clear_dead (const char *path, GError **error)
{
  for (;;) {
    g_autoptr (GPtrArray) table = vf_mountinfo_read (error);
    if (table == NULL)
      return FALSE;
    const VfMountEntry *at = vf_mountinfo_at (table, path);
    if (at == NULL || !g_str_equal (at->type, VF_MOUNT_TYPE) || !vf_fuse_is_dead (path))
      return TRUE;
    if (!vf_fuse_unmount (path, TRUE, error))
      return FALSE;
  }
}

/* Nobody needs --store for the usual one; whoever mounts it next may have no VENVFS_STORE. */
static const char *
store_as_given (VfStore *store)
{
  g_autofree char *standard = vf_store_usual_path ();
  const char *path = vf_store_path (store);
  return g_str_equal (path, standard) ? NULL : path;
}

typedef struct {
  VfStore *store;
  VfEnvironment *environment;
  const VfMountingOptions *options;
  VfMountPointRules rules;
  VfMountPoint *point;
  VfClient *client;
  int lock_fd;
  dev_t device;
} Mounting;

static void
mounting_clear (Mounting *mounting)
{
  g_clear_pointer (&mounting->client, vf_client_free);
  g_clear_pointer (&mounting->point, vf_mount_point_free);
  vf_fd_clear (&mounting->lock_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Mounting, mounting_clear)

static gboolean
adopt (Mounting *mounting, const VfFuseMount *mount, GError **error)
{
  char image[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&vf_environment_current (mounting->environment)->image, image);
  VfClientMount request = {
      .fuse_fd = mount->fuse_fd,
      .parent_fd = mounting->point->parent_fd,
      .lock_fd = mounting->lock_fd,
      .environment_fd = vf_environment_fd (mounting->environment),
      .store = vf_store_path (mounting->store),
      .name = vf_environment_name (mounting->environment),
      .prompt = vf_environment_prompt (mounting->environment),
      .mount_point = mounting->point->path,
      .image = image,
      .device = mount->device,
      .generation = vf_environment_current (mounting->environment)->number,
  };
  return vf_client_mount (mounting->client, &request, error);
}

/* From a prepared mount point to a mount; the caller undoes the former. */
static gboolean
mount_prepared (Mounting *mounting, GError **error)
{
  VfMountPoint *point = mounting->point;
  VfFuseOptions options = {
      .source = vf_environment_name (mounting->environment),
      .allow_other = mounting->options->allow_other,
      .flags = mounting->options->flags,
  };
  VfFuseMount mount;
  if (!vf_interrupt_check (error) || !vf_fuse_mount_open (point, &options, &mount, error))
    return FALSE;
  gboolean done = adopt (mounting, &mount, error) && vf_interrupt_check (error) &&
                  vf_fuse_mount_attach (&mount, point, error);
  mounting->device = mount.device;
  vf_fuse_mount_clear (&mount, point, !done);
  return done;
}

static gboolean
relocate (Mounting *mounting, GError **error)
{
  int fd = vf_environment_fd (mounting->environment);
  const char *place = mounting->point->path;
  g_auto (GStrv) former = vf_places_read (fd);
  g_autoptr (GError) cause = NULL;
  if (vf_relocate (fd, (const char *const *)former, place, &cause) &&
      vf_places_add (fd, place, &cause))
    return TRUE;
  g_propagate_prefixed_error (error, g_steal_pointer (&cause),
                              "%s: ", vf_environment_path (mounting->environment));
  return FALSE;
}

gboolean
vf_mounting_mount (VfStore *store, VfEnvironment *environment, const char *where,
                   const VfMountingOptions *options, char **out_path, GError **error)
{
  g_auto (Mounting) mounting = {
      .store = store,
      .environment = environment,
      .options = options,
      .rules = {.name = vf_environment_name (environment),
                .store = vf_store_path (store),
                .store_given = store_as_given (store),
                .interpreter = vf_environment_current (environment)->python},
      .lock_fd = -1,
  };
  const char *recorded = vf_environment_mount_point (environment);
  g_autofree char *path = vf_mount_point_normalise (where, error);
  if (path == NULL || !clear_dead (path, error) ||
      (recorded != NULL && !clear_dead (recorded, error)))
    return FALSE;
  mounting.point = vf_mount_point_check (path, &mounting.rules, error);
  if (mounting.point == NULL)
    return FALSE;
  mounting.lock_fd = take_lock (store, environment, error);
  if (mounting.lock_fd < 0)
    return FALSE;
  mounting.client = vf_client_new (TRUE, error);
  if (mounting.client == NULL || !vf_mount_point_claim (mounting.point, error))
    return FALSE;
  if (!relocate (&mounting, error) ||
      !vf_mount_point_prepare (mounting.point, &mounting.rules, error) ||
      !mount_prepared (&mounting, error)) {
    vf_mount_point_abandon (mounting.point);
    return FALSE;
  }
  if (!options->forget &&
      !vf_environment_set_mount_record (environment, path, mounting.device, TRUE, error)) {
    vf_fuse_unmount (path, TRUE, NULL);
    vf_mount_point_abandon (mounting.point);
    return FALSE;
  }
  vf_mount_point_seal (mounting.point);
  *out_path = g_strdup (path);
  return TRUE;
}

gboolean
vf_mounting_unmount (const char *path, dev_t device, gboolean force, GError **error)
{
  g_autoptr (GError) cause = NULL;
  /* Called from inside the mount, this process must not be the one that keeps it busy. */
  if (chdir ("/") < 0)
    return vf_error_errno (error, errno, "/: cannot be entered");
  /* The daemon itself may be in there for a moment, to prefetch (fs/lister.h). */
  for (guint i = 0; i < BUSY_TRIES; i++) {
    g_clear_error (&cause);
    if (vf_fuse_unmount (path, force, &cause))
      return TRUE;
    if (!g_error_matches (cause, VF_SYSTEM_ERROR, EBUSY))
      break;
    g_usleep (BUSY_WAIT_USEC);
  }
  if (!g_error_matches (cause, VF_SYSTEM_ERROR, EBUSY)) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return FALSE;
  }
  g_autofree char *users = vf_users_describe (device, USERS_SHOWN);
  return vf_error_set (error, VF_ERROR_BUSY,
                       "%s: is in use by %s; end that, or unmount it all the same with --force",
                       path, users != NULL ? users : "a process that cannot be seen from here");
}

gboolean
vf_mounting_repair (VfStore *store, VfEnvironment *environment, gboolean *out_repaired,
                    GError **error)
{
  *out_repaired = FALSE;
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return FALSE;
  VfMountedPlace place = vf_mounted_find (mounted, store, environment);
  if (place.state != VF_MOUNTED_DEAD)
    return TRUE;
  g_autofree char *path = NULL;
  VfMountingOptions options = {0};
  *out_repaired = vf_mounting_mount (store, environment, place.path, &options, &path, error);
  return *out_repaired;
}

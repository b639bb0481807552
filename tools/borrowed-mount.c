#include "tools/borrowed-mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tools/interrupt.h"
#include "tools/mount-point.h"
#include "tools/mounting.h"
#include "tools/runtime-dir.h"

#define FOLDER         "run"
#define PATH_BYTES     4096
#define SETTLE_MSEC    500
#define SETTLE_STEP    5000
#define STORE_ID_CHARS 8

struct VfBorrowedMount {
  VfEnvironment *environment; /* borrowed */
  char *path;
  int users_fd; /* flocked shared by each user; holds the path of a mount that was made so */
};

static void
borrowed_free (VfBorrowedMount *mount)
{
  vf_fd_clear (&mount->users_fd);
  g_free (mount->path);
  g_free (mount);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfBorrowedMount, borrowed_free)

/* Of an environment: the same name may be in several stores. */
static char *
own_name (VfStore *store, VfEnvironment *environment)
{
  g_autofree char *id =
      g_compute_checksum_for_string (G_CHECKSUM_SHA256, vf_store_path (store), -1);
  id[STORE_ID_CHARS] = '\0';
  return g_strdup_printf ("%s-%s", vf_environment_name (environment), id);
}

static int
open_users (const char *name, GError **error)
{
  VF_AUTOFD runtime = vf_runtime_dir_open (TRUE, error);
  if (runtime < 0)
    return -1;
  g_autofree char *file = g_strconcat (FOLDER "/", name, ".users", NULL);
  if (mkdirat (runtime, FOLDER, 0700) < 0 && errno != EEXIST) {
    g_autofree char *path = vf_runtime_dir_path ();
    vf_error_errno (error, errno, "%s/" FOLDER ": cannot be made", path);
    return -1;
  }
  return vf_runtime_dir_lock (runtime, file, LOCK_SH, error);
}

static char *
private_place (const char *name)
{
  g_autofree char *runtime = vf_runtime_dir_path ();
  return g_build_filename (runtime, FOLDER, name, NULL);
}

static gboolean
record_made (VfBorrowedMount *mount, GError **error)
{
  return (ftruncate (mount->users_fd, 0) == 0 && lseek (mount->users_fd, 0, SEEK_SET) == 0 &&
          vf_write_all (mount->users_fd, mount->path, strlen (mount->path), mount->path, NULL)) ||
         vf_error_errno (error, errno, "%s: cannot be noted", mount->path);
}

/* Noted only once it is mounted: a note without a mount could make the next command take a mount
 * away that a person made there. */
static gboolean
mount_at (VfBorrowedMount *mount, VfStore *store, const char *where, GError **error)
{
  VfMountingOptions options = {.forget = TRUE};
  g_autofree char *path = NULL;
  if (!vf_mounting_mount (store, mount->environment, where, &options, &path, error))
    return FALSE;
  g_free (mount->path);
  mount->path = g_steal_pointer (&path);
  return record_made (mount, error);
}

static gboolean
mount_anew (VfBorrowedMount *mount, VfStore *store, const char *own, GError **error)
{
  const char *recorded = vf_environment_mount_point (mount->environment);
  g_autofree char *named = recorded != NULL ? vf_mount_point_read_name (recorded) : NULL;
  if (g_strcmp0 (named, vf_environment_name (mount->environment)) == 0 &&
      mount_at (mount, store, recorded, NULL))
    return TRUE;
  g_autofree char *place = private_place (own);
  return vf_interrupt_check (error) && mount_at (mount, store, place, error);
}

VfBorrowedMount *
vf_borrowed_mount_new (VfStore *store, VfEnvironment *environment, GError **error)
{
  g_autofree char *own = own_name (store, environment);
  g_autoptr (VfBorrowedMount) mount = g_new0 (VfBorrowedMount, 1);
  mount->environment = environment;
  mount->users_fd = open_users (own, error);
  if (mount->users_fd < 0)
    return NULL;
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return NULL;
  VfMountedPlace place = vf_mounted_find (mounted, store, environment);
  if (place.state == VF_MOUNTED_LIVE) {
    mount->path = g_strdup (place.path);
    return g_steal_pointer (&mount);
  }
  g_autoptr (GError) cause = NULL;
  if (mount_anew (mount, store, own, &cause))
    return g_steal_pointer (&mount);
  /* Another command of the same kind was quicker. */
  g_autoptr (VfMounted) again = vf_mounted_new (NULL);
  if (again != NULL)
    place = vf_mounted_find (again, store, environment);
  if (again == NULL || place.state != VF_MOUNTED_LIVE) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return NULL;
  }
  g_free (mount->path);
  mount->path = g_strdup (place.path);
  return g_steal_pointer (&mount);
}

void
vf_borrowed_mount_disown (VfStore *store, VfEnvironment *environment)
{
  g_autofree char *own = own_name (store, environment);
  g_autofree char *place = private_place (own);
  g_autofree char *file = g_strconcat (place, ".users", NULL);
  if (truncate (file, 0) < 0 && errno != ENOENT)
    g_message ("%s: %s", file, g_strerror (errno));
}

const char *
vf_borrowed_mount_path (const VfBorrowedMount *mount)
{
  return mount->path;
}

/* What the command left running may take a moment to end; after that it keeps what it has open. */
static gboolean
unmount_settled (const char *path, dev_t device, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + SETTLE_MSEC * G_TIME_SPAN_MILLISECOND;
  while (g_get_monotonic_time () < deadline) {
    g_autoptr (GError) cause = NULL;
    if (vf_mounting_unmount (path, device, FALSE, &cause))
      return TRUE;
    if (!g_error_matches (cause, VF_ERROR, VF_ERROR_BUSY))
      break;
    g_usleep (SETTLE_STEP);
  }
  return vf_mounting_unmount (path, device, TRUE, error);
}

static gboolean
take_away (VfBorrowedMount *mount, GError **error)
{
  char made[PATH_BYTES] = "";
  ssize_t length = pread (mount->users_fd, made, sizeof made - 1, 0);
  if (length <= 0)
    return TRUE;
  g_autoptr (GPtrArray) table = vf_mountinfo_read (error);
  if (table == NULL)
    return FALSE;
  const VfMountEntry *entry = vf_mountinfo_at (table, made);
  gboolean ours = entry != NULL && g_str_equal (entry->type, VF_MOUNT_TYPE) &&
                  g_str_equal (entry->source, vf_environment_name (mount->environment));
  if (ours && !unmount_settled (made, entry->device, error))
    return FALSE;
  if (ours)
    vf_mounting_wait_released (mount->environment);
  if (ftruncate (mount->users_fd, 0) < 0)
    return vf_error_errno (error, errno, "%s: cannot be noted", made);
  /* Only a private one: a recorded mount point keeps its sentinel. */
  return g_strcmp0 (vf_environment_mount_point (mount->environment), made) == 0 ||
         vf_mount_point_remove (made, error);
}

gboolean
vf_borrowed_mount_return (VfBorrowedMount *mount, GError **error)
{
  g_autoptr (VfBorrowedMount) owned = mount;
  /* Who does not get it has company, and that comes last. */
  return flock (owned->users_fd, LOCK_EX | LOCK_NB) < 0 || take_away (owned, error);
}

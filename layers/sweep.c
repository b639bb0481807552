/* Order of a sweep, and why nothing in use is lost (sweep.h, trash.h):
 *
 *   1. `trash` is flocked: one sweep at a time. What a killed one left is put back.
 *   2. Marking without the store's lock, to have most of it done.
 *   3. `lock` exclusively, if that can be had within a second, else shared.
 *   4. Marking again: what was marked costs nothing, what is new is added. Beside writers all that
 *      is fresh is marked too.
 *   5. What refers goes before what it refers to (deleted environments first of all), folder by
 *      folder, each made durable before the next: after a crash nothing that is in place refers to
 *      what is gone. Beside writers each thing is looked at again after its rename: a writer
 *      freshens a thing before he relies on it, so either the rename came first and he found it
 *      missing, or it is fresh now and is put back together with all it reaches, which is not yet
 *      taken.
 *   6. The lock is released, and the trash emptied. */
#include "layers/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/reach.h"
#include "layers/trash.h"

#define LOCK_WAIT_USEC (1000 * 1000)
#define LOCK_POLL_USEC (5 * 1000)
#define CACHE_SECONDS  (30 * 24 * 3600)

typedef struct Sweep Sweep;

/* What to do with one sort of files that are named by a digest. */
typedef struct {
  gboolean (*is_reached) (Sweep *sweep, const char *relative, const VfDigest *digest);
  /* It has been freshened in the last moment: what it reaches stays too. */
  gboolean (*keep) (Sweep *sweep, const char *relative, const VfDigest *digest, GError **error);
} Kind;

struct Sweep {
  VfStore *store;
  VfReach *reach;
  VfSweepResult *result;
  gboolean dry_run;
  gint64 since;       /* beside writers: what is newer stays; 0: the store is ours alone */
  const char *folder; /* that is being swept */
  const Kind *kind;   /* of what is in it */
  guint64 *counter;
  char *trash;         /* owned; where to: "trash/sweep" or "trash/dead-<random>" */
  gboolean moved;      /* something of this folder */
  gboolean made_trash; /* the directory */
};

/* --- Taking one thing --- */

static gboolean
sync_folder (Sweep *sweep, const char *relative, GError **error)
{
  VF_AUTOFD fd = openat (vf_store_fd (sweep->store), relative,
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || fsync (fd) < 0)
    return vf_error_errno (error, errno, "%s/%s: cannot sync", vf_store_path (sweep->store),
                           relative);
  return TRUE;
}

static gboolean
sync_all (Sweep *sweep, GError **error)
{
  VF_AUTOFD fd = openat (vf_store_fd (sweep->store), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || syncfs (fd) < 0)
    return vf_error_errno (error, errno, "%s: cannot sync", vf_store_path (sweep->store));
  return TRUE;
}

/* To @trash; where there is no room for that, as on btrfs over its quota, whoever is alone here
 * does without. Absent is success. */
static gboolean
move_away (Sweep *sweep, const char *relative, const char *trash, GError **error)
{
  int fd = vf_store_fd (sweep->store);
  if (!sweep->made_trash)
    sweep->made_trash = mkdirat (fd, sweep->trash, 0700) == 0 || errno == EEXIST;
  if (sweep->made_trash && (renameat (fd, relative, fd, trash) == 0 || errno == ENOENT))
    return TRUE;
  if ((errno == EDQUOT || errno == ENOSPC) && sweep->since == 0)
    return vf_remove_tree (fd, relative, relative, error);
  return vf_error_errno (error, errno, "%s/%s: cannot move to %s", vf_store_path (sweep->store),
                         relative, sweep->trash);
}

/* Beside writers: whether one has freshened it in the meantime. */
static gboolean
was_freshened (Sweep *sweep, const char *trash)
{
  struct stat st;
  if (sweep->since == 0)
    return FALSE;
  /* Gone: a writer took it back. */
  return fstatat (vf_store_fd (sweep->store), trash, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
         st.st_mtime > sweep->since;
}

/* *@out_taken: FALSE if it has to stay after all. @st: of it, from before. */
static gboolean
take (Sweep *sweep, const char *relative, const struct stat *st, gboolean *out_taken,
      GError **error)
{
  *out_taken = FALSE;
  if (sweep->since != 0 && st->st_mtime > sweep->since)
    return TRUE;
  if (!sweep->dry_run) {
    g_autofree char *name = g_strdelimit (g_strdup (relative), "/", ':');
    g_autofree char *trash = g_build_filename (sweep->trash, name, NULL);
    if (!move_away (sweep, relative, trash, error))
      return FALSE;
    if (was_freshened (sweep, trash))
      return vf_trash_put_back (sweep->store, trash, relative, error);
  }
  sweep->moved = TRUE;
  sweep->result->bytes += (guint64)st->st_blocks * 512;
  *out_taken = TRUE;
  return TRUE;
}

/* --- Folders, in the order in which they are swept --- */

static gboolean
wheel_is_reached (Sweep *sweep, const char *relative, const VfDigest *digest)
{
  g_autoptr (GBytes) bytes = vf_store_get (sweep->store, relative, NULL);
  VfDigest package;
  return bytes && g_bytes_get_size (bytes) >= VF_DIGEST_HEX &&
         vf_digest_from_hex (g_bytes_get_data (bytes, NULL), VF_DIGEST_HEX, &package) &&
         vf_reach_has_package (sweep->reach, &package);
}

/* Its package is freshened after it, and before anything is made of it. */
static gboolean
keep_wheel (Sweep *sweep, const char *relative, const VfDigest *digest, GError **error)
{
  return TRUE;
}

static gboolean
image_is_reached (Sweep *sweep, const char *relative, const VfDigest *digest)
{
  return vf_reach_has_image (sweep->reach, digest);
}

static gboolean
keep_image (Sweep *sweep, const char *relative, const VfDigest *digest, GError **error)
{
  return vf_reach_add_image (sweep->reach, digest, error);
}

static gboolean
listing_is_reached (Sweep *sweep, const char *relative, const VfDigest *digest)
{
  return vf_reach_has_listing (sweep->reach, relative);
}

static gboolean
keep_listing (Sweep *sweep, const char *relative, const VfDigest *digest, GError **error)
{
  return vf_reach_add_listing (sweep->reach, relative, error);
}

static gboolean
package_is_reached (Sweep *sweep, const char *relative, const VfDigest *digest)
{
  return vf_reach_has_package (sweep->reach, digest);
}

static gboolean
keep_package (Sweep *sweep, const char *relative, const VfDigest *digest, GError **error)
{
  return vf_reach_add_package (sweep->reach, digest, error);
}

static const Kind wheels = {wheel_is_reached, keep_wheel};
static const Kind images = {image_is_reached, keep_image};
static const Kind listings = {listing_is_reached, keep_listing};
static const Kind packages = {package_is_reached, keep_package};

static gboolean
sweep_index (const char *name, gpointer user_data, GError **error)
{
  Sweep *sweep = user_data;
  g_autofree char *relative = g_build_filename (sweep->folder, name, NULL);
  struct stat st;
  VfDigest digest;
  gboolean taken;
  /* What has no name of ours is the check's to tell. */
  if (!vf_digest_from_hex (name, strlen (name), &digest) ||
      fstatat (vf_store_fd (sweep->store), relative, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      sweep->kind->is_reached (sweep, relative, &digest))
    return TRUE;
  if (!take (sweep, relative, &st, &taken, error))
    return FALSE;
  if (!taken)
    return sweep->kind->keep (sweep, relative, &digest, error);
  ++*sweep->counter;
  return TRUE;
}

static gboolean
sweep_folder (Sweep *sweep, const char *folder, const Kind *kind, guint64 *counter, GError **error)
{
  sweep->folder = folder;
  sweep->kind = kind;
  sweep->counter = counter;
  sweep->moved = FALSE;
  if (!vf_folder_foreach (sweep->store, folder, sweep_index, sweep, error))
    return FALSE;
  return !sweep->moved || sweep->dry_run ||
         ((!sweep->made_trash || sync_folder (sweep, sweep->trash, error)) &&
          sync_folder (sweep, folder, error));
}

static gboolean
sweep_listings (const char *name, gpointer user_data, GError **error)
{
  Sweep *sweep = user_data;
  g_autofree char *folder = g_build_filename ("bytecode", name, NULL);
  if (!sweep_folder (sweep, folder, &listings, &sweep->result->bytecode, error))
    return FALSE;
  /* Empty, and nobody is about to put something into it. */
  if (sweep->since == 0 && !sweep->dry_run)
    unlinkat (vf_store_fd (sweep->store), folder, AT_REMOVEDIR);
  return TRUE;
}

static gboolean
sweep_object (const char *name, gpointer user_data, GError **error)
{
  Sweep *sweep = user_data;
  g_autofree char *hex = g_strconcat (sweep->folder + strlen ("objects/"), name, NULL);
  VfDigest digest;
  struct stat st;
  gboolean taken;
  if (!vf_digest_from_hex (hex, strlen (hex), &digest) ||
      vf_reach_has_object (sweep->reach, &digest))
    return TRUE;
  g_autofree char *relative = g_build_filename (sweep->folder, name, NULL);
  if (fstatat (vf_store_fd (sweep->store), relative, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return TRUE;
  if (!take (sweep, relative, &st, &taken, error))
    return FALSE;
  sweep->result->objects += taken;
  return TRUE;
}

static gboolean
sweep_objects (const char *name, gpointer user_data, GError **error)
{
  Sweep *sweep = user_data;
  g_autofree char *folder = g_build_filename ("objects", name, NULL);
  sweep->folder = folder;
  return vf_folder_foreach (sweep->store, folder, sweep_object, sweep, error);
}

/* --- What is left behind --- */

static gboolean
sweep_dead (const char *name, gpointer user_data, GError **error)
{
  Sweep *sweep = user_data;
  g_autofree char *relative = g_build_filename (sweep->folder, name, NULL);
  struct stat st;
  gboolean taken;
  int store_fd = vf_store_fd (sweep->store);
  /* Beside writers, what is new is not even tried for its lock: its maker is about to take it. */
  if (fstatat (store_fd, relative, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      (sweep->since != 0 && st.st_mtime > sweep->since))
    return TRUE;
  VF_AUTOFD fd = openat (store_fd, relative, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd >= 0 && flock (fd, LOCK_EX | LOCK_NB) < 0)
    return TRUE;
  guint64 bytes = vf_trash_measure (store_fd, relative) - (guint64)st.st_blocks * 512;
  if (!take (sweep, relative, &st, &taken, error))
    return FALSE;
  if (taken) {
    sweep->result->bytes += bytes;
    sweep->result->others++;
  }
  return TRUE;
}

/* Caches of ours may vanish at any time, but a pip that an environment has is worth its place, and
 * so is what an import read of an image. */
static gboolean
sweep_cached (const char *name, gpointer user_data, GError **error)
{
  Sweep *sweep = user_data;
  g_autofree char *relative = g_build_filename (sweep->folder, name, NULL);
  const char *dash = strrchr (name, '-');
  VfDigest of;
  struct stat st;
  if (fstatat (vf_store_fd (sweep->store), relative, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      st.st_mtime + CACHE_SECONDS > time (NULL) ||
      (dash && vf_digest_from_hex (dash + 1, strlen (dash + 1), &of) &&
       (vf_reach_has_package (sweep->reach, &of) || vf_reach_has_image (sweep->reach, &of))))
    return TRUE;
  return sweep_dead (name, user_data, error);
}

static gboolean
sweep_left (Sweep *sweep, GError **error)
{
  static const struct {
    const char *folder;
    VfFolderFunc func;
  } folders[] = {{"tmp", sweep_dead},
                 {"leases", sweep_dead},
                 {"resolutions", sweep_cached},
                 {"interpreters", sweep_cached},
                 {"cache", sweep_cached}};
  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++) {
    sweep->folder = folders[i].folder;
    if (!vf_folder_foreach (sweep->store, sweep->folder, folders[i].func, sweep, error))
      return FALSE;
  }
  return TRUE;
}

/* --- The whole --- */

static int
lock_file (VfStore *store, const char *relative, int flags, GError **error)
{
  int fd = openat (vf_store_fd (store), relative, O_CLOEXEC | O_NOFOLLOW | flags, 0600);
  if (fd < 0)
    vf_error_errno (error, errno, "%s/%s: cannot open", vf_store_path (store), relative);
  return fd;
}

/* Exclusively if nobody writes within a second, else shared. */
static gboolean
lock_store (Sweep *sweep, int fd, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + LOCK_WAIT_USEC;
  while (flock (fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return vf_error_errno (error, errno, "%s/lock: cannot lock", vf_store_path (sweep->store));
    if (g_get_monotonic_time () >= deadline) {
      sweep->since = time (NULL) - VF_STORE_GRACE_SECONDS;
      sweep->result->cautious = TRUE;
      return flock (fd, LOCK_SH) == 0 ||
             vf_error_errno (error, errno, "%s/lock: cannot lock", vf_store_path (sweep->store));
    }
    g_usleep (LOCK_POLL_USEC);
  }
  return TRUE;
}

static gboolean
mark_and_take (Sweep *sweep, GError **error)
{
  if (!vf_reach_add_roots (sweep->reach, sweep->store, error))
    return FALSE;
  if (sweep->since != 0 && !vf_reach_add_fresh (sweep->reach, sweep->store, sweep->since, error))
    return FALSE;
  VfSweepResult *result = sweep->result;
  /* Creating and deleting an environment waits for no disk, but nothing one needs may go before it,
   * nor may it be durable before what it needs. */
  return (sweep->dry_run || sync_all (sweep, error)) &&
         sweep_folder (sweep, "wheels", &wheels, &result->wheels, error) &&
         sweep_folder (sweep, "images", &images, &result->images, error) &&
         vf_folder_foreach (sweep->store, "bytecode", sweep_listings, sweep, error) &&
         sweep_folder (sweep, "packages", &packages, &result->packages, error) &&
         vf_folder_foreach (sweep->store, "objects", sweep_objects, sweep, error) &&
         sweep_left (sweep, error);
}

/* Under the lock. */
static gboolean
sweep_locked (Sweep *sweep, GError **error)
{
  int fd = vf_store_fd (sweep->store);
  g_autofree char *dead = g_strdup_printf ("trash/dead-%08x%08x", g_random_int (), g_random_int ());
  sweep->trash = g_strdup (sweep->since != 0 ? VF_TRASH_SWEEP : dead);
  if (!mark_and_take (sweep, error))
    return FALSE;
  if (sweep->since != 0 && sweep->made_trash && renameat (fd, VF_TRASH_SWEEP, fd, dead) < 0)
    return vf_error_errno (error, errno, "%s/%s: cannot rename", vf_store_path (sweep->store),
                           VF_TRASH_SWEEP);
  g_free (sweep->trash);
  sweep->trash = g_steal_pointer (&dead);
  return TRUE;
}

/* Most of the marking, while writers may go on. What fails here is tried again under the lock. */
static VfReach *
mark_ahead (VfStore *store)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfReach) reach = vf_reach_new (store);
  if (vf_reach_add_roots (reach, store, &error))
    return g_steal_pointer (&reach);
  g_debug ("marking ahead: %s", error->message);
  return vf_reach_new (store);
}

gboolean
vf_sweep (VfStore *store, gboolean dry_run, VfSweepResult *out_result, GError **error)
{
  memset (out_result, 0, sizeof *out_result);
  VF_AUTOFD trash_fd = lock_file (store, "trash", O_RDONLY | O_DIRECTORY, error);
  if (trash_fd < 0)
    return FALSE;
  if (flock (trash_fd, LOCK_EX | LOCK_NB) < 0)
    return vf_error_set (error, VF_ERROR_BUSY, "%s: another gc is at work here",
                         vf_store_path (store));
  VF_AUTOFD lock_fd = lock_file (store, "lock", O_RDWR | O_CREAT, error);
  if (lock_fd < 0 || !vf_trash_recover (store, error))
    return FALSE;
  g_autoptr (VfReach) reach = mark_ahead (store);
  Sweep sweep = {.store = store, .reach = reach, .result = out_result, .dry_run = dry_run};
  gboolean ok = lock_store (&sweep, lock_fd, error) && sweep_locked (&sweep, error);
  vf_fd_clear (&lock_fd);
  ok = ok &&
       vf_trash_empty (store, dry_run, sweep.trash, &out_result->bytes, &out_result->others, error);
  g_free (sweep.trash);
  return ok;
}

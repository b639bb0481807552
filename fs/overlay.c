/* Making and ending an overlay. */
#include "fs/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/internal.h"
#include "layers/error.h"

/* Of one mount. A process that serves hundreds raises its limit on descriptors (fs/main.c). */
#define MAX_DESCRIPTORS 64

static int
open_directory (int environment_fd, const char *name, GError **error)
{
  if (mkdirat (environment_fd, name, 0755) < 0 && errno != EEXIST) {
    vf_error_errno (error, errno, "%s: cannot make the directory", name);
    return -1;
  }
  int fd = vf_beneath_open (environment_fd, name, O_PATH | O_DIRECTORY, 0);
  if (fd < 0)
    vf_error_errno (error, -fd, "%s: cannot open the directory", name);
  return fd;
}

static gboolean
open_directories (VfOverlay *overlay, const VfOverlayOptions *options, GError **error)
{
  gboolean alone = options->work_fd > 0;
  overlay->upper_fd = open_directory (options->environment_fd, alone ? "." : "upper", error);
  if (overlay->upper_fd < 0)
    return FALSE;
  overlay->work_fd = alone ? open_directory (options->work_fd, ".", error)
                           : open_directory (options->environment_fd, "work", error);
  if (overlay->work_fd < 0 || alone)
    return overlay->work_fd >= 0;
  overlay->environment_fd = fcntl (options->environment_fd, F_DUPFD_CLOEXEC, 3);
  return overlay->environment_fd >= 0 ||
         vf_error_errno (error, errno, "environment: cannot keep its directory open");
}

/* What a former daemon left in work/, or the kernel did not forget before the mount ended, belongs
 * to nobody any more. */
static gboolean
empty_work (int work_fd, GError **error)
{
  int fd = vf_beneath_open_forced (work_fd, ".", O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return vf_error_errno (error, -fd, "work: cannot list");
  g_autoptr (DIR) dir = vf_dir_of_fd (fd);
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    if (!vf_remove_tree (dirfd (dir), name, name, error))
      return FALSE;
  return errno == 0 || vf_error_errno (error, errno, "work: cannot list");
}

static gboolean
is_no_room (int errnum)
{
  return errnum == ENOSPC || errnum == EDQUOT;
}

/* Marks and whiteouts must work there; both directories must be of one file system. Want of room
 * says nothing of that: whoever is over quota has to mount to be able to remove something. */
static gboolean
probe_upper (VfOverlay *overlay, GError **error)
{
  struct stat upper, work;
  if (fstat (overlay->upper_fd, &upper) < 0 || fstat (overlay->work_fd, &work) < 0)
    return vf_error_errno (error, errno, "upper: cannot stat");
  if (upper.st_dev != work.st_dev)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "upper: not on the same file system as the directory work beside it");
  VfProcPath path;
  vf_proc_path (&path, overlay->work_fd, NULL);
  if (setxattr (path.text, "user.overlay.probe", "y", 1, 0) < 0 && !is_no_room (errno))
    return vf_error_errno (error, errno,
                           "upper: its file system keeps no user attributes, which an overlay "
                           "needs and ext4, xfs and btrfs have");
  removexattr (path.text, "user.overlay.probe");
  int result = vf_whiteout_prepare (overlay);
  if (result < 0 && !is_no_room (-result))
    return vf_error_errno (error, -result,
                           "upper: its file system allows no whiteouts (character devices 0:0), "
                           "which an overlay needs and ext4, xfs and btrfs have");
  return TRUE;
}

/* See copyup.c. */
static gboolean
forgets_sizes (int fd)
{
  struct statfs fs;
  return fstatfs (fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
}

/* What was set aside when the generation was left, and by a switch that was not completed. */
static gboolean
bring_back (VfOverlay *overlay, guint generation, GError **error)
{
  if (generation == 0)
    return TRUE;
  g_rw_lock_writer_lock (&overlay->tree);
  int result = vf_aside_bring_back (overlay, generation, 0, FALSE, NULL);
  g_rw_lock_writer_unlock (&overlay->tree);
  return result == 0 ||
         vf_error_errno (error, -result, "aside/%u: cannot be brought back into the upper",
                         generation);
}

static void
close_asides (VfOverlay *overlay)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, overlay->asides);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    int fd = GPOINTER_TO_INT (value);
    vf_fd_clear (&fd);
  }
  g_hash_table_unref (overlay->asides);
}

VfOverlay *
vf_overlay_new (VfImage *image, const VfOverlayOptions *options, GError **error)
{
  g_autoptr (VfOverlay) overlay = g_new0 (VfOverlay, 1);
  g_rw_lock_init (&overlay->tree);
  g_mutex_init (&overlay->turns_lock);
  g_mutex_init (&overlay->images_lock);
  g_cond_init (&overlay->turns_changed);
  overlay->work_fd = -1;
  overlay->environment_fd = -1;
  overlay->asides = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  if (!open_directories (overlay, options, error) || !empty_work (overlay->work_fd, error) ||
      !probe_upper (overlay, error))
    return NULL;
  overlay->privileged = geteuid () == 0;
  overlay->uid = geteuid ();
  overlay->gid = getegid ();
  overlay->forgets_sizes = forgets_sizes (overlay->upper_fd);
  VfProcPath path;
  overlay->has_aside = vf_mark_has_aside (vf_proc_path (&path, overlay->upper_fd, NULL));
  overlay->turns = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  overlay->images = g_ptr_array_new_with_free_func ((GDestroyNotify)vf_image_unref);
  overlay->newest = overlay->first = image;
  overlay->shown = g_array_new (FALSE, TRUE, sizeof (guint));
  g_array_set_size (overlay->shown, 1);
  g_ptr_array_add (overlay->images, vf_image_ref (image));
  overlay->store = vf_store_ref (options->store);
  overlay->upper = vf_upper_new ();
  overlay->lowers = vf_lowers_new ();
  overlay->descriptors = vf_descriptors_new (MAX_DESCRIPTORS);
  overlay->listings = vf_listings_new ();
  overlay->views = vf_views_new (options->prompt, options->mount_point);
  if (!bring_back (overlay, options->generation, error))
    return NULL;
  return g_steal_pointer (&overlay);
}

void
vf_overlay_on_touched (VfOverlay *overlay, VfOverlayNodeFunc func, gpointer user_data)
{
  overlay->on_touched = func;
  overlay->on_touched_data = user_data;
}

void
vf_overlay_free (VfOverlay *overlay)
{
  if (!overlay)
    return;
  if (overlay->work_fd >= 0)
    empty_work (overlay->work_fd, NULL);
  vf_views_free (overlay->views);
  vf_listings_free (overlay->listings);
  vf_descriptors_free (overlay->descriptors);
  vf_upper_free (overlay->upper);
  vf_lowers_free (overlay->lowers);
  g_clear_pointer (&overlay->store, vf_store_unref);
  g_clear_pointer (&overlay->images, g_ptr_array_unref);
  g_clear_pointer (&overlay->shown, g_array_unref);
  g_clear_pointer (&overlay->turns, g_hash_table_unref);
  vf_fd_clear (&overlay->work_fd);
  vf_fd_clear (&overlay->upper_fd);
  vf_fd_clear (&overlay->environment_fd);
  close_asides (overlay);
  g_cond_clear (&overlay->turns_changed);
  g_mutex_clear (&overlay->images_lock);
  g_mutex_clear (&overlay->turns_lock);
  g_rw_lock_clear (&overlay->tree);
  g_free (overlay);
}

VfImage *
vf_overlay_image (VfOverlay *overlay)
{
  return overlay->first;
}

VfStore *
vf_overlay_store (VfOverlay *overlay)
{
  return overlay->store;
}

gboolean
vf_overlay_has_acls (VfOverlay *overlay)
{
  VfProcPath path;
  vf_proc_path (&path, overlay->upper_fd, NULL);
  return getxattr (path.text, "system.posix_acl_access", NULL, 0) >= 0 || errno == ENODATA;
}

int
vf_overlay_statfs (VfOverlay *overlay, struct statvfs *out_statvfs)
{
  return fstatvfs (overlay->upper_fd, out_statvfs) < 0 ? -errno : 0;
}

/* The upper is claimed by a lock on the directory itself, which the daemon holds as long as the
 * mount lives: whoever comes by whatever path, and from whatever mount namespace, finds it taken.
 * The daemon's part of the work directory is a directory in it, as overlayfs has it, since it is
 * emptied. */
#include "tools/stack-mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/outside-upper.h"
#include "layers/stack.h"
#include "tools/client.h"
#include "tools/fuse-mount.h"
#include "tools/interrupt.h"
#include "tools/mountinfo.h"

/* The daemon gives an upper back a moment after the kernel says that its mount has gone. */
#define RELEASE_MSEC 2000
#define POLL_USEC    2000

typedef struct {
  GPtrArray *lower; /* of char *, NULL-terminated */
  char *upper, *work;
  int upper_fd, work_fd;
  VfClient *client;
  VfMountPoint *point;
} Mounting;

static void
mounting_clear (Mounting *mounting)
{
  g_clear_pointer (&mounting->lower, g_ptr_array_unref);
  g_clear_pointer (&mounting->client, vf_client_free);
  g_clear_pointer (&mounting->point, vf_mount_point_free);
  vf_fd_clear (&mounting->upper_fd);
  vf_fd_clear (&mounting->work_fd);
  g_free (mounting->upper);
  g_free (mounting->work);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Mounting, mounting_clear)

/* Absolute, without links; NULL unless it is a directory. */
static char *
resolve (const char *path, GError **error)
{
  char real[PATH_MAX];
  struct stat st;
  if (realpath (path, real) == NULL || stat (real, &st) < 0)
    vf_error_errno (error, errno, "%s: cannot be used", path);
  else if (!S_ISDIR (st.st_mode))
    vf_error_set (error, VF_ERROR_INVALID, "%s: is not a directory", path);
  else
    return g_strdup (real);
  return NULL;
}

static gboolean
check_apart (const char *a, const char *b, GError **error)
{
  gboolean inside = vf_path_is_within (a, b);
  return (!inside && !vf_path_is_within (b, a)) ||
         vf_error_set (error, VF_ERROR_INVALID,
                       "%s: lies in %s; lower, upper and work directories have to be apart",
                       inside ? a : b, inside ? b : a);
}

static gboolean
resolve_all (Mounting *mounting, const VfStackMount *mount, GError **error)
{
  mounting->lower = g_ptr_array_new_with_free_func (g_free);
  mounting->upper = resolve (mount->upper, error);
  mounting->work = mounting->upper != NULL ? resolve (mount->work, error) : NULL;
  if (mounting->work == NULL || !check_apart (mounting->upper, mounting->work, error))
    return FALSE;
  for (const char *const *lower = mount->lower; *lower != NULL; lower++) {
    char *path = resolve (*lower, error);
    if (path == NULL)
      return FALSE;
    g_ptr_array_add (mounting->lower, path);
    if (!check_apart (path, mounting->upper, error) || !check_apart (path, mounting->work, error))
      return FALSE;
  }
  g_ptr_array_add (mounting->lower, NULL);
  return mounting->lower->len > 1 ||
         vf_error_set (error, VF_ERROR_INVALID, "%s: there is no lower directory to show",
                       mount->upper);
}

static gboolean
lock_upper (int fd, const char *path, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + RELEASE_MSEC * G_TIME_SPAN_MILLISECOND;
  while (flock (fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return vf_error_errno (error, errno, "%s: cannot be locked", path);
    if (g_get_monotonic_time () > deadline)
      return vf_error_set (error, VF_ERROR_BUSY,
                           "%s: is the upper of a mount, and can be of one at a time; unmount "
                           "that first",
                           path);
    if (!vf_interrupt_check (error))
      return FALSE;
    g_usleep (POLL_USEC);
  }
  return TRUE;
}

int
vf_stack_claim_upper (const char *path, GError **error)
{
  VF_AUTOFD fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    vf_error_errno (error, errno, "%s: cannot be opened", path);
  return fd >= 0 && lock_upper (fd, path, error) ? vf_fd_steal (&fd) : -1;
}

static gboolean
claim_upper (Mounting *mounting, GError **error)
{
  mounting->upper_fd = vf_stack_claim_upper (mounting->upper, error);
  return mounting->upper_fd >= 0;
}

static gboolean
open_work (Mounting *mounting, GError **error)
{
  g_autofree char *path = g_build_filename (mounting->work, "work", NULL);
  if (mkdir (path, 0700) < 0 && errno != EEXIST)
    return vf_error_errno (error, errno, "%s: cannot be made", path);
  mounting->work_fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return mounting->work_fd >= 0 || vf_error_errno (error, errno, "%s: cannot be opened", path);
}

/* An existing directory, which stays as it is. */
static gboolean
open_point (Mounting *mounting, const char *where, GError **error)
{
  mounting->point = g_new0 (VfMountPoint, 1);
  VfMountPoint *point = mounting->point;
  point->parent_fd = point->directory_fd = -1;
  point->path = resolve (where, error);
  if (point->path == NULL)
    return FALSE;
  point->name = g_path_get_basename (point->path);
  g_autofree char *parent = g_path_get_dirname (point->path);
  point->parent_fd = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  point->directory_fd = open (point->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return (point->parent_fd >= 0 && point->directory_fd >= 0) ||
         vf_error_errno (error, errno, "%s: cannot be opened", point->path);
}

/* A mount over a lower directory hides nothing that is needed: it was read before. */
static gboolean
check_point (const Mounting *mounting, VfStore *store, GError **error)
{
  const char *path = mounting->point->path;
  const char *const needed[] = {mounting->upper, mounting->work, vf_store_path (store)};
  for (gsize i = 0; i < G_N_ELEMENTS (needed); i++) {
    if (vf_path_is_within (needed[i], path))
      return vf_error_set (error, VF_ERROR_INVALID,
                           "%s: a mount here would hide %s; mount somewhere else", path, needed[i]);
    if (vf_path_is_within (path, needed[i]))
      return vf_error_set (error, VF_ERROR_INVALID, "%s: lies in %s; mount outside of it", path,
                           needed[i]);
  }
  return TRUE;
}

static gboolean
adopt (Mounting *mounting, VfStore *store, const VfFuseMount *made, const VfDigest *image,
       GError **error)
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (image, hex);
  VfClientMount request = {
      .fuse_fd = made->fuse_fd,
      .parent_fd = mounting->point->parent_fd,
      .lock_fd = mounting->upper_fd,
      .environment_fd = mounting->upper_fd,
      .work_fd = mounting->work_fd,
      .store = vf_store_path (store),
      .name = mounting->upper,
      .prompt = "",
      .mount_point = mounting->point->path,
      .image = hex,
      .device = made->device,
  };
  return vf_client_mount (mounting->client, &request, error);
}

static gboolean
mount_image (Mounting *mounting, VfStore *store, const VfStackMount *mount, const VfDigest *image,
             GError **error)
{
  VfFuseOptions options = {
      .source = mount->source != NULL ? mount->source : mounting->upper,
      .allow_other = mount->allow_other,
      .flags = mount->flags,
  };
  VfFuseMount made;
  if (!vf_interrupt_check (error) || !vf_fuse_mount_open (mounting->point, &options, &made, error))
    return FALSE;
  gboolean done = adopt (mounting, store, &made, image, error) && vf_interrupt_check (error) &&
                  vf_fuse_mount_attach (&made, mounting->point, error);
  vf_fuse_mount_clear (&made, mounting->point, !done);
  return done;
}

/* The record keeps what the upper uses from a sweep, and a sweep from an upper that cannot be
 * reached. An empty one that could not be mounted uses nothing. */
static gboolean
mount_recorded (Mounting *mounting, VfStore *store, const VfStackMount *mount,
                const VfDigest *image, GError **error)
{
  if (!vf_outside_upper_record (store, mounting->upper, error))
    return FALSE;
  if (mount_image (mounting, store, mount, image, error))
    return TRUE;
  g_autoptr (DIR) dir = vf_dir_open (mounting->upper_fd, ".");
  if (dir != NULL && vf_dir_next (dir) == NULL && errno == 0)
    vf_outside_upper_forget (store, mounting->upper);
  return FALSE;
}

/* The write lease keeps the image until the daemon has one of its own. */
gboolean
vf_stack_mount (VfStore *store, const VfStackMount *mount, const char *where, GPtrArray *warnings,
                char **out_path, GError **error)
{
  g_auto (Mounting) mounting = {.upper_fd = -1, .work_fd = -1};
  VfDigest image;
  if (!resolve_all (&mounting, mount, error) || !open_point (&mounting, where, error) ||
      !check_point (&mounting, store, error) || !claim_upper (&mounting, error) ||
      !open_work (&mounting, error))
    return FALSE;
  mounting.client = vf_client_new (TRUE, error);
  if (mounting.client == NULL)
    return FALSE;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, error);
  if (write == NULL ||
      !vf_stack_build (store, (const char *const *)mounting.lower->pdata, vf_interrupted, warnings,
                       &image, error) ||
      !mount_recorded (&mounting, store, mount, &image, error))
    return FALSE;
  *out_path = g_strdup (mounting.point->path);
  return TRUE;
}

/* Lock: mounts->lock guards the table. It is not held while a store, an image or a session is
 * opened or freed, nor while an image is switched. A mount's fields are written before it enters
 * the table and freed after it left it and no switch is going on; those that a switch changes are
 * guarded by the lock. */
#include "fs/mounts.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "fs/session.h"
#include "layers/error.h"
#include "layers/lease.h"

/* The kernel queues INIT while it mounts: it is there already, or something is badly wrong. */
#define INIT_TIMEOUT_MSEC 5000

typedef struct {
  VfMounts *mounts;
  VfMountRequest *request; /* of its descriptors only the lock is left */
  VfStore *store;
  VfImage *image;     /* what is shown; [lock], as request->image is */
  GPtrArray *leases;  /* of VfLease: of all images that were shown */
  VfSession *session; /* owns the overlay and the fuse descriptor */
  gboolean switching; /* [lock] */
} Mount;

struct VfMounts {
  VfPool *pool; /* borrowed */
  VfMountsChangedFunc changed;
  gpointer user_data;
  pthread_mutex_t lock;
  pthread_cond_t switched; /* some mount is not switching any more */
  GPtrArray *live;         /* of Mount; not owned: a mount frees itself */
};

static void
mount_free (Mount *mount)
{
  g_clear_pointer (&mount->session, vf_session_free);
  g_clear_pointer (&mount->leases, g_ptr_array_unref);
  g_clear_pointer (&mount->image, vf_image_unref);
  g_clear_pointer (&mount->store, vf_store_unref);
  g_clear_pointer (&mount->request, vf_mount_request_free);
  g_free (mount);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Mount, mount_free)

/* Stores and images are shared among the mounts that use the same. */
static void
mount_share (Mount *mount)
{
  VfMounts *mounts = mount->mounts;
  pthread_mutex_lock (&mounts->lock);
  for (guint i = 0; i < mounts->live->len && mount->image == NULL; i++) {
    Mount *other = g_ptr_array_index (mounts->live, i);
    if (!g_str_equal (other->request->store, mount->request->store))
      continue;
    if (mount->store == NULL)
      mount->store = vf_store_ref (other->store);
    if (g_str_equal (other->request->image, mount->request->image))
      mount->image = vf_image_ref (other->image);
  }
  pthread_mutex_unlock (&mounts->lock);
}

/* Before it is opened, so that a sweep cannot take it in between. */
static VfLease *
claim_image (VfStore *store, const char *image, GError **error)
{
  VfDigest digest;
  if (!vf_digest_from_hex (image, strlen (image), &digest)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: is not the name of an image", image);
    return NULL;
  }
  g_autofree char *line = g_strconcat ("image ", image, NULL);
  return vf_lease_new (store, (const char *[]){line, NULL}, error);
}

static VfImage *
open_image (VfStore *store, const char *image, GError **error)
{
  g_autofree char *relative = g_strconcat ("images/", image, NULL);
  g_autoptr (GError) cause = NULL;
  vf_store_reuse (store, relative);
  VfImage *opened = vf_image_open (vf_store_fd (store), relative, &cause);
  if (opened == NULL && g_error_matches (cause, VF_ERROR, VF_ERROR_DAMAGED))
    vf_error_set (error, VF_ERROR_DAMAGED, "%s/%s; run venvfs fsck", vf_store_path (store),
                  cause->message);
  else if (opened == NULL)
    g_propagate_error (error, g_steal_pointer (&cause));
  return opened;
}

static gboolean
mount_open_image (Mount *mount, GError **error)
{
  const VfMountRequest *request = mount->request;
  mount_share (mount);
  if (mount->store == NULL)
    mount->store = vf_store_open (request->store, error);
  if (mount->store == NULL)
    return FALSE;
  VfLease *lease = claim_image (mount->store, request->image, error);
  if (lease == NULL)
    return FALSE;
  g_ptr_array_add (mount->leases, lease);
  if (mount->image == NULL)
    mount->image = open_image (mount->store, request->image, error);
  return mount->image != NULL;
}

static gboolean
mount_open_session (Mount *mount, GError **error)
{
  VfMountRequest *request = mount->request;
  VfOverlayOptions options = {
      .store = mount->store,
      .environment_fd = request->environment_fd,
      .work_fd = MAX (request->work_fd, 0),
      .prompt = request->prompt,
      .mount_point = request->mount_point,
      .generation = request->generation,
  };
  VfOverlay *overlay = vf_overlay_new (mount->image, &options, error);
  if (overlay == NULL) {
    g_prefix_error (error, "%s: ", request->name);
    return FALSE;
  }
  vf_fd_clear (&request->environment_fd);
  vf_fd_clear (&request->work_fd);
  g_autofree char *name = g_path_get_basename (request->mount_point);
  mount->session = vf_session_new (overlay, vf_fd_steal (&request->fuse_fd),
                                   vf_fd_steal (&request->parent_fd), name, error);
  return mount->session != NULL;
}

/* Whoever mounted it is told when this is done, so that nobody sees a mount that does not answer.
 */
static gboolean
mount_answer_init (Mount *mount, GError **error)
{
  struct fuse_buf buffer = {0};
  int status = 0;
  while (status == 0) {
    struct pollfd wait = {.fd = vf_session_fd (mount->session), .events = POLLIN};
    int n = poll (&wait, 1, INIT_TIMEOUT_MSEC);
    if (n < 0 && errno == EINTR)
      continue;
    status = n > 0 ? vf_session_step (mount->session, &buffer) : n < 0 ? -errno : -ETIMEDOUT;
  }
  free (buffer.mem);
  return status > 0 ||
         vf_error_errno (error, -status, "%s: the kernel does not begin to use the mount",
                         mount->request->mount_point);
}

static int
mount_step (gpointer user_data, struct fuse_buf *buffer)
{
  Mount *mount = user_data;
  return vf_session_step (mount->session, buffer);
}

static void
mount_gone (gpointer user_data)
{
  Mount *mount = user_data;
  VfMounts *mounts = mount->mounts;
  pthread_mutex_lock (&mounts->lock);
  g_ptr_array_remove_fast (mounts->live, mount);
  while (mount->switching)
    pthread_cond_wait (&mounts->switched, &mounts->lock);
  pthread_mutex_unlock (&mounts->lock);
  g_message ("%s: unmounted", mount->request->name);
  mount_free (mount);
  mounts->changed (mounts->user_data);
}

gboolean
vf_mounts_add (VfMounts *mounts, VfMountRequest *request, GError **error)
{
  g_autoptr (Mount) mount = g_new0 (Mount, 1);
  mount->mounts = mounts;
  mount->request = request;
  mount->leases = g_ptr_array_new_with_free_func ((GDestroyNotify)vf_lease_free);
  if (!mount_open_image (mount, error) || !mount_open_session (mount, error) ||
      !mount_answer_init (mount, error))
    return FALSE;

  pthread_mutex_lock (&mounts->lock);
  g_ptr_array_add (mounts->live, mount);
  pthread_mutex_unlock (&mounts->lock);
  g_message ("%s: mounted at %s, image %s, store %s", request->name, request->mount_point,
             request->image, request->store);
  if (vf_pool_add (mounts->pool, vf_session_fd (mount->session), mount_step, mount_gone, mount,
                   error)) {
    g_steal_pointer (&mount); /* the pool's: mount_gone() frees it, maybe already has */
    return TRUE;
  }
  pthread_mutex_lock (&mounts->lock);
  g_ptr_array_remove_fast (mounts->live, mount);
  pthread_mutex_unlock (&mounts->lock);
  return FALSE;
}

/* One at a time for a mount; the mount stays until end_switch(). */
static Mount *
begin_switch (VfMounts *mounts, guint64 device, GError **error)
{
  pthread_mutex_lock (&mounts->lock);
  Mount *found = NULL;
  for (;;) {
    found = NULL;
    for (guint i = 0; i < mounts->live->len && found == NULL && device != 0; i++) {
      Mount *mount = g_ptr_array_index (mounts->live, i);
      found = mount->request->device == device ? mount : NULL;
    }
    if (found == NULL || !found->switching)
      break;
    pthread_cond_wait (&mounts->switched, &mounts->lock);
  }
  if (found != NULL)
    found->switching = TRUE;
  pthread_mutex_unlock (&mounts->lock);
  if (found == NULL)
    vf_error_set (error, VF_ERROR_NOT_FOUND, "daemon: has no mount of that device number");
  return found;
}

/* @image: what is shown now, taken over; NULL: what was shown before. */
static void
end_switch (Mount *mount, VfImage *image, const char *hex)
{
  VfMounts *mounts = mount->mounts;
  VfImage *former = NULL;
  pthread_mutex_lock (&mounts->lock);
  if (image != NULL) {
    former = mount->image;
    mount->image = image;
    g_free (mount->request->image);
    mount->request->image = g_strdup (hex);
  }
  mount->switching = FALSE;
  pthread_cond_broadcast (&mounts->switched);
  pthread_mutex_unlock (&mounts->lock);
  g_clear_pointer (&former, vf_image_unref);
}

static gboolean
mount_switch (Mount *mount, const VfSwitchRequest *request, VfImage *image, char ***out_hidden,
              GError **error)
{
  VfSwitch wanted = {.image = image,
                     .aside = request->number,
                     .set_aside = (const char *const *)request->paths,
                     .bring_back = request->bring_back};
  int result = vf_session_switch (mount->session, &wanted, out_hidden);
  const char *name = mount->request->name;
  if (result == 0)
    g_message ("%s: shows image %s", name, request->image);
  return result == 0 ||
         vf_error_errno (error, -result, "%s: cannot go over to image %s", name, request->image);
}

gboolean
vf_mounts_switch (VfMounts *mounts, const VfSwitchRequest *request, char ***out_hidden,
                  GError **error)
{
  Mount *mount = begin_switch (mounts, request->device, error);
  if (mount == NULL)
    return FALSE;
  g_autoptr (VfLease) lease = claim_image (mount->store, request->image, error);
  g_autoptr (VfImage) image =
      lease != NULL ? open_image (mount->store, request->image, error) : NULL;
  gboolean done = image != NULL && mount_switch (mount, request, image, out_hidden, error);
  if (done)
    g_ptr_array_add (mount->leases, g_steal_pointer (&lease));
  end_switch (mount, done ? g_steal_pointer (&image) : NULL, request->image);
  return done;
}

VfMounts *
vf_mounts_new (VfPool *pool, VfMountsChangedFunc changed, gpointer user_data)
{
  VfMounts *mounts = g_new0 (VfMounts, 1);
  mounts->pool = pool;
  mounts->changed = changed;
  mounts->user_data = user_data;
  pthread_mutex_init (&mounts->lock, NULL);
  pthread_cond_init (&mounts->switched, NULL);
  mounts->live = g_ptr_array_new ();
  return mounts;
}

void
vf_mounts_free (VfMounts *mounts)
{
  for (guint i = 0; i < mounts->live->len; i++)
    mount_free (g_ptr_array_index (mounts->live, i));
  g_ptr_array_unref (mounts->live);
  pthread_cond_destroy (&mounts->switched);
  pthread_mutex_destroy (&mounts->lock);
  g_free (mounts);
}

guint
vf_mounts_count (VfMounts *mounts)
{
  pthread_mutex_lock (&mounts->lock);
  guint n = mounts->live->len;
  pthread_mutex_unlock (&mounts->lock);
  return n;
}

/* By opcode, as linux/fuse.h has them. */
static const char *const opcode_names[] = {
    [1] = "LOOKUP",        [2] = "FORGET",         [3] = "GETATTR",
    [4] = "SETATTR",       [5] = "READLINK",       [6] = "SYMLINK",
    [8] = "MKNOD",         [9] = "MKDIR",          [10] = "UNLINK",
    [11] = "RMDIR",        [12] = "RENAME",        [13] = "LINK",
    [14] = "OPEN",         [15] = "READ",          [16] = "WRITE",
    [17] = "STATFS",       [18] = "RELEASE",       [20] = "FSYNC",
    [21] = "SETXATTR",     [22] = "GETXATTR",      [23] = "LISTXATTR",
    [24] = "REMOVEXATTR",  [25] = "FLUSH",         [26] = "INIT",
    [27] = "OPENDIR",      [28] = "READDIR",       [29] = "RELEASEDIR",
    [30] = "FSYNCDIR",     [31] = "GETLK",         [32] = "SETLK",
    [33] = "SETLKW",       [34] = "ACCESS",        [35] = "CREATE",
    [36] = "INTERRUPT",    [37] = "BMAP",          [38] = "DESTROY",
    [39] = "IOCTL",        [40] = "POLL",          [41] = "NOTIFY_REPLY",
    [42] = "BATCH_FORGET", [43] = "FALLOCATE",     [44] = "READDIRPLUS",
    [45] = "RENAME2",      [46] = "LSEEK",         [47] = "COPY_FILE_RANGE",
    [48] = "SETUPMAPPING", [49] = "REMOVEMAPPING", [50] = "SYNCFS",
    [51] = "TMPFILE",      [52] = "STATX",
};

static GVariant *
requests_describe (VfSession *session)
{
  guint64 counts[VF_COUNTED_OPCODES];
  vf_session_counts (session, counts);
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{st}"));
  for (guint opcode = 0; opcode < G_N_ELEMENTS (counts); opcode++) {
    const char *name = opcode < G_N_ELEMENTS (opcode_names) ? opcode_names[opcode] : NULL;
    if (counts[opcode] > 0)
      g_variant_builder_add (&builder, "{st}", name != NULL ? name : "other", counts[opcode]);
  }
  return g_variant_builder_end (&builder);
}

static GVariant *
mount_describe (Mount *mount)
{
  const VfMountRequest *request = mount->request;
  g_autofree char *mount_point = vf_session_mount_point (mount->session);
  GVariantDict dict;
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "store", "^ay", request->store);
  g_variant_dict_insert (&dict, "name", "^ay", request->name);
  g_variant_dict_insert (&dict, "mount_point", "^ay", mount_point);
  g_variant_dict_insert (&dict, "device", "t", request->device);
  g_variant_dict_insert (&dict, "image", "s", request->image);
  g_variant_dict_insert_value (&dict, "requests", requests_describe (mount->session));
  return g_variant_dict_end (&dict);
}

GVariant *
vf_mounts_list (VfMounts *mounts)
{
  GVariantBuilder builder;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  pthread_mutex_lock (&mounts->lock);
  for (guint i = 0; i < mounts->live->len; i++)
    g_variant_builder_add_value (&builder, mount_describe (g_ptr_array_index (mounts->live, i)));
  pthread_mutex_unlock (&mounts->lock);
  return g_variant_builder_end (&builder);
}

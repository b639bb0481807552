/* Where a mount is, now: the project directory may be moved while mounted.
 *
 * The kernel tells the path of a descriptor of the directory that holds the mount point. It is
 * asked for whenever somebody looks at a view, whose attributes are not cached for that reason. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/operations.h"
#include "layers/io.h"

struct VfFollow {
  VfSession *session;
  int parent_fd; /* borrowed; -1: the mount point is where it was said to be */
  char *mount_name;
  GMutex lock;
  char *last;          /* the last path that was found; [lock] */
  GThread *notifier;   /* [lock] */
  gboolean is_running; /* the notifier has not looked for the last time yet; [lock] */
  gboolean is_pending; /* a change that no notifier has begun to tell of; [lock] */
};

VfFollow *
vf_follow_new (VfSession *session, int parent_fd, const char *mount_name)
{
  VfFollow *follow = g_new0 (VfFollow, 1);
  g_mutex_init (&follow->lock);
  follow->session = session;
  follow->parent_fd = parent_fd;
  follow->mount_name = g_strdup (mount_name ? mount_name : "");
  return follow;
}

void
vf_follow_free (VfFollow *follow)
{
  if (!follow)
    return;
  if (follow->notifier)
    g_thread_join (follow->notifier);
  g_free (follow->last);
  g_free (follow->mount_name);
  g_mutex_clear (&follow->lock);
  g_free (follow);
}

/* NULL when there is nothing to ask, or the directory was removed. */
static char *
read_path (const VfFollow *follow)
{
  VfProcPath link;
  char parent[PATH_MAX];
  if (follow->parent_fd < 0)
    return NULL;
  ssize_t length =
      readlink (vf_proc_path (&link, follow->parent_fd, NULL), parent, sizeof parent - 1);
  if (length <= 0 || parent[0] != '/')
    return NULL;
  parent[length] = '\0';
  if (g_str_has_suffix (parent, " (deleted)"))
    return NULL;
  return g_build_filename (parent, follow->mount_name, NULL);
}

char *
vf_follow_path (VfFollow *follow)
{
  char *path = read_path (follow);
  if (path)
    return path;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&follow->lock);
  return g_strdup (follow->last ? follow->last : follow->mount_name);
}

static void
invalidate_view (guint64 id, gpointer user_data)
{
  VfSession *session = user_data;
  fuse_lowlevel_notify_inval_inode (session->fuse, id, 0, 0);
}

static gboolean
begin_telling (VfFollow *follow)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&follow->lock);
  follow->is_running = follow->is_pending;
  follow->is_pending = FALSE;
  return follow->is_running;
}

static gpointer
notifier_run (gpointer user_data)
{
  VfFollow *follow = user_data;
  while (begin_telling (follow))
    vf_overlay_foreach_view (follow->session->overlay, invalidate_view, follow->session);
  return NULL;
}

/* Where no thread is to be had, whoever looks at a view next tries again. Holds: lock. */
static void
notify (VfFollow *follow)
{
  if (follow->is_running)
    return;
  if (follow->notifier)
    g_thread_join (follow->notifier);
  follow->notifier = g_thread_try_new ("venvfs-follow", notifier_run, follow, NULL);
  follow->is_running = follow->notifier != NULL;
}

gboolean
vf_follow_refresh (VfFollow *follow)
{
  g_autofree char *path = read_path (follow);
  if (!path)
    return FALSE;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&follow->lock);
  gboolean has_moved = g_strcmp0 (path, follow->last) != 0 &&
                       vf_overlay_set_mount_point (follow->session->overlay, path);
  g_free (follow->last);
  follow->last = g_steal_pointer (&path);
  follow->is_pending |= has_moved;
  if (follow->is_pending)
    notify (follow);
  return has_moved;
}

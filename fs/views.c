/* Views as this mount renders them: each time anew, since the kernel remembers what it was told.
 * That takes microseconds; kept, the views of one mount are 70 KB. What is remembered is which of
 * them the kernel may know, for when the mount point changes. */
#include <string.h>

#include "fs/internal.h"
#include "layers/view.h"

struct VfViews {
  GMutex lock;
  char *prompt;
  char *mount_point; /* [lock] */
  GHashTable *shown; /* set of node ids; [lock] */
};

VfViews *
vf_views_new (const char *prompt, const char *mount_point)
{
  VfViews *views = g_new0 (VfViews, 1);
  g_mutex_init (&views->lock);
  views->prompt = g_strdup (prompt ? prompt : "");
  views->mount_point = g_strdup (mount_point ? mount_point : "/");
  views->shown = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  return views;
}

void
vf_views_free (VfViews *views)
{
  if (!views)
    return;
  g_hash_table_unref (views->shown);
  g_free (views->mount_point);
  g_free (views->prompt);
  g_mutex_clear (&views->lock);
  g_free (views);
}

GBytes *
vf_views_render (VfViews *views, const VfImageNode *node)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&views->lock);
  if (!g_hash_table_contains (views->shown, &node->id))
    g_hash_table_add (views->shown, g_memdup2 (&node->id, sizeof node->id));
  VfViewContext context = {.mount_point = views->mount_point, .prompt = views->prompt};
  return vf_view_render (node->data, (gsize)node->size, &context);
}

gboolean
vf_overlay_set_mount_point (VfOverlay *overlay, const char *path)
{
  VfViews *views = overlay->views;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&views->lock);
  if (strcmp (views->mount_point, path) == 0)
    return FALSE;
  g_free (views->mount_point);
  views->mount_point = g_strdup (path);
  return TRUE;
}

void
vf_overlay_foreach_view (VfOverlay *overlay, VfOverlayNodeFunc func, gpointer user_data)
{
  VfViews *views = overlay->views;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_mutex_lock (&views->lock);
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, views->shown);
  while (g_hash_table_iter_next (&iter, &id, NULL))
    g_array_append_vals (ids, id, 1);
  g_mutex_unlock (&views->lock);
  for (guint i = 0; i < ids->len; i++)
    func (g_array_index (ids, guint64, i), user_data);
}

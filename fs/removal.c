/* Removing names: unlink and rmdir. */
#include <errno.h>
#include <string.h>

#include "fs/internal.h"

/* A name that only the image has is covered. Holds: tree writing. */
static int
cover_lower (VfOverlay *overlay, guint64 parent, const char *name, const VfChild *child)
{
  g_autoptr (VfDescriptor) directory = NULL;
  int result = vf_copyup_directory (overlay, parent);
  if (result == 0)
    result = vf_directory_open (overlay, parent, &directory);
  if (result == 0)
    result = vf_whiteout_make (overlay, directory->fd, name);
  if (result == 0)
    vf_lower_removed (overlay, child);
  return result;
}

static int
remove_name (VfOverlay *overlay, guint64 parent, const char *name, const VfChild *child)
{
  int result;
  if (child->upper.flags & VF_UPPER_PRESENT) {
    g_autoptr (VfDescriptor) directory = NULL;
    result = vf_directory_open (overlay, parent, &directory);
    if (result == 0)
      result = vf_take_away (overlay, parent, directory->fd, name, child, child->below);
  } else
    result = cover_lower (overlay, parent, name, child);
  if (result == 0)
    vf_directory_lost (overlay, parent, name, child->below, child->directory);
  return result;
}

static int
find_for_removal (VfOverlay *overlay, guint64 parent, const char *name, VfChild *out_child)
{
  VfNode node;
  int result = vf_node_resolve_directory (overlay, parent, &node);
  return result < 0 ? result : vf_child_find_in (overlay, &node, name, out_child);
}

int
vf_overlay_unlink (VfOverlay *overlay, guint64 parent, const char *name)
{
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  VfChild child;
  int result = find_for_removal (overlay, parent, name, &child);
  if (result < 0)
    return result;
  return child.directory ? -EISDIR : remove_name (overlay, parent, name, &child);
}

int
vf_child_is_empty (VfOverlay *overlay, const VfChild *child, const char *name)
{
  VfNode node = vf_node_of_child (child);
  if (node.present)
    vf_upper_take (overlay->upper, &child->upper, name, 0);
  return vf_directory_is_empty (overlay, &node);
}

int
vf_overlay_rmdir (VfOverlay *overlay, guint64 parent, const char *name)
{
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  VfChild child;
  int result = find_for_removal (overlay, parent, name, &child);
  if (result < 0)
    return result;
  if (!child.directory)
    return -ENOTDIR;
  result = vf_child_is_empty (overlay, &child, name);
  if (result <= 0)
    return result < 0 ? result : -ENOTEMPTY;
  result = remove_name (overlay, parent, name, &child);
  if (result == 0)
    vf_listings_drop (overlay->listings, child.id);
  return result;
}

/* Extended attributes: the upper file's own, without the overlay's marks. An image node has none.
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/internal.h"

/* An image node has no attribute of any kind that there is. */
static int
absent (const char *name)
{
  static const char *const kinds[] = {"user.", "security.", "trusted.", "system.posix_acl_"};
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_str_has_prefix (name, kinds[i]))
      return -ENODATA;
  return -EOPNOTSUPP;
}

/* Holds: tree. -ESTALE for an image node. */
static int
find_object (VfOverlay *overlay, guint64 id, VfPlace *out_place, VfProcPath *out_path)
{
  VfNode node;
  int result = vf_node_resolve (overlay, id, &node);
  if (result < 0)
    return result;
  if (!node.present)
    return -ESTALE;
  result = vf_place_find (overlay, &node, out_place);
  if (result == 0)
    vf_proc_path (out_path, out_place->dir_fd, out_place->name);
  return result;
}

gssize
vf_overlay_getxattr (VfOverlay *overlay, guint64 id, const char *name, void *value, gsize size)
{
  if (vf_mark_is_own (name))
    return -ENODATA;
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  g_auto (VfPlace) place = {0};
  VfProcPath path;
  int result = find_object (overlay, id, &place, &path);
  if (result < 0)
    return result == -ESTALE ? absent (name) : result;
  ssize_t length = lgetxattr (path.text, name, value, size);
  return length < 0 ? -errno : length;
}

/* Without the overlay's own, in place. */
static gsize
filter_names (char *names, gsize length)
{
  gsize kept = 0;
  for (gsize at = 0; at < length;) {
    gsize step = strlen (names + at) + 1;
    if (!vf_mark_is_own (names + at)) {
      memmove (names + kept, names + at, step);
      kept += step;
    }
    at += step;
  }
  return kept;
}

gssize
vf_overlay_listxattr (VfOverlay *overlay, guint64 id, char *list, gsize size)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  g_auto (VfPlace) place = {0};
  VfProcPath path;
  int result = find_object (overlay, id, &place, &path);
  if (result < 0)
    return result == -ESTALE ? 0 : result;
  g_autofree char *names = g_malloc (XATTR_LIST_MAX);
  ssize_t length = llistxattr (path.text, names, XATTR_LIST_MAX);
  if (length < 0)
    return -errno;
  gsize kept = filter_names (names, (gsize)length);
  if (size == 0)
    return (gssize)kept;
  if (kept > size)
    return -ERANGE;
  memcpy (list, names, kept);
  return (gssize)kept;
}

/* Holds: nothing. */
static int
copy_up (VfOverlay *overlay, guint64 id)
{
  int result = vf_copyup_file (overlay, id, VF_COPYUP_STUB);
  if (result != -EISDIR)
    return result;
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  VfNode node;
  result = vf_node_resolve (overlay, id, &node);
  if (result < 0 || node.present)
    return result;
  return node.removed ? vf_copyup_orphan (overlay, id) : vf_copyup_directory (overlay, id);
}

int
vf_overlay_setxattr (VfOverlay *overlay, guint64 id, const char *name, const void *value,
                     gsize size, int flags)
{
  if (vf_mark_is_own (name))
    return -EPERM;
  int result = copy_up (overlay, id);
  if (result < 0)
    return result;
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  g_auto (VfPlace) place = {0};
  VfProcPath path;
  result = find_object (overlay, id, &place, &path);
  if (result < 0)
    return result;
  return lsetxattr (path.text, name, value, size, flags) < 0 ? -errno : 0;
}

int
vf_overlay_removexattr (VfOverlay *overlay, guint64 id, const char *name)
{
  if (vf_mark_is_own (name))
    return -ENODATA;
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  g_auto (VfPlace) place = {0};
  VfProcPath path;
  int result = find_object (overlay, id, &place, &path);
  if (result < 0)
    return result == -ESTALE ? absent (name) : result;
  return lremovexattr (path.text, name) < 0 ? -errno : 0;
}

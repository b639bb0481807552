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

/* One call of xattr(7). */
typedef struct {
  const char *path; /* of the object in the upper */
  const char *name;
  const void *value; /* to be set */
  void *buffer;      /* for what is read */
  gsize size;
  int flags;
} Attribute;

/* @func: the call, which finds the path filled. -ESTALE for an image node. As through a descriptor,
 * the directory that the object is in need not be searchable. */
static int
reach (VfOverlay *overlay, guint64 id, VfBeneathFunc func, Attribute *attribute)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  g_auto (VfPlace) place = {0};
  VfProcPath path;
  VfNode node;
  int result = vf_place_resolve (overlay, id, &node, &place);
  if (result < 0)
    return result;
  attribute->path = vf_proc_path (&path, place.dir_fd, place.name);
  return vf_beneath_forced (place.dir_fd, NULL, func, attribute);
}

static int
get (gpointer data)
{
  const Attribute *attribute = data;
  ssize_t length = lgetxattr (attribute->path, attribute->name, attribute->buffer, attribute->size);
  return length < 0 ? -errno : (int)length;
}

gssize
vf_overlay_getxattr (VfOverlay *overlay, guint64 id, const char *name, void *value, gsize size)
{
  if (vf_mark_is_own (name))
    return -ENODATA;
  Attribute attribute = {.name = name, .buffer = value, .size = size};
  int result = reach (overlay, id, get, &attribute);
  return result == -ESTALE ? absent (name) : result;
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

static int
list_names (gpointer data)
{
  const Attribute *attribute = data;
  ssize_t length = llistxattr (attribute->path, attribute->buffer, attribute->size);
  return length < 0 ? -errno : (int)length;
}

gssize
vf_overlay_listxattr (VfOverlay *overlay, guint64 id, char *list, gsize size)
{
  g_autofree char *names = g_malloc (XATTR_LIST_MAX);
  Attribute attribute = {.buffer = names, .size = XATTR_LIST_MAX};
  int length = reach (overlay, id, list_names, &attribute);
  if (length < 0)
    return length == -ESTALE ? 0 : length;
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

static int
set (gpointer data)
{
  const Attribute *attribute = data;
  return lsetxattr (attribute->path, attribute->name, attribute->value, attribute->size,
                    attribute->flags) < 0
             ? -errno
             : 0;
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
  Attribute attribute = {.name = name, .value = value, .size = size, .flags = flags};
  return reach (overlay, id, set, &attribute);
}

static int
take_off (gpointer data)
{
  const Attribute *attribute = data;
  return lremovexattr (attribute->path, attribute->name) < 0 ? -errno : 0;
}

int
vf_overlay_removexattr (VfOverlay *overlay, guint64 id, const char *name)
{
  if (vf_mark_is_own (name))
    return -ENODATA;
  Attribute attribute = {.name = name};
  int result = reach (overlay, id, take_off, &attribute);
  return result == -ESTALE ? absent (name) : result;
}

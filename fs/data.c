/* The bytes of files: reading, writing, and what else works on an open file.
 *
 * There is no open file in here, only nodes and a cache of descriptors. A node's bytes are, in this
 * order: those of its upper file; for a stub, the first st_size bytes of the object it names; what
 * the image says. A descriptor is found under the tree lock and used without it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/internal.h"

static int
open_object (VfOverlay *overlay, guint64 id, const VfDigest *digest, guint64 limit,
             VfDescriptor **out_descriptor)
{
  VfExtent extent;
  int result = vf_object_open (overlay->store, digest, &extent);
  if (result < 0)
    return result == -ENOENT ? -EIO : result;
  *out_descriptor = vf_descriptors_add (overlay->descriptors, id, VF_DESCRIPTOR_READ, extent.fd,
                                        extent.offset, MIN (extent.length, limit));
  return 0;
}

/* Whatever stands there: the daemon must not wait for a fifo's other end. */
static int
open_regular (int dir_fd, const char *name, int flags)
{
  VF_AUTOFD fd = vf_beneath_open_forced (dir_fd, name, flags | O_NONBLOCK | O_NOCTTY);
  struct stat st;
  if (fd < 0)
    return fd == -ENOENT ? -ESTALE : fd;
  if (fstat (fd, &st) < 0)
    return -errno;
  return S_ISREG (st.st_mode) ? vf_fd_steal (&fd) : -EIO;
}

static int
open_present (VfOverlay *overlay, const VfNode *node, VfDescriptor **out_descriptor)
{
  g_auto (VfPlace) place = {0};
  int result = vf_place_find (overlay, node, &place);
  if (result < 0)
    return result;
  if (node->upper.flags & VF_UPPER_STUB) {
    g_auto (VfMarks) marks = {0};
    struct stat st;
    result = vf_beneath_stat (place.dir_fd, place.name, &st);
    if (result < 0)
      return result;
    result = vf_marking_read (place.dir_fd, place.name, st.st_mode, &marks);
    if (result == 0 && !marks.has_digest)
      result = -EIO;
    return result < 0 ? result
                      : open_object (overlay, node->upper.id, &marks.digest, (guint64)st.st_size,
                                     out_descriptor);
  }
  int fd = open_regular (place.dir_fd, place.name, O_RDONLY);
  if (fd < 0)
    return fd;
  *out_descriptor = vf_descriptors_add (overlay->descriptors, node->upper.id, VF_DESCRIPTOR_READ,
                                        fd, 0, G_MAXUINT64);
  return 0;
}

int
vf_node_open_bytes (VfOverlay *overlay, const VfNode *node, VfDescriptor **out_descriptor,
                    GBytes **out_bytes)
{
  *out_descriptor = NULL;
  *out_bytes = NULL;
  if (node->directory)
    return -EISDIR;
  if (node->present) {
    *out_descriptor =
        vf_descriptors_get (overlay->descriptors, node->upper.id, VF_DESCRIPTOR_WRITE);
    if (*out_descriptor)
      return 0;
  }
  *out_descriptor = vf_descriptors_get (overlay->descriptors, node->upper.id, VF_DESCRIPTOR_READ);
  if (*out_descriptor)
    return 0;
  if (node->present)
    return open_present (overlay, node, out_descriptor);
  if (node->lower.type == VF_NODE_VIEW)
    *out_bytes = vf_views_render (overlay->views, &node->lower);
  else if (node->lower.type == VF_NODE_FILE && node->lower.data)
    *out_bytes = g_bytes_new_static (node->lower.data, node->lower.size);
  else if (node->lower.type == VF_NODE_FILE && node->lower.has_digest)
    return open_object (overlay, node->upper.id, &node->lower.digest, node->lower.size,
                        out_descriptor);
  return *out_bytes ? 0 : -EIO;
}

/* By id, taking the lock. A cached descriptor is what it was when it was found: fine. */
static int
open_bytes (VfOverlay *overlay, guint64 id, VfDescriptor **out_descriptor, GBytes **out_bytes)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  VfNode node;
  int result = vf_node_resolve (overlay, id, &node);
  return result < 0 ? result : vf_node_open_bytes (overlay, &node, out_descriptor, out_bytes);
}

int
vf_overlay_read (VfOverlay *overlay, guint64 id, guint64 offset, gsize size, VfRead *out_read)
{
  memset (out_read, 0, sizeof *out_read);
  out_read->extent.fd = -1;
  VfDescriptor *descriptor;
  g_autoptr (GBytes) bytes = NULL;
  int result = open_bytes (overlay, id, &descriptor, &bytes);
  if (result < 0)
    return result;
  if (bytes) {
    gsize length = g_bytes_get_size (bytes);
    gsize from = (gsize)MIN (offset, length);
    out_read->bytes = g_bytes_new_from_bytes (bytes, from, MIN (size, length - from));
    return 0;
  }
  guint64 rest = offset < descriptor->length ? descriptor->length - offset : 0;
  out_read->extent.fd = descriptor->fd;
  out_read->extent.offset = descriptor->offset + (goffset)offset;
  out_read->extent.length = MIN (size, rest);
  out_read->hold = descriptor;
  return 0;
}

void
vf_overlay_read_done (VfOverlay *overlay, VfRead *read)
{
  g_clear_pointer (&read->bytes, g_bytes_unref);
  g_clear_pointer ((VfDescriptor **)&read->hold, vf_descriptor_unref);
}

typedef struct {
  const VfPlace *place;
  char target[PATH_MAX];
} Symlink;

static int
read_symlink (gpointer data)
{
  Symlink *link = data;
  ssize_t length =
      readlinkat (link->place->dir_fd, link->place->name, link->target, sizeof link->target);
  return length < 0 ? -errno : (int)length;
}

int
vf_overlay_readlink (VfOverlay *overlay, guint64 id, char **out_target)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  VfNode node;
  int result = vf_node_resolve (overlay, id, &node);
  if (result < 0)
    return result;
  if (!node.present) {
    if (node.directory || node.lower.type != VF_NODE_SYMLINK || !node.lower.data)
      return -EINVAL;
    *out_target = g_strndup (node.lower.data, node.lower.size);
    return 0;
  }
  g_auto (VfPlace) place = {0};
  result = vf_place_find (overlay, &node, &place);
  if (result < 0)
    return result;
  Symlink link = {.place = &place};
  result = vf_beneath_forced (place.dir_fd, NULL, read_symlink, &link);
  if (result < 0)
    return result;
  *out_target = g_strndup (link.target, (gsize)result);
  return 0;
}

/* Holds: tree. -EAGAIN: a copy-up must come first. */
static int
find_writable (VfOverlay *overlay, guint64 id, VfDescriptor **out_descriptor)
{
  VfNode node;
  int result = vf_node_resolve (overlay, id, &node);
  if (result < 0)
    return result;
  if (node.directory)
    return -EISDIR;
  if (!node.present || (node.upper.flags & VF_UPPER_STUB))
    return -EAGAIN;
  *out_descriptor = vf_descriptors_get (overlay->descriptors, id, VF_DESCRIPTOR_WRITE);
  if (*out_descriptor)
    return 0;
  g_auto (VfPlace) place = {0};
  result = vf_place_find (overlay, &node, &place);
  if (result < 0)
    return result;
  int fd = open_regular (place.dir_fd, place.name, O_RDWR);
  if (fd < 0)
    return fd;
  *out_descriptor =
      vf_descriptors_add (overlay->descriptors, id, VF_DESCRIPTOR_WRITE, fd, 0, G_MAXUINT64);
  return 0;
}

int
vf_node_open_writable (VfOverlay *overlay, guint64 id, gboolean in_turn,
                       VfDescriptor **out_descriptor)
{
  for (;;) {
    g_rw_lock_reader_lock (&overlay->tree);
    int result = find_writable (overlay, id, out_descriptor);
    g_rw_lock_reader_unlock (&overlay->tree);
    if (result != -EAGAIN)
      return result;
    result = in_turn ? vf_copyup_file_in_turn (overlay, id, VF_COPYUP_BYTES)
                     : vf_copyup_file (overlay, id, VF_COPYUP_BYTES);
    if (result < 0)
      return result;
  }
}

/* The upper's file system does it itself unless this process may keep them. */
static int
take_setid (VfOverlay *overlay, guint64 id, int fd)
{
  struct stat st;
  if (!overlay->privileged)
    return 0;
  if (fstat (fd, &st) < 0)
    return -errno;
  if (!(st.st_mode & (S_ISUID | S_ISGID)))
    return 0;
  VfEntry entry;
  const struct timespec unused[2] = {0};
  return vf_overlay_setattr (overlay, id, VF_TAKE_SETID, &st, unused, &entry);
}

int
vf_overlay_write (VfOverlay *overlay, guint64 id, guint64 offset, const void *data, gsize size,
                  gboolean takes_setid, gsize *out_written)
{
  g_autoptr (VfDescriptor) descriptor = NULL;
  int result = vf_node_open_writable (overlay, id, FALSE, &descriptor);
  if (result == 0 && takes_setid)
    result = take_setid (overlay, id, descriptor->fd);
  if (result < 0)
    return result;
  ssize_t n;
  do
    n = pwrite (descriptor->fd, data, size, (off_t)offset);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return -errno;
  *out_written = (gsize)n;
  return 0;
}

int
vf_overlay_fallocate (VfOverlay *overlay, guint64 id, int mode, guint64 offset, guint64 length)
{
  g_autoptr (VfDescriptor) descriptor = NULL;
  int result = vf_node_open_writable (overlay, id, FALSE, &descriptor);
  if (result < 0)
    return result;
  return fallocate (descriptor->fd, mode, (off_t)offset, (off_t)length) < 0 ? -errno : 0;
}

/* The content is all data up to its end, where a hole begins. */
static int
seek_in_bytes (guint64 length, gint64 offset, int whence, gint64 *out_offset)
{
  if (offset < 0 || (guint64)offset >= length)
    return -ENXIO;
  *out_offset = whence == SEEK_DATA ? offset : (gint64)length;
  return 0;
}

int
vf_overlay_lseek (VfOverlay *overlay, guint64 id, gint64 offset, int whence, gint64 *out_offset)
{
  if (whence != SEEK_DATA && whence != SEEK_HOLE)
    return -EINVAL;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (VfDescriptor) descriptor = NULL;
  int result = open_bytes (overlay, id, &descriptor, &bytes);
  if (result < 0)
    return result;
  if (bytes || descriptor->length != G_MAXUINT64)
    return seek_in_bytes (bytes ? g_bytes_get_size (bytes) : descriptor->length, offset, whence,
                          out_offset);
  off_t found = lseek (descriptor->fd, offset, whence);
  if (found < 0)
    return -errno;
  *out_offset = found;
  return 0;
}

int
vf_overlay_copy_range (VfOverlay *overlay, guint64 in_id, guint64 in_offset, guint64 out_id,
                       guint64 out_offset, gsize size, gsize *out_copied)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (VfDescriptor) to = NULL;
  int result = vf_node_open_writable (overlay, out_id, FALSE, &to);
  if (result < 0)
    return result;
  /* After the copy-up: both may be one file. */
  g_autoptr (VfDescriptor) from = NULL;
  result = open_bytes (overlay, in_id, &from, &bytes);
  if (result < 0)
    return result;
  if (bytes)
    return -EOPNOTSUPP;
  if (in_offset >= from->length) {
    *out_copied = 0;
    return 0;
  }
  off_t in = from->offset + (off_t)in_offset, out = (off_t)out_offset;
  ssize_t n =
      copy_file_range (from->fd, &in, to->fd, &out, MIN (size, from->length - in_offset), 0);
  if (n < 0)
    return errno == EXDEV ? -EOPNOTSUPP : -errno;
  *out_copied = (gsize)n;
  return 0;
}

/* Image nodes are durable already. */
static int
open_for_sync (VfOverlay *overlay, guint64 id, int *out_fd)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  VfNode node;
  g_auto (VfPlace) place = {0};
  int result = vf_node_resolve (overlay, id, &node);
  if (result < 0 || !node.present)
    return result;
  g_autoptr (VfDescriptor) cached =
      vf_descriptors_get (overlay->descriptors, id, VF_DESCRIPTOR_WRITE);
  if (cached) {
    *out_fd = fcntl (cached->fd, F_DUPFD_CLOEXEC, 0);
    return *out_fd < 0 ? -errno : 0;
  }
  result = vf_place_find (overlay, &node, &place);
  if (result < 0)
    return result;
  *out_fd = vf_beneath_open_forced (place.dir_fd, place.name, O_RDONLY | O_NONBLOCK);
  return MIN (*out_fd, 0);
}

/* The directory in which copying up has made a name for @id that is not known to be on the disk;
 * -1 in @out_fd when there is none. */
static int
open_parent_of_new_name (VfOverlay *overlay, guint64 id, guint64 *out_parent, int *out_fd)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  g_autoptr (VfDescriptor) directory = NULL;
  VfUpperNode upper;
  *out_fd = -1;
  if (!vf_upper_get (overlay->upper, id, &upper) || !(upper.flags & VF_UPPER_NEW_NAME) ||
      (upper.flags & VF_UPPER_ORPHAN))
    return 0;
  int result = vf_directory_open (overlay, upper.parent, &directory);
  if (result < 0)
    return result;
  *out_parent = upper.parent;
  *out_fd = vf_beneath_open_forced (directory->fd, ".", O_RDONLY | O_DIRECTORY);
  return MIN (*out_fd, 0);
}

/* To a caller the name was there all the time, so it must not be lost with the directory's last
 * changes; and so on for the directories that were copied up with it. Once for each. */
static int
sync_new_names (VfOverlay *overlay, guint64 id)
{
  for (;;) {
    VF_AUTOFD fd = -1;
    guint64 parent = 0;
    int result = open_parent_of_new_name (overlay, id, &parent, &fd);
    if (result < 0 || fd < 0)
      return result;
    if (fsync (fd) < 0)
      return -errno;
    vf_upper_set (overlay->upper, id, 0, VF_UPPER_NEW_NAME);
    id = parent;
  }
}

int
vf_overlay_fsync (VfOverlay *overlay, guint64 id, gboolean data_only)
{
  VF_AUTOFD fd = -1;
  int result = open_for_sync (overlay, id, &fd);
  if (result < 0 || fd < 0)
    return result;
  if ((data_only ? fdatasync (fd) : fsync (fd)) < 0)
    return -errno;
  return sync_new_names (overlay, id);
}

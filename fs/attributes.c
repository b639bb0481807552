/* What a node looks like: struct stat of image nodes and of upper objects, and its changes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/internal.h"

#define BLOCK_BYTES 4096

static mode_t
lower_type (VfNodeType type)
{
  switch (type) {
  case VF_NODE_DIRECTORY:
    return S_IFDIR;
  case VF_NODE_SYMLINK:
    return S_IFLNK;
  case VF_NODE_FILE:
  case VF_NODE_VIEW:
    break;
  }
  return S_IFREG;
}

static guint64
lower_size (VfOverlay *overlay, const VfImageNode *lower)
{
  if (lower->type == VF_NODE_DIRECTORY)
    return BLOCK_BYTES;
  if (lower->type != VF_NODE_VIEW)
    return lower->size;
  g_autoptr (GBytes) bytes = vf_views_render (overlay->views, lower);
  return bytes ? g_bytes_get_size (bytes) : 0;
}

void
vf_entry_of_lower (VfOverlay *overlay, VfImage *image, const VfImageNode *lower, gboolean removed,
                   VfEntry *out_entry)
{
  memset (out_entry, 0, sizeof *out_entry);
  guint64 size = lower_size (overlay, lower);
  out_entry->id = lower->id;
  out_entry->view = lower->type == VF_NODE_VIEW;
  out_entry->lower_index = image == overlay->first ? lower->index : 0;
  struct stat *st = &out_entry->st;
  st->st_ino = lower->id;
  st->st_mode = lower_type (lower->type) | (lower->mode & 07777);
  if (lower->type == VF_NODE_SYMLINK)
    st->st_mode = S_IFLNK | 0777;
  st->st_nlink = lower->type == VF_NODE_DIRECTORY ? 2 + lower->n_directories : 1;
  if (removed)
    st->st_nlink = 0;
  st->st_uid = overlay->uid;
  st->st_gid = overlay->gid;
  st->st_size = (off_t)size;
  st->st_blksize = BLOCK_BYTES;
  st->st_blocks = (blkcnt_t)((size + 511) / 512);
  st->st_mtim.tv_sec = st->st_ctim.tv_sec = st->st_atim.tv_sec = lower->mtime;
}

/* A merged directory's links are those of what is seen in it: the upper's count knows only a part.
 */
static int
merged_links (VfOverlay *overlay, const VfUpperNode *upper, VfImage *image,
              const VfImageNode *lower, nlink_t *out_links)
{
  gint32 n = vf_upper_n_directories (overlay->upper, upper->id);
  if (n < 0) {
    n = vf_directory_count (overlay, upper->id, image, lower);
    if (n < 0)
      return n;
    vf_upper_set_n_directories (overlay->upper, upper->id, n);
  }
  *out_links = 2 + (nlink_t)n;
  return 0;
}

int
vf_entry_of_upper (VfOverlay *overlay, const VfUpperNode *upper, VfImage *image,
                   const VfImageNode *lower, const struct stat *st, VfEntry *out_entry)
{
  memset (out_entry, 0, sizeof *out_entry);
  out_entry->id = upper->id;
  out_entry->st = *st;
  out_entry->st.st_ino = upper->id;
  out_entry->st.st_blksize = BLOCK_BYTES;
  if (upper->flags & VF_UPPER_STUB)
    out_entry->st.st_blocks = (st->st_size + 511) / 512;
  /* An orphan's name in work/ is nobody's link. */
  if (upper->flags & VF_UPPER_ORPHAN)
    out_entry->st.st_nlink = S_ISDIR (st->st_mode) ? 0 : st->st_nlink - 1;
  else if (image && S_ISDIR (st->st_mode))
    return merged_links (overlay, upper, image, lower, &out_entry->st.st_nlink);
  return 0;
}

void
vf_forget_untold (VfOverlay *overlay, guint64 id)
{
  if (vf_upper_forget (overlay->upper, id, 1, NULL, NULL))
    vf_descriptors_drop (overlay->descriptors, id);
}

int
vf_entry_of_child (VfOverlay *overlay, const VfChild *child, const char *name, VfEntry *out_entry)
{
  if (!(child->upper.flags & VF_UPPER_PRESENT)) {
    vf_entry_of_lower (overlay, child->image, &child->lower, FALSE, out_entry);
    return 0;
  }
  vf_upper_take (overlay->upper, &child->upper, name, 1);
  /* Found by one of its names while it stands in work/ by another: nlink as for an orphan. */
  VfUpperNode upper = child->upper;
  vf_upper_get (overlay->upper, child->id, &upper);
  int result =
      vf_entry_of_upper (overlay, &upper, child->image, &child->lower, &child->st, out_entry);
  if (result < 0)
    vf_forget_untold (overlay, child->id);
  return result;
}

int
vf_entry_of_new (VfOverlay *overlay, guint64 parent, int dir_fd, const char *name,
                 VfEntry *out_entry)
{
  VfNode node;
  VfChild child;
  int result = vf_node_resolve_directory (overlay, parent, &node);
  if (result == 0)
    result = vf_child_find (overlay, &node, dir_fd, name, &child);
  return result < 0 ? result : vf_entry_of_child (overlay, &child, name, out_entry);
}

/* Holds: tree. */
static int
entry_of_node (VfOverlay *overlay, const VfNode *node, VfEntry *out_entry)
{
  if (!node->present) {
    vf_entry_of_lower (overlay, node->image, &node->lower, node->removed, out_entry);
    return 0;
  }
  g_auto (VfPlace) place = {0};
  int result = vf_place_find (overlay, node, &place);
  struct stat st;
  if (result < 0)
    return result;
  result = vf_beneath_stat (place.dir_fd, place.name, &st);
  if (result < 0)
    return result == -ENOENT ? -ESTALE : result;
  return vf_entry_of_upper (overlay, &node->upper, node->image, &node->lower, &st, out_entry);
}

int
vf_overlay_getattr (VfOverlay *overlay, guint64 id, VfEntry *out_entry)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  VfNode node;
  int result = vf_node_resolve (overlay, id, &node);
  return result < 0 ? result : entry_of_node (overlay, &node, out_entry);
}

int
vf_overlay_lookup (VfOverlay *overlay, guint64 parent, const char *name, VfEntry *out_entry)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  VfNode node;
  VfChild child;
  int result = vf_node_resolve_directory (overlay, parent, &node);
  if (result == 0)
    result = vf_child_find_in (overlay, &node, name, &child);
  return result < 0 ? result : vf_entry_of_child (overlay, &child, name, out_entry);
}

/* TRUE if an object in work/ was the node's, which is nobody's now. */
static gboolean
forget_node (VfOverlay *overlay, guint64 id, guint64 n, VfUpperNode *out_node,
             char out_name[VF_NAME_BYTES])
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  if (!vf_upper_forget (overlay->upper, id, n, out_node, out_name))
    return FALSE;
  vf_descriptors_drop (overlay->descriptors, id);
  return (out_node->flags & VF_UPPER_ORPHAN) && (out_node->flags & VF_UPPER_PRESENT);
}

void
vf_overlay_forget (VfOverlay *overlay, guint64 id, guint64 n)
{
  VfUpperNode node;
  char name[VF_NAME_BYTES];
  if (forget_node (overlay, id, n, &node, name))
    vf_work_delete (overlay, name, (node.flags & VF_UPPER_DIRECTORY) != 0);
}

/* Only a stub may stay one: its bytes are the first of its object. */
static VfCopyupDepth
depth_for_size (VfOverlay *overlay, guint64 id, off_t size)
{
  VfEntry now;
  if (vf_overlay_getattr (overlay, id, &now) == 0 && size <= now.st.st_size)
    return VF_COPYUP_STUB;
  return VF_COPYUP_BYTES;
}

/* Holds: the node's turn. A stub is cut under the tree lock, since readers know where it ends. */
static int
truncate_node (VfOverlay *overlay, guint64 id, off_t size)
{
  VfNode node;
  g_rw_lock_writer_lock (&overlay->tree);
  int result = vf_node_resolve (overlay, id, &node);
  if (result == 0 && (node.upper.flags & VF_UPPER_STUB)) {
    g_auto (VfPlace) place = {0};
    result = vf_place_find (overlay, &node, &place);
    VF_AUTOFD fd = result < 0 ? result : vf_beneath_open_forced (place.dir_fd, place.name, O_RDWR);
    result = fd < 0 ? fd : ftruncate (fd, size) < 0 ? -errno : 0;
    vf_descriptors_drop (overlay->descriptors, id);
    g_rw_lock_writer_unlock (&overlay->tree);
    return result;
  }
  g_rw_lock_writer_unlock (&overlay->tree);
  g_autoptr (VfDescriptor) descriptor = NULL;
  if (result == 0)
    result = vf_node_open_writable (overlay, id, TRUE, &descriptor);
  if (result == 0 && ftruncate (descriptor->fd, size) < 0)
    result = -errno;
  return result;
}

/* A regular file's, from a caller who may not keep it: so ext4 does it. */
static int
take_setid (int fd)
{
  struct stat st;
  VfProcPath path;
  if (fstat (fd, &st) < 0)
    return -errno;
  mode_t kept = st.st_mode & ~((st.st_mode & S_IXGRP) ? S_ISUID | S_ISGID : S_ISUID);
  if (kept == st.st_mode)
    return 0;
  return chmod (vf_proc_path (&path, fd, NULL), kept & 07777) < 0 ? -errno : 0;
}

static int
change_attributes (int fd, guint mask, const struct stat *values, const struct timespec times[2])
{
  VfProcPath path;
  struct timespec set[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
  uid_t uid = (mask & VF_SET_UID) ? values->st_uid : (uid_t)-1;
  gid_t gid = (mask & VF_SET_GID) ? values->st_gid : (gid_t)-1;
  /* A change of nothing, chown (path, -1, -1), is still one: the ctime moves. */
  gboolean owner = mask == 0 || (mask & (VF_SET_UID | VF_SET_GID));
  if (owner && fchownat (fd, "", uid, gid, AT_EMPTY_PATH) < 0)
    return -errno;
  int result = (mask & VF_TAKE_SETID) ? take_setid (fd) : 0;
  if (result < 0)
    return result;
  if ((mask & VF_SET_MODE) && chmod (vf_proc_path (&path, fd, NULL), values->st_mode & 07777) < 0)
    return -errno;
  if (mask & VF_SET_ATIME)
    set[0] = times[0];
  if (mask & VF_SET_MTIME)
    set[1] = times[1];
  if ((mask & (VF_SET_ATIME | VF_SET_MTIME)) && utimensat (fd, "", set, AT_EMPTY_PATH) < 0)
    return -errno;
  return 0;
}

/* Holds: tree. */
static int
change_node (VfOverlay *overlay, guint64 id, guint mask, const struct stat *values,
             const struct timespec times[2], VfEntry *out_entry)
{
  VfNode node;
  g_auto (VfPlace) place = {0};
  int result = vf_place_resolve (overlay, id, &node, &place);
  if (result < 0)
    return result;
  VF_AUTOFD fd = vf_beneath_open_forced (place.dir_fd, place.name, O_PATH);
  if (fd < 0)
    return fd == -ENOENT ? -ESTALE : fd;
  result = change_attributes (fd, mask, values, times);
  return result < 0 ? result : entry_of_node (overlay, &node, out_entry);
}

static int
set_file_attributes (VfOverlay *overlay, guint64 id, guint mask, const struct stat *values,
                     const struct timespec times[2], VfEntry *out_entry)
{
  VfCopyupDepth depth =
      (mask & VF_SET_SIZE) ? depth_for_size (overlay, id, values->st_size) : VF_COPYUP_STUB;
  int result = vf_copyup_file_in_turn (overlay, id, depth);
  if (result == 0 && (mask & VF_SET_SIZE))
    result = truncate_node (overlay, id, values->st_size);
  if (result < 0)
    return result;
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  return change_node (overlay, id, mask, values, times, out_entry);
}

static int
set_directory_attributes (VfOverlay *overlay, guint64 id, guint mask, const struct stat *values,
                          const struct timespec times[2], VfEntry *out_entry)
{
  if (mask & VF_SET_SIZE)
    return -EISDIR;
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  VfNode node;
  int result = vf_node_resolve (overlay, id, &node);
  if (result == 0 && !node.present)
    result = node.removed ? vf_copyup_orphan (overlay, id) : vf_copyup_directory (overlay, id);
  return result < 0 ? result : change_node (overlay, id, mask, values, times, out_entry);
}

int
vf_overlay_setattr (VfOverlay *overlay, guint64 id, guint mask, const struct stat *values,
                    const struct timespec times[2], VfEntry *out_entry)
{
  VfNode node;
  g_rw_lock_reader_lock (&overlay->tree);
  int result = vf_node_resolve (overlay, id, &node);
  g_rw_lock_reader_unlock (&overlay->tree);
  if (result < 0)
    return result;
  if (node.directory)
    return set_directory_attributes (overlay, id, mask, values, times, out_entry);
  vf_overlay_begin_turn (overlay, id);
  result = set_file_attributes (overlay, id, mask, values, times, out_entry);
  vf_overlay_end_turn (overlay, id);
  return result;
}

/* Copy-up: an image node gets an object in the upper.
 *
 * What is new is made in work/ under a temporary name, complete with marks, mode, owner and times,
 * and then renamed to its place: until that moment the lower is what everybody sees, and a failure
 * (a full disk, say) leaves nothing behind. A file whose bytes are not needed becomes a stub: a
 * hole of the right size that names its object. Filling a stub happens in the stub itself, since it
 * may have several names; it stays a stub until all bytes are on the disk and the mark is taken
 * off.
 *
 * Bytes are synced before the rename, reflinks too. Without that, a power cut soon after could
 * leave an empty file where the image had a full one that nobody had emptied. btrfs does so even to
 * a stub: at the fsync of a directory it keeps the names there, but no size that was not synced.
 *
 * A copy-up is no change of the directory that it happens in: its times are put back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/internal.h"

#define COPY_BUFFER_BYTES (256 * 1024)
#define COPY_STEP_BYTES   (8 * 1024 * 1024)

static _Thread_local VfInterruptedFunc interrupted_func;
static _Thread_local gpointer interrupted_data;

void
vf_overlay_interrupt_by (VfInterruptedFunc func, gpointer user_data)
{
  interrupted_func = func;
  interrupted_data = user_data;
}

static gboolean
is_interrupted (void)
{
  return interrupted_func && interrupted_func (interrupted_data);
}

void
vf_overlay_begin_turn (VfOverlay *overlay, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->turns_lock);
  while (g_hash_table_contains (overlay->turns, &id))
    g_cond_wait (&overlay->turns_changed, &overlay->turns_lock);
  g_hash_table_add (overlay->turns, g_memdup2 (&id, sizeof id));
}

void
vf_overlay_end_turn (VfOverlay *overlay, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->turns_lock);
  g_hash_table_remove (overlay->turns, &id);
  g_cond_broadcast (&overlay->turns_changed);
}

/* What the image says of a node, applied to its new object. */
static int
dress (VfOverlay *overlay, int fd, const VfImageNode *lower)
{
  if (overlay->privileged && fchown (fd, overlay->uid, overlay->gid) < 0)
    return -errno;
  struct timespec times[2] = {{.tv_sec = lower->mtime}, {.tv_sec = lower->mtime}};
  if (fchmod (fd, lower->mode & 07777) < 0 || futimens (fd, times) < 0)
    return -errno;
  return 0;
}

/* Its ctime moved, though nobody changed it. */
static void
report_touched (VfOverlay *overlay, guint64 id)
{
  if (overlay->on_touched)
    overlay->on_touched (id, overlay->on_touched_data);
}

/* Renames work/@temporary to @name in the directory @parent, @dir_fd, whose times do not change but
 * for the one that cannot be set. */
static int
put_in_place (VfOverlay *overlay, const char *temporary, guint64 parent, int dir_fd,
              const char *name)
{
  struct stat before;
  if (fstat (dir_fd, &before) < 0)
    return -errno;
  int result = vf_beneath_rename (overlay->work_fd, temporary, dir_fd, name, RENAME_NOREPLACE);
  if (result < 0)
    return result == -EEXIST ? -ESTALE : result;
  struct timespec times[2] = {before.st_atim, before.st_mtim};
  utimensat (dir_fd, "", times, AT_EMPTY_PATH);
  report_touched (overlay, parent);
  return 0;
}

static int
make_directory (VfOverlay *overlay, const char *temporary, const VfImageNode *lower)
{
  if (mkdirat (overlay->work_fd, temporary, 0700) < 0)
    return -errno;
  VF_AUTOFD fd = vf_beneath_open (overlay->work_fd, temporary, O_RDONLY | O_DIRECTORY, 0);
  return fd < 0 ? fd : dress (overlay, fd, lower);
}

/* Holds: tree writing; the parent is present. */
static int
copyup_one_directory (VfOverlay *overlay, guint64 parent, const VfNode *node)
{
  g_autoptr (VfDescriptor) directory = NULL;
  int result = vf_directory_open (overlay, parent, &directory);
  if (result < 0)
    return result;
  char temporary[VF_NAME_BYTES];
  vf_temporary_name (overlay, temporary);
  result = make_directory (overlay, temporary, &node->lower);
  if (result == 0)
    result = put_in_place (overlay, temporary, parent, directory->fd, node->lower.name);
  if (result < 0) {
    unlinkat (overlay->work_fd, temporary, AT_REMOVEDIR);
    return result;
  }
  struct stat st;
  result = vf_beneath_stat (directory->fd, node->lower.name, &st);
  if (result < 0)
    return result;
  VfUpperNode made = {.id = node->upper.id,
                      .parent = parent,
                      .ino = st.st_ino,
                      .flags = VF_UPPER_PRESENT | VF_UPPER_DIRECTORY | VF_UPPER_UNCOUNTED |
                               VF_UPPER_NEW_NAME};
  vf_upper_take (overlay->upper, &made, node->lower.name, 0);
  vf_upper_set_n_directories (overlay->upper, made.id, (gint32)node->lower.n_directories);
  report_touched (overlay, made.id);
  return 0;
}

static int
lower_parent_id (VfOverlay *overlay, const VfNode *node, guint64 *out_id)
{
  return vf_lower_parent (overlay, node->image, &node->lower, out_id);
}

/* Since a switch, something else may stand where the image has the node. 1, 0 or -errno. */
static int
has_lost_its_place (VfOverlay *overlay, const VfNode *node)
{
  if (node->removed)
    return 1;
  if (overlay->shown->len == 1 || vf_lower_is_below_renamed (overlay, node->upper.id))
    return 0;
  return vf_lower_is_covered (overlay, node->image, &node->lower);
}

int
vf_copyup_directory (VfOverlay *overlay, guint64 id)
{
  g_autoptr (GArray) absent = g_array_new (FALSE, FALSE, sizeof (guint64));
  for (guint64 at = id;;) {
    VfNode node;
    int result = vf_node_resolve_directory (overlay, at, &node);
    if (result < 0)
      return result;
    if (node.present)
      break;
    g_array_append_val (absent, at);
    result = lower_parent_id (overlay, &node, &at);
    if (result < 0)
      return result;
  }
  while (absent->len > 0) {
    VfNode node;
    guint64 parent;
    int result = vf_node_resolve (overlay, g_array_index (absent, guint64, absent->len - 1), &node);
    if (result == 0)
      result = lower_parent_id (overlay, &node, &parent);
    if (result == 0)
      result = copyup_one_directory (overlay, parent, &node);
    if (result < 0)
      return result;
    g_array_set_size (absent, absent->len - 1);
  }
  return 0;
}

/* What is work/@name now. One that only a switch has removed is not in the table yet. */
static void
record_orphan (VfOverlay *overlay, guint64 id, guint16 flags, const char *name)
{
  VfUpperNode orphan = {.id = id, .flags = VF_UPPER_ORPHAN | VF_UPPER_UNCOUNTED};
  vf_upper_take (overlay->upper, &orphan, "", 0);
  vf_upper_set (overlay->upper, id, flags, 0);
  vf_upper_orphan (overlay->upper, id, name);
}

int
vf_copyup_orphan (VfOverlay *overlay, guint64 id)
{
  VfNode node;
  struct stat st;
  char name[VF_NAME_BYTES];
  vf_temporary_name (overlay, name);
  int result = vf_node_resolve (overlay, id, &node);
  if (result < 0)
    return result;
  result = make_directory (overlay, name, &node.lower);
  if (result == 0)
    result = vf_beneath_stat (overlay->work_fd, name, &st);
  if (result < 0) {
    unlinkat (overlay->work_fd, name, AT_REMOVEDIR);
    return result;
  }
  record_orphan (overlay, id, VF_UPPER_PRESENT | VF_UPPER_DIRECTORY, name);
  vf_upper_set_ino (overlay->upper, id, st.st_ino);
  return 0;
}

static int
write_bytes (int fd, const char *data, gsize length)
{
  for (gsize done = 0; done < length;) {
    ssize_t n = pwrite (fd, data + done, length - done, (off_t)done);
    if (n < 0 && errno != EINTR)
      return -errno;
    done += n > 0 ? (gsize)n : 0;
  }
  return 0;
}

static int
copy_by_hand (int in_fd, off_t in_offset, int out_fd, guint64 done, guint64 length)
{
  g_autofree char *buffer = g_malloc (COPY_BUFFER_BYTES);
  while (done < length) {
    if (done % COPY_STEP_BYTES < COPY_BUFFER_BYTES && is_interrupted ())
      return -EINTR;
    ssize_t n =
        pread (in_fd, buffer, MIN (length - done, COPY_BUFFER_BYTES), in_offset + (off_t)done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n < 0 ? -errno : -EIO;
    for (ssize_t written = 0; written < n;) {
      ssize_t m = pwrite (out_fd, buffer + written, (gsize)(n - written), (off_t)done + written);
      if (m < 0 && errno != EINTR)
        return -errno;
      written += MAX (m, 0);
    }
    done += (guint64)n;
  }
  return 0;
}

/* The first @length bytes of @from into a file that has none. */
static int
copy_bytes (const VfDescriptor *from, int out_fd, guint64 length)
{
  if (from->offset == 0 && length > 0 && ioctl (out_fd, FICLONE, from->fd) == 0)
    return ftruncate (out_fd, (off_t)length) < 0 ? -errno : 0;
  guint64 done = 0;
  off_t in_offset = from->offset, out_offset = 0;
  while (done < length) {
    if (is_interrupted ())
      return -EINTR;
    ssize_t n = copy_file_range (from->fd, &in_offset, out_fd, &out_offset,
                                 MIN (length - done, COPY_STEP_BYTES), 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
      return -errno;
    if (n <= 0)
      return copy_by_hand (from->fd, from->offset, out_fd, done, length);
    done += (guint64)n;
  }
  return 0;
}

static int
make_stub (int fd, const VfImageNode *lower)
{
  int result = vf_mark_set_digest (fd, &lower->digest);
  if (result == 0 && ftruncate (fd, (off_t)lower->size) < 0)
    result = -errno;
  return result;
}

static int
make_file (VfOverlay *overlay, const char *temporary, const VfNode *node, guint64 plain_id,
           gboolean stub)
{
  VF_AUTOFD fd = vf_beneath_open (overlay->work_fd, temporary, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0)
    return fd;
  int result = vf_mark_set_id (fd, plain_id);
  g_autoptr (VfDescriptor) descriptor = NULL;
  g_autoptr (GBytes) bytes = NULL;
  if (result == 0 && stub)
    result = make_stub (fd, &node->lower);
  else if (result == 0) {
    result = vf_node_open_bytes (overlay, node, &descriptor, &bytes);
    if (result == 0 && descriptor)
      result = copy_bytes (descriptor, fd, node->lower.size);
    else if (result == 0)
      result = write_bytes (fd, g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  }
  if (result == 0)
    result = dress (overlay, fd, &node->lower);
  gboolean sync = node->lower.size > 0 && (!stub || overlay->forgets_sizes);
  if (result == 0 && sync && fdatasync (fd) < 0)
    result = -errno;
  return result;
}

static int
make_symlink (VfOverlay *overlay, const char *temporary, const VfImageNode *lower)
{
  if (!lower->data)
    return -EIO;
  g_autofree char *target = g_strndup (lower->data, lower->size);
  if (symlinkat (target, overlay->work_fd, temporary) < 0)
    return -errno;
  struct timespec times[2] = {{.tv_sec = lower->mtime}, {.tv_sec = lower->mtime}};
  if (overlay->privileged &&
      fchownat (overlay->work_fd, temporary, overlay->uid, overlay->gid, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  return utimensat (overlay->work_fd, temporary, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* The copy goes to where the node is now: to its name, or among the orphans if that is gone. Holds:
 * tree writing. */
static int
place_copy (VfOverlay *overlay, guint64 id, const char *temporary, guint16 flags)
{
  VfNode node;
  struct stat st;
  if (fstatat (overlay->work_fd, temporary, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  int result = vf_node_resolve (overlay, id, &node);
  if (result < 0)
    return result;
  int lost = has_lost_its_place (overlay, &node);
  if (lost < 0)
    return lost;
  if (lost)
    record_orphan (overlay, id, flags, temporary);
  else {
    VfUpperNode made = {
        .id = id, .ino = st.st_ino, .flags = flags | VF_UPPER_UNCOUNTED | VF_UPPER_NEW_NAME};
    g_autoptr (VfDescriptor) directory = NULL;
    result = lower_parent_id (overlay, &node, &made.parent);
    if (result == 0)
      result = vf_copyup_directory (overlay, made.parent);
    if (result == 0)
      result = vf_directory_open (overlay, made.parent, &directory);
    if (result == 0)
      result = put_in_place (overlay, temporary, made.parent, directory->fd, node.lower.name);
    if (result < 0)
      return result;
    vf_upper_take (overlay->upper, &made, node.lower.name, 0);
  }
  vf_upper_set_ino (overlay->upper, id, st.st_ino);
  if (S_ISLNK (st.st_mode) || vf_lower_plain_id (overlay, id) != id)
    vf_upper_keep_unmarked (overlay->upper, id);
  vf_descriptors_drop (overlay->descriptors, id);
  return 0;
}

/* Holds: the node's turn. */
static int
make_copy (VfOverlay *overlay, const VfNode *node, guint64 plain_id, VfCopyupDepth depth)
{
  gboolean symlink = node->lower.type == VF_NODE_SYMLINK;
  gboolean stub = depth == VF_COPYUP_STUB && node->lower.type == VF_NODE_FILE &&
                  node->lower.has_digest && !node->lower.data;
  char temporary[VF_NAME_BYTES];
  vf_temporary_name (overlay, temporary);
  int result = symlink ? make_symlink (overlay, temporary, &node->lower)
                       : make_file (overlay, temporary, node, plain_id, stub);
  if (result == 0) {
    g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
    result = place_copy (overlay, node->upper.id, temporary,
                         VF_UPPER_PRESENT | (stub ? VF_UPPER_STUB : 0));
  }
  if (result < 0)
    unlinkat (overlay->work_fd, temporary, 0);
  return result;
}

typedef struct {
  int fd;
  struct stat st;
  VfDescriptor *object;
} Filling;

static void
filling_clear (Filling *filling)
{
  vf_fd_clear (&filling->fd);
  g_clear_pointer (&filling->object, vf_descriptor_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Filling, filling_clear)

static int
begin_filling (VfOverlay *overlay, const VfNode *node, Filling *filling)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  g_auto (VfPlace) place = {0};
  g_autoptr (GBytes) bytes = NULL;
  int result = vf_place_find (overlay, node, &place);
  if (result < 0)
    return result;
  filling->fd = vf_beneath_open_forced (place.dir_fd, place.name, O_RDWR);
  if (filling->fd < 0)
    return filling->fd;
  if (fstat (filling->fd, &filling->st) < 0)
    return -errno;
  return vf_node_open_bytes (overlay, node, &filling->object, &bytes);
}

/* Holds: the node's turn. */
static int
fill_stub (VfOverlay *overlay, const VfNode *node)
{
  g_auto (Filling) filling = {.fd = -1};
  int result = begin_filling (overlay, node, &filling);
  if (result < 0)
    return result;
  result = copy_bytes (filling.object, filling.fd, (guint64)filling.st.st_size);
  if (result == 0 && filling.st.st_size > 0 && fdatasync (filling.fd) < 0)
    result = -errno;
  /* A hole again, of the same size at any moment. If even that takes more room than there is, the
   * bytes stay for the next attempt to write over. */
  if (result < 0)
    (void)fallocate (filling.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, filling.st.st_size);
  struct timespec times[2] = {filling.st.st_atim, filling.st.st_mtim};
  futimens (filling.fd, times);
  if (result < 0)
    return result;

  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  result = vf_marking_remove_digest (filling.fd);
  if (result < 0)
    return result;
  vf_upper_set (overlay->upper, node->upper.id, 0, VF_UPPER_STUB);
  vf_descriptors_drop (overlay->descriptors, node->upper.id);
  return 0;
}

int
vf_copyup_file_in_turn (VfOverlay *overlay, guint64 id, VfCopyupDepth depth)
{
  VfNode node;
  g_rw_lock_reader_lock (&overlay->tree);
  int result = vf_node_resolve (overlay, id, &node);
  guint64 plain_id = vf_lower_plain_id (overlay, id);
  g_rw_lock_reader_unlock (&overlay->tree);
  if (result < 0)
    return result;
  if (node.directory)
    return -EISDIR;
  if (!node.present)
    return make_copy (overlay, &node, plain_id, depth);
  if ((node.upper.flags & VF_UPPER_STUB) && depth == VF_COPYUP_BYTES)
    return fill_stub (overlay, &node);
  return 0;
}

int
vf_copyup_file (VfOverlay *overlay, guint64 id, VfCopyupDepth depth)
{
  vf_overlay_begin_turn (overlay, id);
  int result = vf_copyup_file_in_turn (overlay, id, depth);
  vf_overlay_end_turn (overlay, id);
  return result;
}

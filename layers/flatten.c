/* Order makes it safe: a file's mark goes when its bytes are on the disk; a directory's when all
 * that it stood for is there, which until then only covers the same below. Files are complete
 * before they have a name (O_TMPFILE). Directories keep their times. */
#include "layers/flatten.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/image.h"
#include "layers/marks.h"
#include "layers/object.h"

#define COPY_BYTES (1024 * 1024)
/* Copied in the kernel at a time, which nothing but its end interrupts: a blink of a disk. */
#define RANGE_BYTES (64 * 1024 * 1024)

typedef struct {
  VfStore *store;
  const char *root; /* path of the upper */
  const VfViewContext *view;
  VfStopFunc is_to_stop; /* or NULL */
  VfFlattened *result;
  GHashTable *images; /* hex id → VfImage */
  guint depth;
} Flatten;

static gboolean
fail (const Flatten *flatten, const char *path, int errnum, GError **error)
{
  if (errnum == ECANCELED)
    return vf_error_set (error, VF_ERROR_CANCELLED, "%s: interrupted", flatten->root);
  return vf_error_errno (error, errnum, "%s/%s: cannot be flattened", flatten->root, path);
}

static char *
join (const char *path, const char *name)
{
  return *path ? g_strconcat (path, "/", name, NULL) : g_strdup (name);
}

static GPtrArray *
list_names (int fd)
{
  g_autoptr (DIR) dir = vf_dir_open (fd, ".");
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    g_ptr_array_add (names, g_strdup (name));
  return dir && errno == 0 ? g_steal_pointer (&names) : NULL;
}

/* Its own permissions do not count: it is the user's, whatever its mode. */
static int
open_forced (int dir_fd, const char *name, mode_t mode, int flags)
{
  int fd = openat (dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd >= 0 || errno != EACCES)
    return fd;
  VF_AUTOFD path_fd = openat (dir_fd, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
  VfProcPath path;
  if (path_fd < 0 || chmod (vf_proc_path (&path, path_fd, NULL), (mode & 07777) | 0700) < 0)
    return -1;
  fd = openat (dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  int errnum = errno;
  chmod (path.text, mode & 07777);
  errno = errnum;
  return fd;
}

/* --- Contents --- */

/* The first @length bytes of an object; 0 or an errno, ECANCELED among them. */
static int
copy_object (Flatten *flatten, const VfDigest *digest, guint64 length, int out_fd)
{
  VfExtent extent;
  int result = vf_object_open (flatten->store, digest, &extent);
  if (result < 0)
    return result == -ENOENT ? EIO : -result;
  VF_AUTOFD in_fd = extent.fd;
  if (length > extent.length)
    return EIO;
  g_autofree char *buffer = g_malloc (MIN (length, COPY_BYTES) + 1);
  loff_t out = 0;
  for (guint64 done = 0; done < length;) {
    loff_t in = extent.offset + (loff_t)done;
    if (flatten->is_to_stop && flatten->is_to_stop ())
      return ECANCELED;
    ssize_t n = copy_file_range (in_fd, &in, out_fd, &out, MIN (length - done, RANGE_BYTES), 0);
    if (n <= 0) {
      n = pread (in_fd, buffer, MIN (length - done, COPY_BYTES), extent.offset + (off_t)done);
      if (n > 0)
        n = pwrite (out_fd, buffer, (gsize)n, out);
      out += MAX (n, 0);
    }
    if (n < 0 && errno != EINTR)
      return errno;
    if (n == 0)
      return EIO;
    done += (guint64)MAX (n, 0);
  }
  flatten->result->bytes += length;
  return 0;
}

static gboolean
fill_stub (Flatten *flatten, int fd, const struct stat *st, const VfMarks *marks, const char *path,
           GError **error)
{
  struct timespec times[2] = {st->st_atim, st->st_mtim};
  int errnum = copy_object (flatten, &marks->digest, (guint64)st->st_size, fd);
  if ((futimens (fd, times) < 0 || (errnum == 0 && fsync (fd) < 0)) && errnum == 0)
    errnum = errno;
  if (errnum == 0)
    errnum = -vf_mark_remove_digest (fd);
  flatten->result->files++;
  return errnum == 0 || fail (flatten, path, errnum, error);
}

static gboolean
flatten_file (Flatten *flatten, int dir_fd, const char *name, const struct stat *st,
              const VfMarks *marks, const char *path, GError **error)
{
  if (!marks->has_digest && marks->id == 0)
    return TRUE;
  VF_AUTOFD fd = open_forced (dir_fd, name, st->st_mode, O_RDWR);
  if (fd < 0)
    return fail (flatten, path, errno, error);
  if (marks->has_digest && !fill_stub (flatten, fd, st, marks, path, error))
    return FALSE;
  int result = vf_mark_remove_id (fd);
  return result == 0 || fail (flatten, path, -result, error);
}

/* --- What a directory stands for --- */

static VfImage *
find_image (Flatten *flatten, const VfDigest *id, GError **error)
{
  g_autofree char *relative = vf_digest_path ("images/", id);
  VfImage *image = g_hash_table_lookup (flatten->images, relative);
  if (image)
    return image;
  image = vf_image_open (vf_store_fd (flatten->store), relative, error);
  if (image)
    g_hash_table_insert (flatten->images, g_steal_pointer (&relative), image);
  return image;
}

static int
write_content (Flatten *flatten, int fd, const VfImageNode *node)
{
  g_autoptr (GBytes) view = NULL;
  if (node->type == VF_NODE_FILE && node->has_digest)
    return copy_object (flatten, &node->digest, node->size, fd);
  const char *data = node->data;
  gsize length = (gsize)node->size;
  if (node->type == VF_NODE_VIEW) {
    view = flatten->view ? vf_view_render (node->data, length, flatten->view) : NULL;
    data = view ? g_bytes_get_data (view, &length) : NULL;
  }
  if (!data)
    return EIO;
  g_autoptr (GError) error = NULL;
  flatten->result->bytes += length;
  return vf_write_all (fd, data, length, "", &error) ? 0 : vf_errno_from_error (error);
}

static int
make_file (Flatten *flatten, int dir_fd, const VfImageNode *node)
{
  struct timespec times[2] = {{.tv_sec = node->mtime}, {.tv_sec = node->mtime}};
  VF_AUTOFD fd = openat (dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno;
  int errnum = write_content (flatten, fd, node);
  if (errnum != 0)
    return errnum;
  VfProcPath path;
  if (fchmod (fd, node->mode & 07777) < 0 || futimens (fd, times) < 0 || fsync (fd) < 0 ||
      linkat (AT_FDCWD, vf_proc_path (&path, fd, NULL), dir_fd, node->name, AT_SYMLINK_FOLLOW) < 0)
    return errno;
  flatten->result->files++;
  return 0;
}

static int
make_symlink (int dir_fd, const VfImageNode *node)
{
  struct timespec times[2] = {{.tv_sec = node->mtime}, {.tv_sec = node->mtime}};
  g_autofree char *target = g_strndup (node->data, (gsize)node->size);
  return symlinkat (target, dir_fd, node->name) < 0 ||
                 utimensat (dir_fd, node->name, times, AT_SYMLINK_NOFOLLOW) < 0
             ? errno
             : 0;
}

static gboolean expand (Flatten *flatten, int fd, VfImage *image, const VfImageNode *node,
                        const char *path, GError **error);

/* A directory that is in both, or in the image alone. Whatever ends this, one that was made has the
 * image's mode: done again, it is taken for one that was there. */
static gboolean
expand_directory (Flatten *flatten, int dir_fd, VfImage *image, const VfImageNode *node,
                  gboolean make, const char *path, GError **error)
{
  if (make && mkdirat (dir_fd, node->name, node->mode & 0777) < 0)
    return fail (flatten, path, errno, error);
  struct stat st;
  VF_AUTOFD fd = fstatat (dir_fd, node->name, &st, AT_SYMLINK_NOFOLLOW) < 0
                     ? -1
                     : open_forced (dir_fd, node->name, st.st_mode, O_RDONLY | O_DIRECTORY);
  if (fd < 0 || (make && fchmod (fd, (node->mode & 07777) | 0700) < 0))
    return fail (flatten, path, errno, error);
  struct timespec times[2] = {st.st_atim, st.st_mtim};
  if (make)
    times[0] = times[1] = (struct timespec){.tv_sec = node->mtime};
  gboolean done = expand (flatten, fd, image, node, path, error);
  gboolean kept = (!make || fchmod (fd, node->mode & 07777) == 0) && futimens (fd, times) == 0;
  return done && (kept || fail (flatten, path, errno, error));
}

static gboolean
expand_child (Flatten *flatten, int fd, VfImage *image, const VfImageNode *child, const char *path,
              GError **error)
{
  struct stat st;
  gboolean there = fstatat (fd, child->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there && errno != ENOENT)
    return fail (flatten, path, errno, error);
  if (there && (!S_ISDIR (st.st_mode) || child->type != VF_NODE_DIRECTORY))
    return TRUE;
  if (there) {
    g_auto (VfMarks) marks = {0};
    int result = vf_marks_read (fd, child->name, st.st_mode, &marks);
    if (result < 0)
      return fail (flatten, path, -result, error);
    if (marks.opaque || marks.has_lower)
      return TRUE;
  }
  if (child->type == VF_NODE_DIRECTORY)
    return expand_directory (flatten, fd, image, child, !there, path, error);
  int errnum =
      child->type == VF_NODE_SYMLINK ? make_symlink (fd, child) : make_file (flatten, fd, child);
  return errnum == 0 || fail (flatten, path, errnum, error);
}

static gboolean
expand (Flatten *flatten, int fd, VfImage *image, const VfImageNode *node, const char *path,
        GError **error)
{
  for (guint32 i = 0; i < node->n_children; i++) {
    VfImageNode child;
    int result = vf_image_get (image, node->first_child + i, &child);
    if (result < 0)
      return fail (flatten, path, -result, error);
    g_autofree char *below = join (path, child.name);
    if (!vf_stop_check (flatten->is_to_stop, flatten->root, error) ||
        !expand_child (flatten, fd, image, &child, below, error))
      return FALSE;
  }
  return TRUE;
}

/* --- The walk --- */

static gboolean
flatten_entries (Flatten *flatten, int fd, gboolean merged, const char *path, GError **error);

/* Everything of it must be on the disk before the mark goes. */
static gboolean
settle_renamed (Flatten *flatten, int fd, const char *path, GError **error)
{
  int result = syncfs (fd) < 0 ? -errno : vf_mark_set_opaque (fd);
  if (result == 0)
    result = vf_mark_remove_lower (fd);
  flatten->result->directories++;
  return result == 0 || fail (flatten, path, -result, error);
}

static gboolean
flatten_within (Flatten *flatten, int fd, const VfMarks *marks, gboolean merged, const char *path,
                GError **error)
{
  if (marks->has_lower) {
    VfImageNode node;
    VfImage *image = find_image (flatten, &marks->lower_image, error);
    if (!image)
      return FALSE;
    /* What cannot be found below counts as nothing there, as in a mount. */
    if (vf_image_lookup_path (image, marks->lower_path, &node) == 0 &&
        node.type == VF_NODE_DIRECTORY && !expand (flatten, fd, image, &node, path, error))
      return FALSE;
    if (!settle_renamed (flatten, fd, path, error))
      return FALSE;
  }
  merged = merged && !marks->has_lower && !marks->opaque;
  if (!vf_depth_check (flatten->depth++, flatten->root, error) ||
      !flatten_entries (flatten, fd, merged, path, error))
    return FALSE;
  flatten->depth--;
  return TRUE;
}

static gboolean
flatten_directory (Flatten *flatten, int dir_fd, const char *name, const struct stat *st,
                   const VfMarks *marks, gboolean merged, const char *path, GError **error)
{
  struct timespec times[2] = {st->st_atim, st->st_mtim};
  VF_AUTOFD fd = open_forced (dir_fd, name, st->st_mode, O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return fail (flatten, path, errno, error);
  gboolean done = flatten_within (flatten, fd, marks, merged, path, error);
  return (futimens (fd, times) == 0 || (done && fail (flatten, path, errno, error))) && done;
}

/* @merged: something may be below. A whiteout where nothing is would be seen. */
static gboolean
flatten_entry (Flatten *flatten, int fd, const char *name, gboolean merged, const char *path,
               GError **error)
{
  struct stat st;
  g_auto (VfMarks) marks = {0};
  if (fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return fail (flatten, path, errno, error);
  if (S_ISCHR (st.st_mode) && st.st_rdev == 0)
    return merged || unlinkat (fd, name, 0) == 0 || fail (flatten, path, errno, error);
  int result = vf_marks_read (fd, name, st.st_mode, &marks);
  if (result < 0)
    return fail (flatten, path, -result, error);
  if (S_ISREG (st.st_mode))
    return flatten_file (flatten, fd, name, &st, &marks, path, error);
  return !S_ISDIR (st.st_mode) ||
         flatten_directory (flatten, fd, name, &st, &marks, merged, path, error);
}

static gboolean
flatten_entries (Flatten *flatten, int fd, gboolean merged, const char *path, GError **error)
{
  g_autoptr (GPtrArray) names = list_names (fd);
  if (!names)
    return fail (flatten, path, errno, error);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *below = join (path, names->pdata[i]);
    if (!vf_stop_check (flatten->is_to_stop, flatten->root, error) ||
        !flatten_entry (flatten, fd, names->pdata[i], merged, below, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
vf_flatten (VfStore *store, int upper_fd, const char *path, const VfViewContext *view,
            VfStopFunc is_to_stop, VfFlattened *out_result, GError **error)
{
  g_autoptr (GHashTable) images =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)vf_image_unref);
  Flatten flatten = {.store = store,
                     .root = path,
                     .view = view,
                     .is_to_stop = is_to_stop,
                     .result = out_result,
                     .images = images};
  *out_result = (VfFlattened){0};
  return flatten_entries (&flatten, upper_fd, TRUE, "", error);
}

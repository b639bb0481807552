#include "tools/export-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/marks.h"
#include "layers/object.h"
#include "layers/view.h"
#include "tools/copy-file.h"
#include "tools/interrupt.h"
#include "tools/progress.h"
#include "tools/relocate.h"

typedef struct {
  VfStore *store;
  VfEnvironment *environment;
  VfViewContext view;
  VfProgress *progress;
  guint64 expected; /* nodes of the image: a guess of the total */
  VfExportResult result;
  GHashTable *images; /* hex id → VfImage: those that renamed directories refer to */
  GHashTable *links;  /* inode of the upper → path relative to the target, of hard-linked files */
  int root_fd;        /* of the target */
} Export;

/* The image's side of a directory; image NULL: nothing is below. */
typedef struct {
  VfImage *image; /* borrowed */
  VfImageNode node;
} Lower;

/* One directory in both its sides and as it is being written. */
typedef struct {
  Export *export;
  Lower lower;
  int upper_fd; /* -1: nothing above */
  int out_fd;
  const char *path; /* relative to the target; "" for the root */
  guint depth;
} Place;

static gboolean export_directory (const Place *place, GError **error);

static char *
join (const Place *place, const char *name)
{
  return *place->path ? g_strconcat (place->path, "/", name, NULL) : g_strdup (name);
}

static gboolean
fail (const Place *place, const char *name, int errnum, GError **error)
{
  g_autofree char *path = join (place, name);
  return vf_error_errno (error, errnum, "%s/%s: cannot be exported",
                         place->export->view.mount_point, path);
}

static gboolean
count (Export *export, guint64 *counter, GError **error)
{
  ++*counter;
  guint64 done = export->result.files + export->result.directories + export->result.symlinks;
  vf_progress_update (export->progress, MIN (done, export->expected), export->expected);
  return vf_interrupt_check (error);
}

/* --- contents */

static int
copy_object (Export *export, const VfDigest *digest, guint64 length, int out_fd)
{
  VfExtent extent = {.fd = -1};
  int result = vf_object_open (export->store, digest, &extent);
  if (result < 0)
    return result;
  VF_AUTOFD in_fd = extent.fd;
  if (length > extent.length)
    return -EIO;
  return vf_copy_range (in_fd, extent.offset, length, out_fd);
}

static int
create (const Place *place, const char *name)
{
  return openat (place->out_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Mode and times last: a content that is written changes both. */
static int
seal (int fd, guint32 mode, struct timespec mtime)
{
  const struct timespec times[2] = {mtime, mtime};
  return fchmod (fd, mode & 07777) < 0 || futimens (fd, times) < 0 ? -errno : 0;
}

/* --- from the image */

static int
write_image_content (Export *export, const VfImageNode *node, int out_fd)
{
  g_autoptr (GError) error = NULL;
  if (node->type == VF_NODE_VIEW) {
    g_autoptr (GBytes) bytes = vf_view_render (node->data, node->size, &export->view);
    if (!bytes)
      return -EIO;
    gsize length;
    const void *data = g_bytes_get_data (bytes, &length);
    export->result.bytes += length;
    return vf_write_all (out_fd, data, length, "", &error) ? 0 : -vf_errno_from_error (error);
  }
  export->result.bytes += node->size;
  if (node->data)
    return vf_write_all (out_fd, node->data, node->size, "", &error) ? 0
                                                                     : -vf_errno_from_error (error);
  return copy_object (export, &node->digest, node->size, out_fd);
}

static gboolean
export_image_file (const Place *place, const VfImageNode *node, GError **error)
{
  VF_AUTOFD fd = create (place, node->name);
  if (fd < 0)
    return fail (place, node->name, errno, error);
  int result = write_image_content (place->export, node, fd);
  if (result == 0)
    result = seal (fd, node->mode, (struct timespec){.tv_sec = node->mtime});
  if (result < 0)
    return fail (place, node->name, -result, error);
  return count (place->export, &place->export->result.files, error);
}

static gboolean
export_link (const Place *place, const char *name, const char *target, struct timespec mtime,
             GError **error)
{
  const struct timespec times[2] = {mtime, mtime};
  if (symlinkat (target, place->out_fd, name) < 0 ||
      utimensat (place->out_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
    return fail (place, name, errno, error);
  return count (place->export, &place->export->result.symlinks, error);
}

static gboolean
export_image_link (const Place *place, const VfImageNode *node, GError **error)
{
  /* Whether something that ends a string follows a target in the image depends on its length. */
  g_autofree char *target = g_strndup (node->data, (gsize)node->size);
  return export_link (place, node->name, target, (struct timespec){.tv_sec = node->mtime}, error);
}

/* Makes the directory @name and goes on in it. */
static gboolean
descend (const Place *place, const char *name, Lower lower, int upper_fd, guint32 mode,
         struct timespec mtime, GError **error)
{
  g_autofree char *path = join (place, name);
  if (!vf_depth_check (place->depth, vf_environment_path (place->export->environment), error))
    return FALSE;
  if (mkdirat (place->out_fd, name, 0700) < 0)
    return fail (place, name, errno, error);
  VF_AUTOFD out_fd = openat (place->out_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (out_fd < 0)
    return fail (place, name, errno, error);
  Place below = {place->export, lower, upper_fd, out_fd, path, place->depth + 1};
  if (!export_directory (&below, error))
    return FALSE;
  int result = upper_fd >= 0 ? vf_copy_identity (upper_fd, out_fd) : 0;
  if (result == 0)
    result = seal (out_fd, mode, mtime);
  if (result < 0)
    return fail (place, name, -result, error);
  return count (place->export, &place->export->result.directories, error);
}

static gboolean
export_image_node (const Place *place, const VfImageNode *node, GError **error)
{
  switch (node->type) {
  case VF_NODE_DIRECTORY:
    return descend (place, node->name, (Lower){place->lower.image, *node}, -1, node->mode,
                    (struct timespec){.tv_sec = node->mtime}, error);
  case VF_NODE_SYMLINK:
    return export_image_link (place, node, error);
  case VF_NODE_FILE:
  case VF_NODE_VIEW:
    return export_image_file (place, node, error);
  }
  return fail (place, node->name, EIO, error);
}

/* The image's children that nothing in the upper (@above) covers. */
static gboolean
export_lower (const Place *place, GHashTable *above, GError **error)
{
  const Lower *lower = &place->lower;
  for (guint32 i = 0; lower->image && i < lower->node.n_children; i++) {
    VfImageNode child;
    int result = vf_image_get (lower->image, lower->node.first_child + i, &child);
    if (result < 0)
      return fail (place, "", -result, error);
    if (!g_hash_table_contains (above, child.name) && !export_image_node (place, &child, error))
      return FALSE;
  }
  return TRUE;
}

/* --- from the upper */

static VfImage *
image_of (Export *export, const VfDigest *id)
{
  g_autofree char *relative = vf_digest_path ("images/", id);
  VfImage *known = g_hash_table_lookup (export->images, relative);
  if (known)
    return known;
  VfImage *image = vf_image_open (vf_store_fd (export->store), relative, NULL);
  if (image)
    g_hash_table_insert (export->images, g_steal_pointer (&relative), image);
  return image;
}

/* What lies below an upper directory: what its marks say, else what has its name. */
static Lower
lower_of (const Place *place, const char *name, const VfMarks *marks)
{
  Lower lower = {0};
  const Lower *around = &place->lower;
  int result = -ENOENT;
  if (marks->has_lower) {
    lower.image = image_of (place->export, &marks->lower_image);
    if (lower.image)
      result = vf_image_lookup_path (lower.image, marks->lower_path, &lower.node);
  } else if (!marks->opaque && around->image) {
    lower.image = around->image;
    result = vf_image_lookup (lower.image, around->node.index, name, strlen (name), &lower.node);
  }
  if (result < 0 || lower.node.type != VF_NODE_DIRECTORY)
    lower.image = NULL;
  return lower;
}

static gboolean
export_upper_directory (const Place *place, const char *name, const struct stat *st, GError **error)
{
  g_auto (VfMarks) marks = {0};
  int result = vf_marks_read (place->upper_fd, name, st->st_mode, &marks);
  VF_AUTOFD fd =
      openat (place->upper_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME);
  if (fd < 0)
    fd = openat (place->upper_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (result < 0 || fd < 0)
    return fail (place, name, result < 0 ? -result : errno, error);
  return descend (place, name, lower_of (place, name, &marks), fd, st->st_mode, st->st_mtim, error);
}

static int
write_upper_content (const Place *place, const char *name, const struct stat *st, int out_fd)
{
  Export *export = place->export;
  g_auto (VfMarks) marks = {0};
  int result = vf_marks_read (place->upper_fd, name, st->st_mode, &marks);
  if (result < 0)
    return result;
  VF_AUTOFD in_fd = openat (place->upper_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (in_fd < 0)
    return -errno;
  guint64 length = (guint64)st->st_size;
  export->result.bytes += length;
  result = marks.has_digest ? copy_object (export, &marks.digest, length, out_fd)
                            : vf_copy_sparse (in_fd, length, out_fd);
  return result < 0 ? result : vf_copy_identity (in_fd, out_fd);
}

/* TRUE when @name became another name of a file that is written already; notes it otherwise. */
static gboolean
made_link (const Place *place, const char *name, const struct stat *st)
{
  Export *export = place->export;
  if (st->st_nlink < 2)
    return FALSE;
  gint64 inode = (gint64)st->st_ino;
  const char *first = g_hash_table_lookup (export->links, &inode);
  if (first)
    return linkat (export->root_fd, first, place->out_fd, name, 0) == 0;
  g_hash_table_insert (export->links, g_memdup2 (&inode, sizeof inode), join (place, name));
  return FALSE;
}

static gboolean
export_upper_file (const Place *place, const char *name, const struct stat *st, GError **error)
{
  if (made_link (place, name, st))
    return count (place->export, &place->export->result.files, error);
  VF_AUTOFD fd = create (place, name);
  if (fd < 0)
    return fail (place, name, errno, error);
  int result = write_upper_content (place, name, st, fd);
  if (result == 0)
    result = seal (fd, st->st_mode, st->st_mtim);
  if (result < 0)
    return fail (place, name, -result, error);
  return count (place->export, &place->export->result.files, error);
}

/* What cannot be opened for that. */
static gboolean
give (const Place *place, const char *name, const struct stat *st, GError **error)
{
  return geteuid () != 0 ||
         fchownat (place->out_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) == 0 ||
         fail (place, name, errno, error);
}

static gboolean
export_upper_link (const Place *place, const char *name, const struct stat *st, GError **error)
{
  char target[PATH_MAX];
  ssize_t length = readlinkat (place->upper_fd, name, target, sizeof target - 1);
  if (length < 0)
    return fail (place, name, errno, error);
  target[length] = '\0';
  return export_link (place, name, target, st->st_mtim, error) && give (place, name, st, error);
}

static gboolean
export_fifo (const Place *place, const char *name, const struct stat *st, GError **error)
{
  if (mkfifoat (place->out_fd, name, st->st_mode & 07777) < 0)
    return fail (place, name, errno, error);
  return give (place, name, st, error);
}

static gboolean
export_upper_entry (const Place *place, const char *name, GError **error)
{
  struct stat st;
  if (fstatat (place->upper_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT || fail (place, name, errno, error); /* a mount goes on changing it */
  if (S_ISDIR (st.st_mode))
    return export_upper_directory (place, name, &st, error);
  if (S_ISREG (st.st_mode))
    return export_upper_file (place, name, &st, error);
  if (S_ISLNK (st.st_mode))
    return export_upper_link (place, name, &st, error);
  if (S_ISFIFO (st.st_mode))
    return export_fifo (place, name, &st, error);
  gboolean whiteout = S_ISCHR (st.st_mode) && st.st_rdev == makedev (0, 0);
  place->export->result.skipped += !whiteout;
  return TRUE;
}

/* The names in the upper, whiteouts among them: each hides what the image has of this name. */
static GHashTable *
list_upper (const Place *place, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (place->upper_fd < 0)
    return g_steal_pointer (&names);
  g_autoptr (DIR) dir = vf_dir_open (place->upper_fd, ".");
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    g_hash_table_add (names, g_strdup (name));
  if (dir && errno == 0)
    return g_steal_pointer (&names);
  fail (place, "", errno, error);
  return NULL;
}

static gboolean
export_directory (const Place *place, GError **error)
{
  g_autoptr (GHashTable) above = list_upper (place, error);
  if (!above)
    return FALSE;
  GHashTableIter iter;
  gpointer name;
  g_hash_table_iter_init (&iter, above);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (!export_upper_entry (place, name, error))
      return FALSE;
  return export_lower (place, above, error);
}

/* --- */

static gboolean
export_root (Export *export, VfImage *image, int target_fd, GError **error)
{
  int environment_fd = vf_environment_fd (export->environment);
  struct stat st;
  g_auto (VfMarks) marks = {0};
  Place place = {.export = export, .out_fd = target_fd, .path = ""};
  VF_AUTOFD upper_fd =
      openat (environment_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  place.upper_fd = upper_fd;
  int result = upper_fd < 0 || fstat (upper_fd, &st) < 0 ? -errno : 0;
  if (result == 0)
    result = vf_marks_read (environment_fd, "upper", st.st_mode, &marks);
  if (result < 0)
    return vf_error_errno (error, -result, "%s/upper: cannot be read",
                           vf_environment_path (export->environment));
  if (!marks.opaque)
    place.lower.image = image;
  result = vf_image_lookup_path (image, "", &place.lower.node);
  if (result < 0)
    return fail (&place, "", -result, error);
  g_auto (GStrv) former = vf_places_read (environment_fd);
  if (!export_directory (&place, error) ||
      !vf_relocate_tree (target_fd, target_fd, (const char *const *)former,
                         export->view.mount_point, error))
    return FALSE;
  struct timespec mtime = {.tv_sec = place.lower.node.mtime};
  result = seal (target_fd, place.lower.node.mode, mtime);
  return result == 0 || fail (&place, "", -result, error);
}

gboolean
vf_export_tree (VfStore *store, VfEnvironment *environment, VfImage *image, int target_fd,
                const char *target, VfOutput *output, VfExportResult *out_result, GError **error)
{
  g_autoptr (VfProgress) progress =
      vf_progress_new (output, "Exporting", VF_PROGRESS_ITEMS, "file");
  g_autoptr (GHashTable) images =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)vf_image_unref);
  g_autoptr (GHashTable) links =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
  Export export = {
      .store = store,
      .environment = environment,
      .view = {target, vf_environment_prompt (environment)},
      .progress = progress,
      .expected = vf_image_n_nodes (image),
      .images = images,
      .links = links,
      .root_fd = target_fd,
  };
  if (!export_root (&export, image, target_fd, error))
    return FALSE;
  *out_result = export.result;
  return TRUE;
}

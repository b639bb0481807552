/* From above, directory by directory: the uppermost entry of a name decides, and directories of one
 * name are merged down to the first that is opaque or no directory. The id of the image is a hash
 * of all that goes in, in order of name, so equal stacks are one image, wherever they lie. */
#include "layers/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "layers/known-files.h"
#include "layers/marks.h"
#include "layers/object.h"
#include "layers/tree.h"

#define SMALL_BYTES (1024 * 1024)
#define STEP_BYTES  (8 * SMALL_BYTES)
#define ATTEMPTS    3
#define FORMAT      "venvfs stack 1"

typedef struct {
  VfStore *store;
  const char *const *roots;
  VfStopFunc is_to_stop; /* or NULL */
  GPtrArray *warnings;
  VfKnownFiles **known; /* one for each root */
  VfObjectBatch *batch;
  VfTree *tree;
  VfHasher *hasher;
  guint depth; /* of the directory that is being merged */
} Stack;

/* A directory of one of the roots. */
typedef struct {
  guint root;
  int fd;
} Layer;

/* An entry of one of them. */
typedef struct {
  guint root;
  int dir_fd;
  const char *name;
  const char *path; /* relative to the roots */
  struct stat st;
  VfMarks marks;
} Entry;

static void
entry_clear (Entry *entry)
{
  vf_marks_clear (&entry->marks);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Entry, entry_clear)

static void
layer_clear (gpointer data)
{
  Layer *layer = data;
  vf_fd_clear (&layer->fd);
}

static GArray *
layers_new (void)
{
  GArray *layers = g_array_new (FALSE, FALSE, sizeof (Layer));
  g_array_set_clear_func (layers, layer_clear);
  return layers;
}

static gboolean
entry_error (const Stack *stack, const Entry *entry, int errnum, const char *what, GError **error)
{
  return vf_error_errno (error, errnum, "%s/%s: %s", stack->roots[entry->root], entry->path, what);
}

/* --- Overlay format --- */

static gboolean
has_attribute (const Entry *entry, const char *name, const char *value)
{
  static const char *const spaces[] = {"user", "trusted"};
  VfProcPath path;
  vf_proc_path (&path, entry->dir_fd, entry->name);
  for (gsize i = 0; i < G_N_ELEMENTS (spaces); i++) {
    char found[2];
    g_autofree char *attribute = g_strdup_printf ("%s.overlay.%s", spaces[i], name);
    ssize_t length = lgetxattr (path.text, attribute, found, sizeof found);
    if (value ? length == 1 && found[0] == *value : length >= 0 || errno == ERANGE)
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_whiteout (const struct stat *st)
{
  return S_ISCHR (st->st_mode) && st->st_rdev == 0;
}

/* That it is what it looks like. */
static gboolean
check_entry (const Stack *stack, const Entry *entry, GError **error)
{
  const char *root = stack->roots[entry->root];
  if (!S_ISREG (entry->st.st_mode) && !S_ISDIR (entry->st.st_mode))
    return TRUE;
  if (entry->marks.has_lower)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s/%s: stands for a directory of an image; venvfs flatten %s makes it an "
                         "ordinary one",
                         root, entry->path, root);
  if (has_attribute (entry, S_ISDIR (entry->st.st_mode) ? "redirect" : "metacopy", NULL))
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s/%s: is somewhere else (redirect_dir or metacopy of overlayfs); copy "
                         "the tree as overlayfs shows it, and take the copy",
                         root, entry->path);
  return TRUE;
}

/* 1: it is there; 0: it is not; -1 with an error. */
static int
find_entry (const Stack *stack, const Layer *layer, const char *name, const char *path,
            Entry *out_entry, GError **error)
{
  entry_clear (out_entry);
  *out_entry = (Entry){.root = layer->root, .dir_fd = layer->fd, .name = name, .path = path};
  if (fstatat (layer->fd, name, &out_entry->st, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT)
      return 0;
    entry_error (stack, out_entry, errno, "cannot be examined", error);
    return -1;
  }
  int result = vf_marks_read (layer->fd, name, out_entry->st.st_mode, &out_entry->marks);
  if (result < 0)
    entry_error (stack, out_entry, -result, "its attributes cannot be read", error);
  return result == 0 && check_entry (stack, out_entry, error) ? 1 : -1;
}

/* --- Contents --- */

/* Into a file of the batch: it may be larger than the memory. */
static gboolean
add_large (Stack *stack, const Entry *entry, int fd, goffset offset, VfDigest *out_digest,
           GError **error)
{
  gsize size = (gsize)entry->st.st_size;
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autoptr (VfObjectMap) map = vf_object_batch_map (stack->batch, size, error);
  g_autofree char *what = g_build_filename (stack->roots[entry->root], entry->path, NULL);
  if (!map) {
    g_prefix_error (error, "%s: ", what);
    return FALSE;
  }
  char *data = vf_object_map_data (map);
  for (gsize done = 0; done < size;) {
    gsize step = MIN (size - done, STEP_BYTES);
    if (!vf_stop_check (stack->is_to_stop, stack->roots[0], error) ||
        !vf_read_all (fd, data + done, step, offset + (goffset)done, what, error))
      return FALSE;
    vf_hasher_update (hasher, data + done, step);
    done += step;
  }
  vf_hasher_finish (hasher, out_digest);
  return vf_object_batch_add_map (stack->batch, out_digest, g_steal_pointer (&map), NULL, error);
}

static gboolean
add_bytes (Stack *stack, const Entry *entry, int fd, goffset offset, VfDigest *out_digest,
           GError **error)
{
  gsize size = (gsize)entry->st.st_size;
  if (size > SMALL_BYTES)
    return add_large (stack, entry, fd, offset, out_digest, error);
  g_autofree char *what = g_build_filename (stack->roots[entry->root], entry->path, NULL);
  g_autofree char *data = g_malloc (size + 1);
  if (!vf_read_all (fd, data, size, offset, what, error))
    return FALSE;
  vf_digest_of (data, size, out_digest);
  return vf_object_batch_add (stack->batch, out_digest, data, size, NULL, error);
}

/* A file that an overlay of venvfs has changed in mode or name only. */
static gboolean
add_stub (Stack *stack, const Entry *entry, VfDigest *out_digest, GError **error)
{
  VfExtent extent;
  *out_digest = entry->marks.digest;
  if (vf_object_batch_use (stack->batch, out_digest, (gsize)entry->st.st_size))
    return TRUE;
  int result = vf_object_open (stack->store, &entry->marks.digest, &extent);
  if (result < 0)
    return entry_error (stack, entry, -result, "its content is not in the store", error);
  VF_AUTOFD fd = extent.fd;
  if (extent.length < (guint64)entry->st.st_size)
    return entry_error (stack, entry, EIO, "its content is not in the store", error);
  return add_bytes (stack, entry, fd, extent.offset, out_digest, error);
}

/* What changes while it is read is read again; *@out_st is what was read. */
static gboolean
read_file (Stack *stack, Entry *entry, VfDigest *out_digest, GError **error)
{
  VF_AUTOFD fd =
      openat (entry->dir_fd, entry->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return entry_error (stack, entry, errno, "cannot be opened", error);
  for (guint attempt = 0; attempt < ATTEMPTS; attempt++) {
    struct stat after;
    g_autoptr (GError) cause = NULL;
    if (fstat (fd, &entry->st) < 0 || !S_ISREG (entry->st.st_mode))
      break;
    gboolean done = add_bytes (stack, entry, fd, 0, out_digest, &cause);
    if (fstat (fd, &after) < 0)
      break;
    gboolean same = after.st_size == entry->st.st_size &&
                    after.st_mtim.tv_sec == entry->st.st_mtim.tv_sec &&
                    after.st_mtim.tv_nsec == entry->st.st_mtim.tv_nsec;
    if (same && !done)
      g_propagate_error (error, g_steal_pointer (&cause));
    if (same)
      return done;
  }
  return vf_error_set (error, VF_ERROR_INVALID,
                       "%s/%s: is being written to; mount it when that has ended",
                       stack->roots[entry->root], entry->path);
}

static void
hash_entry (Stack *stack, char type, const Entry *entry, const void *content, gsize length)
{
  g_autofree char *head =
      g_strdup_printf ("%c %o %" G_GSIZE_FORMAT " ", type, entry->st.st_mode & 07777, length);
  vf_hasher_update (stack->hasher, head, strlen (head));
  vf_hasher_update (stack->hasher, entry->path, strlen (entry->path) + 1);
  vf_hasher_update (stack->hasher, content, length);
}

static gboolean
add_file (Stack *stack, Entry *entry, GError **error)
{
  VfKnownFiles *known = stack->known[entry->root];
  VfDigest digest;
  gboolean done = TRUE;
  if (entry->marks.has_digest)
    done = add_stub (stack, entry, &digest, error);
  else if (!vf_known_files_find (known, entry->path, &entry->st, &digest) ||
           !vf_object_batch_use (stack->batch, &digest, (gsize)entry->st.st_size))
    done = read_file (stack, entry, &digest, error);
  if (!done)
    return FALSE;
  vf_known_files_add (known, entry->path, &entry->st, &digest);
  hash_entry (stack, 'f', entry, &digest, sizeof digest);
  return vf_tree_add_file (stack->tree, entry->path, entry->st.st_mode & 07777,
                           (guint64)entry->st.st_size, &digest, error);
}

static gboolean
add_symlink (Stack *stack, const Entry *entry, GError **error)
{
  char target[VF_IMAGE_MAX_SYMLINK + 1];
  ssize_t length = readlinkat (entry->dir_fd, entry->name, target, sizeof target);
  if (length < 0 || length == sizeof target)
    return entry_error (stack, entry, length < 0 ? errno : ENAMETOOLONG, "cannot be read", error);
  target[length] = '\0';
  hash_entry (stack, 'l', entry, target, (gsize)length);
  return vf_tree_add_symlink (stack->tree, entry->path, target, error);
}

static gboolean
add_leaf (Stack *stack, Entry *entry, GError **error)
{
  if (S_ISREG (entry->st.st_mode))
    return add_file (stack, entry, error);
  if (S_ISLNK (entry->st.st_mode))
    return add_symlink (stack, entry, error);
  if (stack->warnings)
    g_ptr_array_add (stack->warnings,
                     g_strdup_printf ("%s/%s: is no file, directory or link, and is left out",
                                      stack->roots[entry->root], entry->path));
  return TRUE;
}

/* --- Directories --- */

static gboolean merge (Stack *stack, const GArray *layers, const char *path, GError **error);

/* All that is merged under one name, or the one thing that is not. */
static gboolean
merge_name (Stack *stack, const GArray *layers, const char *name, const char *path, GError **error)
{
  g_autoptr (GArray) below = layers_new ();
  g_auto (Entry) top = {0};
  for (guint i = 0; i < layers->len; i++) {
    g_auto (Entry) entry = {0};
    int found = find_entry (stack, &g_array_index (layers, Layer, i), name, path, &entry, error);
    if (found < 0)
      return FALSE;
    if (found == 0)
      continue;
    if (is_whiteout (&entry.st))
      break;
    if (!S_ISDIR (entry.st.st_mode)) {
      if (below->len == 0)
        return add_leaf (stack, &entry, error);
      break;
    }
    Layer layer = {.root = entry.root};
    layer.fd = openat (entry.dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (layer.fd < 0)
      return entry_error (stack, &entry, errno, "cannot be opened", error);
    if (below->len == 0)
      top = (Entry){.root = entry.root, .path = path, .st = entry.st};
    g_array_append_val (below, layer);
    if (entry.marks.opaque || has_attribute (&entry, "opaque", "y"))
      break;
  }
  if (below->len == 0)
    return TRUE;
  hash_entry (stack, 'd', &top, "", 0);
  if (!vf_depth_check (stack->depth, stack->roots[top.root], error) ||
      !vf_tree_add_directory (stack->tree, path, top.st.st_mode & 07777, error))
    return FALSE;
  stack->depth++;
  gboolean done = merge (stack, below, path, error);
  stack->depth--;
  return done;
}

static gboolean
collect_names (const Stack *stack, const Layer *layer, const char *path, GHashTable *names,
               GError **error)
{
  g_autoptr (DIR) dir = vf_dir_open (layer->fd, ".");
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    g_hash_table_add (names, g_strdup (name));
  return (dir && errno == 0) ||
         vf_error_errno (error, errno, "%s/%s: cannot be listed", stack->roots[layer->root], path);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static gboolean
merge (Stack *stack, const GArray *layers, const char *path, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < layers->len; i++)
    if (!collect_names (stack, &g_array_index (layers, Layer, i), path, names, error))
      return FALSE;
  guint n;
  g_autofree char **sorted = (char **)g_hash_table_get_keys_as_array (names, &n);
  qsort (sorted, n, sizeof *sorted, (int (*) (const void *, const void *))compare_names);
  for (guint i = 0; i < n; i++) {
    g_autofree char *child =
        *path ? g_strconcat (path, "/", sorted[i], NULL) : g_strdup (sorted[i]);
    if (!vf_stop_check (stack->is_to_stop, stack->roots[0], error) ||
        !merge_name (stack, layers, sorted[i], child, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
open_roots (const Stack *stack, GArray *layers, GError **error)
{
  for (guint i = 0; stack->roots[i]; i++) {
    Layer layer = {.root = i};
    layer.fd = open (stack->roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layer.fd < 0)
      return vf_error_errno (error, errno, "%s: cannot be opened", stack->roots[i]);
    g_array_append_val (layers, layer);
  }
  return TRUE;
}

/* Everything that goes into the image, in the store; and its id. */
static gboolean
take_in (Stack *stack, VfDigest *out_image, GError **error)
{
  g_autoptr (GArray) layers = layers_new ();
  vf_hasher_update (stack->hasher, FORMAT, sizeof FORMAT);
  if (!open_roots (stack, layers, error) || !merge (stack, layers, "", error) ||
      !vf_object_batch_commit (stack->batch, error))
    return FALSE;
  vf_hasher_finish (stack->hasher, out_image);
  for (guint i = 0; stack->roots[i]; i++)
    if (!vf_known_files_save (stack->known[i], error))
      return FALSE;
  return TRUE;
}

static gboolean
publish (Stack *stack, const VfDigest *image, GError **error)
{
  g_autofree char *relative = vf_digest_path ("images/", image);
  if (vf_store_reuse (stack->store, relative))
    return TRUE;
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (stack->store, error);
  if (!tmp)
    return FALSE;
  if (!vf_tree_write_image (stack->tree, image, vf_store_tmp_fd (tmp), "image", error)) {
    g_prefix_error (error, "%s/", vf_store_tmp_path (tmp));
    return FALSE;
  }
  return vf_store_publish (stack->store, vf_store_tmp_fd (tmp), "image", relative, error);
}

gboolean
vf_stack_build (VfStore *store, const char *const *paths, VfStopFunc is_to_stop,
                GPtrArray *warnings, VfDigest *out_image, GError **error)
{
  guint n = g_strv_length ((char **)paths);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (store, error);
  if (!batch)
    return FALSE;
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autofree VfKnownFiles **known = g_new0 (VfKnownFiles *, n);
  Stack stack = {.store = store,
                 .roots = paths,
                 .is_to_stop = is_to_stop,
                 .warnings = warnings,
                 .known = known,
                 .batch = batch,
                 .tree = tree,
                 .hasher = hasher};
  for (guint i = 0; i < n; i++)
    known[i] = vf_known_files_load (store, paths[i]);
  gboolean done = take_in (&stack, out_image, error) && publish (&stack, out_image, error);
  for (guint i = 0; i < n; i++)
    vf_known_files_free (known[i]);
  return done;
}

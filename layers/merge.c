/* The merge: which packages, in which order, into one tree; and under which id the image of it
 * stands in the store.
 *
 * The id hashes what goes in, not what comes out, so that an image that is there already is found
 * without merging. MERGE_VERSION stands for this program's own part: it changes with anything that
 * makes another tree of the same input. */
#include "layers/merge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "layers/merge-parts.h"

#define MERGE_VERSION 1u

/* --- The id --- */

static gint
compare_installed (gconstpointer a, gconstpointer b)
{
  const VfInstalled *x = *(const VfInstalled *const *)a, *y = *(const VfInstalled *const *)b;
  return memcmp (x->digest.bytes, y->digest.bytes, VF_DIGEST_BYTES);
}

static void
hash_u32 (VfHasher *hasher, guint32 value)
{
  guint32 bytes = GUINT32_TO_LE (value);
  vf_hasher_update (hasher, &bytes, sizeof bytes);
}

/* Length first, so that no two lists of texts look alike. */
static void
hash_text (VfHasher *hasher, const char *text)
{
  hash_u32 (hasher, text ? (guint32)strlen (text) + 1 : 0);
  if (text)
    vf_hasher_update (hasher, text, strlen (text));
}

/* The listing is not read, only told from others. */
static gboolean
hash_bytecode (VfHasher *hasher, VfStore *store, const VfMergeInput *input,
               const VfInstalled *installed, GError **error)
{
  VfDigest digest;
  g_autofree char *relative = vf_bytecode_path (input->interpreter, &installed->digest);
  g_autoptr (GBytes) listing = vf_store_get (store, relative, error);
  if (!listing)
    return FALSE;
  vf_digest_of (g_bytes_get_data (listing, NULL), g_bytes_get_size (listing), &digest);
  vf_hasher_update (hasher, digest.bytes, VF_DIGEST_BYTES);
  return TRUE;
}

gboolean
vf_merge_image_id (VfStore *store, const VfMergeInput *input, VfDigest *out_id, GError **error)
{
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autoptr (GPtrArray) sorted = g_ptr_array_copy (input->installed, NULL, NULL);
  g_ptr_array_set_free_func (sorted, NULL);
  g_ptr_array_sort (sorted, compare_installed);

  hash_text (hasher, "venvfs image");
  hash_u32 (hasher, MERGE_VERSION);
  hash_u32 (hasher, VF_IMAGE_VERSION);
  vf_skeleton_hash (hasher);
  hash_text (hasher, input->interpreter->probe_id);
  hash_u32 (hasher, input->system_site_packages ? 1 : 0);
  hash_u32 (hasher, input->compile ? 1 : 0);
  for (guint i = 0; i < sorted->len; i++) {
    const VfInstalled *installed = g_ptr_array_index (sorted, i);
    vf_hasher_update (hasher, installed->digest.bytes, VF_DIGEST_BYTES);
    hash_u32 (hasher, installed->requested ? 1 : 0);
    hash_text (hasher, installed->direct_url);
    if (input->compile && !hash_bytecode (hasher, store, input, installed, error))
      return FALSE;
  }
  vf_hasher_finish (hasher, out_id);
  return TRUE;
}

/* --- Who has which place --- */

/* After an attempt to add: a file on the way to @path, where a directory is wanted, is a place lost
 * too. */
static gboolean
settle (VfMergeItem *item, const char *path, gboolean placed, GError *problem, GError **error)
{
  if (problem && !g_error_matches (problem, VF_ERROR, VF_ERROR_INVALID)) {
    g_propagate_error (error, problem);
    return FALSE;
  }
  g_clear_error (&problem);
  if (!placed && item->n_lost++ == 0)
    item->first_lost = g_strdup (path);
  return TRUE;
}

/* @out_placed: whether @path has this content now. */
static gboolean
place_file (const VfMerge *merge, VfMergeItem *item, const char *path, guint32 mode, guint64 size,
            const VfDigest *object, gboolean *out_placed, GError **error)
{
  GError *problem = NULL;
  *out_placed = FALSE;
  vf_tree_offer_file (merge->tree, path, mode, size, object, out_placed, &problem);
  return settle (item, path, *out_placed, problem, error);
}

gboolean
vf_merge_place_script (const VfMerge *merge, VfMergeItem *item, const char *path,
                       const GString *template_text, GError **error)
{
  VfDigest there, digest;
  GError *problem = NULL;
  gboolean placed;
  VfNodeType type = vf_tree_find (merge->tree, path, &there);
  vf_dist_info_record (merge, item, path, NULL, 0);
  vf_digest_of (template_text->str, template_text->len, &digest);
  if (type == 0)
    placed = vf_tree_add_view (merge->tree, path, 0755, template_text->str, template_text->len,
                               &problem);
  else
    placed = type == VF_NODE_VIEW && vf_digest_equal (&there, &digest);
  return settle (item, path, placed, problem, error);
}

/* --- One package --- */

/* The directory of a scheme, ending in '/' unless it is the environment's own. */
static void
append_scheme (const VfMerge *merge, const VfPackage *package, VfScheme scheme, GString *path)
{
  const VfInterpreter *interpreter = merge->interpreter;
  const char *const directories[] = {
      [VF_SCHEME_PURELIB] = interpreter->purelib, [VF_SCHEME_PLATLIB] = interpreter->platlib,
      [VF_SCHEME_HEADERS] = interpreter->headers, [VF_SCHEME_SCRIPTS] = interpreter->scripts,
      [VF_SCHEME_DATA] = interpreter->data,
  };
  g_string_append (path, directories[scheme]);
  if (scheme == VF_SCHEME_HEADERS)
    g_string_append_printf (path, "/%s", package->name);
  if (path->len > 0)
    g_string_append_c (path, '/');
}

/* Data under lib64/ goes where that link leads. */
static void
resolve_lib64 (const VfMerge *merge, GString *path)
{
  if (merge->interpreter->lib64 && g_str_has_prefix (path->str, "lib64/"))
    g_string_erase (path, strlen ("lib"), strlen ("64"));
}

/* @placed: by index of the file, whether the environment has it in its place. */
static gboolean
add_files (const VfMerge *merge, VfMergeItem *item, gboolean *placed, GError **error)
{
  const GArray *files = item->package->files;
  g_autoptr (GString) path = g_string_new (NULL);
  gsize prefix = 0;
  for (guint i = 0; i < files->len; i++) {
    const VfPackageFile *file = &g_array_index (files, VfPackageFile, i);
    if (i == 0 || file->scheme != g_array_index (files, VfPackageFile, i - 1).scheme) {
      g_string_truncate (path, 0);
      append_scheme (merge, item->package, file->scheme, path);
      prefix = path->len;
    }
    g_string_truncate (path, prefix);
    g_string_append (path, file->path);
    if (prefix == 0)
      resolve_lib64 (merge, path);
    if (file->flags & VF_PACKAGE_FILE_PYTHON_SCRIPT) {
      if (!vf_scripts_add_shipped (merge, item, file, path->str, error))
        return FALSE;
      continue;
    }
    vf_dist_info_record (merge, item, path->str, &file->digest, file->size);
    if (!place_file (merge, item, path->str, file->mode, file->size, &file->digest, &placed[i],
                     error))
      return FALSE;
  }
  return TRUE;
}

/* PEP 3147: dir/name.py has its bytecode in dir/__pycache__/name.TAG.pyc. */
static void
append_bytecode_path (GString *path, const char *source, const char *cache_tag)
{
  const char *slash = strrchr (source, '/');
  const char *name = slash ? slash + 1 : source;
  g_string_append_len (path, source, name - source);
  g_string_append (path, "__pycache__/");
  g_string_append_len (path, name, (gssize)(strlen (name) - strlen (".py")));
  g_string_append_printf (path, ".%s.pyc", cache_tag);
}

/* Only of sources that have their place: another package's source has its own bytecode. */
static gboolean
add_bytecode (const VfMerge *merge, VfMergeItem *item, const gboolean *placed, GError **error)
{
  const GArray *files = item->package->files;
  g_autoptr (GString) path = g_string_new (NULL);
  for (guint i = 0; i < item->bytecode->entries->len; i++) {
    const VfBytecodeEntry *entry = &g_array_index (item->bytecode->entries, VfBytecodeEntry, i);
    const VfPackageFile *file = &g_array_index (files, VfPackageFile, entry->source);
    gboolean unused;
    if (!placed[entry->source])
      continue;
    g_string_truncate (path, 0);
    append_scheme (merge, item->package, file->scheme, path);
    append_bytecode_path (path, file->path, merge->interpreter->cache_tag);
    if (strlen (strrchr (path->str, '/') + 1) > VF_IMAGE_MAX_NAME)
      continue; /* Python could not write it either */
    vf_dist_info_record (merge, item, path->str, NULL, 0);
    if (!place_file (merge, item, path->str, 0644, entry->size, &entry->digest, &unused, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_item (const VfMerge *merge, VfMergeItem *item, GError **error)
{
  g_autofree gboolean *placed = g_new0 (gboolean, item->package->files->len);
  if (!vf_scripts_add_entry_points (merge, item, error) || !add_files (merge, item, placed, error))
    return FALSE;
  if (item->bytecode && !add_bytecode (merge, item, placed, error))
    return FALSE;
  return vf_dist_info_add (merge, item, error);
}

/* --- All of them --- */

static void
item_free (gpointer data)
{
  VfMergeItem *item = data;
  g_clear_pointer (&item->package, vf_package_free);
  g_clear_pointer (&item->bytecode, vf_bytecode_free);
  g_free (item->normalized_name);
  if (item->record)
    g_string_free (item->record, TRUE);
  g_free (item->first_lost);
  g_free (item);
}

static gint
compare_items (gconstpointer a, gconstpointer b)
{
  const VfMergeItem *x = *(const VfMergeItem *const *)a, *y = *(const VfMergeItem *const *)b;
  return strcmp (x->normalized_name, y->normalized_name);
}

/* In order of name, so that it does not matter in which order they were asked for. */
static GPtrArray *
load_items (VfStore *store, const VfMergeInput *input, GError **error)
{
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func (item_free);
  for (guint i = 0; i < input->installed->len; i++) {
    VfMergeItem *item = g_new0 (VfMergeItem, 1);
    g_ptr_array_add (items, item);
    item->installed = g_ptr_array_index (input->installed, i);
    item->record = g_string_new (NULL);
    item->package = vf_package_load (store, &item->installed->digest, error);
    if (!item->package)
      return NULL;
    item->normalized_name = vf_package_normalize_name (item->package->name);
    if (!input->compile)
      continue;
    GError *problem = NULL;
    item->bytecode = vf_bytecode_load (store, input->interpreter, item->package, &problem);
    if (!item->bytecode && !problem)
      vf_error_set (&problem, VF_ERROR_NOT_FOUND, "%s: its bytecode is not in the store",
                    item->package->name);
    if (problem) {
      g_propagate_error (error, problem);
      return NULL;
    }
  }
  g_ptr_array_sort (items, compare_items);
  for (guint i = 1; i < items->len; i++)
    if (compare_items (&items->pdata[i - 1], &items->pdata[i]) == 0) {
      const VfMergeItem *item = g_ptr_array_index (items, i);
      vf_error_set (error, VF_ERROR_INVALID, "%s: named twice", item->package->name);
      return NULL;
    }
  return g_steal_pointer (&items);
}

/* Which of the first @n packages brought @path. NULL: the skeleton, or an entry point. */
static const VfPackage *
find_owner (const VfMerge *merge, const GPtrArray *items, guint n, const char *wanted)
{
  g_autoptr (GString) path = g_string_new (NULL);
  for (guint i = 0; i < n; i++) {
    const VfPackage *package = ((const VfMergeItem *)g_ptr_array_index (items, i))->package;
    for (guint k = 0; k < package->files->len; k++) {
      const VfPackageFile *file = &g_array_index (package->files, VfPackageFile, k);
      g_string_truncate (path, 0);
      append_scheme (merge, package, file->scheme, path);
      g_string_append (path, file->path);
      if (strcmp (path->str, wanted) == 0)
        return package;
    }
  }
  return NULL;
}

static void
warn_of_loss (const VfMerge *merge, const GPtrArray *items, guint index, GPtrArray *warnings)
{
  const VfMergeItem *item = g_ptr_array_index (items, index);
  if (item->n_lost == 0 || !warnings)
    return;
  const VfPackage *owner = find_owner (merge, items, index, item->first_lost);
  GString *text = g_string_new (NULL);
  g_string_printf (text, "%s %s: %s", item->package->name, item->package->version,
                   item->first_lost);
  if (item->n_lost > 1)
    g_string_append_printf (text, " and %u more", item->n_lost - 1);
  g_string_append (text, item->n_lost > 1 ? " give way to " : " gives way to ");
  if (owner)
    g_string_append_printf (text, "%s %s", owner->name, owner->version);
  else
    g_string_append (text, "what is there already");
  g_ptr_array_add (warnings, g_string_free (text, FALSE));
}

static gboolean
merge_all (VfStore *store, const VfMergeInput *input, VfTree *tree, GPtrArray *warnings,
           GError **error)
{
  const VfMerge merge = {.store = store,
                         .interpreter = input->interpreter,
                         .system_site_packages = input->system_site_packages,
                         .tree = tree};
  g_autoptr (GPtrArray) items = load_items (store, input, error);
  if (!items || !vf_skeleton_add (&merge, error))
    return FALSE;
  for (guint i = 0; i < items->len; i++) {
    VfMergeItem *item = g_ptr_array_index (items, i);
    if (!add_item (&merge, item, error))
      return FALSE;
    warn_of_loss (&merge, items, i, warnings);
  }
  return TRUE;
}

/* Into images/ under its final name. The content is durable, the name waited for by nobody: it
 * reaches the disk before that of the environment which needs it, or is made again. */
static gboolean
publish (VfStore *store, VfTree *tree, const VfDigest *id, const char *relative, GError **error)
{
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (store, error);
  if (!tmp)
    return FALSE;
  if (!vf_tree_write_image (tree, id, vf_store_tmp_fd (tmp), "image", error)) {
    g_prefix_error (error, "%s/", vf_store_tmp_path (tmp));
    return FALSE;
  }
  g_autofree char *path = vf_store_path_of (store, relative);
  VF_AUTOFD images = openat (vf_store_fd (store), "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (images < 0)
    return vf_error_errno (error, errno, "%s: cannot open its directory", path);
  if (renameat (vf_store_tmp_fd (tmp), "image", images, strrchr (relative, '/') + 1) < 0)
    return vf_error_errno (error, errno, "%s: cannot be put in its place", path);
  return TRUE;
}

gboolean
vf_merge_build (VfStore *store, const VfMergeInput *input, GPtrArray *warnings, VfDigest *out_id,
                GError **error)
{
  if (!vf_merge_image_id (store, input, out_id, error))
    return FALSE;
  g_autofree char *relative = vf_digest_path ("images/", out_id);
  if (vf_store_reuse (store, relative))
    return TRUE;
  g_autoptr (VfTree) tree = vf_tree_new ();
  return merge_all (store, input, tree, warnings, error) &&
         publish (store, tree, out_id, relative, error);
}

/* A tree in memory: nodes in an array, found by (parent, name) in one open-addressing table.
 *
 * Owns names and inline contents. Knows nothing of the image's layout but the limits on names; the
 * order of adding does not show in what is written (image-write.c sorts). */
#include "layers/tree.h"

#include <string.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "layers/tree-node.h"

#define NONE G_MAXUINT32

VfTree *
vf_tree_new (void)
{
  VfTree *tree = g_new0 (VfTree, 1);
  tree->nodes = g_array_new (FALSE, TRUE, sizeof (VfTreeNode));
  tree->names = g_string_chunk_new (1 << 16);
  tree->hasher = vf_hasher_new ();
  tree->n_slots = 1024;
  tree->slots = g_new0 (VfTreeSlot, tree->n_slots);
  tree->last_directory = g_string_new (NULL);
  tree->id_bits = VF_IMAGE_ID_BITS;
  VfTreeNode root = {.type = VF_NODE_DIRECTORY, .mode = 0755, .name = (char *)""};
  g_array_append_val (tree->nodes, root);
  return tree;
}

void
vf_tree_free (VfTree *tree)
{
  for (guint i = 0; i < tree->nodes->len; i++)
    g_free (vf_tree_node (tree, i)->data);
  g_array_unref (tree->nodes);
  g_string_chunk_free (tree->names);
  vf_hasher_free (tree->hasher);
  g_free (tree->slots);
  g_string_free (tree->last_directory, TRUE);
  g_free (tree);
}

gsize
vf_tree_n_nodes (VfTree *tree)
{
  return tree->nodes->len;
}

/* A name in a directory, hashed once. */
typedef struct {
  guint32 parent;
  const char *name;
  gsize length;
  guint64 hash;     /* of the name alone, as the image has it */
  guint64 slot_key; /* of both */
} VfTreeKey;

static guint64
mix (guint32 parent, guint64 hash)
{
  return (hash ^ parent) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
}

static VfTreeKey
make_key (guint32 parent, const char *name, gsize length)
{
  VfTreeKey key = {parent, name, length, vf_name_hash (name, length), 0};
  key.slot_key = mix (parent, key.hash);
  return key;
}

/* The slot of the child, or the free one where it belongs. */
static VfTreeSlot *
find_slot (const VfTree *tree, const VfTreeKey *key)
{
  guint32 mask = tree->n_slots - 1, tag = (guint32)(key->slot_key >> 32);
  guint32 i = (guint32)(key->slot_key >> 16) & mask;
  for (; tree->slots[i].index != 0; i = (i + 1) & mask) {
    if (tree->slots[i].tag != tag)
      continue;
    const VfTreeNode *node = vf_tree_node (tree, tree->slots[i].index - 1);
    if (node->name_hash == key->hash && node->parent == key->parent &&
        node->name_length == key->length && memcmp (node->name, key->name, key->length) == 0)
      break;
  }
  return &tree->slots[i];
}

static void
grow_slots (VfTree *tree)
{
  VfTreeSlot *former = g_steal_pointer (&tree->slots);
  guint32 n_former = tree->n_slots;
  tree->n_slots *= 4;
  tree->slots = g_new0 (VfTreeSlot, tree->n_slots);
  for (guint32 i = 0; i < n_former; i++) {
    if (former[i].index == 0)
      continue;
    const VfTreeNode *node = vf_tree_node (tree, former[i].index - 1);
    guint32 k = (guint32)(mix (node->parent, node->name_hash) >> 16);
    while (tree->slots[k & (tree->n_slots - 1)].index != 0)
      k++;
    tree->slots[k & (tree->n_slots - 1)] = former[i];
  }
  g_free (former);
}

static guint32
find_child (const VfTree *tree, const VfTreeKey *key)
{
  const VfTreeSlot *slot = find_slot (tree, key);
  return slot->index == 0 ? NONE : slot->index - 1;
}

static guint32
add_child (VfTree *tree, const VfTreeKey *key, VfNodeType type)
{
  if ((guint64)tree->nodes->len * 2 > tree->n_slots)
    grow_slots (tree);
  VfTreeNode node = {.name_hash = key->hash,
                     .parent = key->parent,
                     .type = type,
                     .mode = 0755,
                     .name_length = (guint8)key->length};
  node.name = g_string_chunk_insert_len (tree->names, key->name, (gssize)key->length);
  VfTreeSlot *slot = find_slot (tree, key);
  g_array_append_val (tree->nodes, node);
  *slot = (VfTreeSlot){tree->nodes->len, (guint32)(key->slot_key >> 32)};
  return tree->nodes->len - 1;
}

static gboolean
check_segment (const char *path, const char *segment, gsize length, GError **error)
{
  if (length == 0 || (length == 1 && segment[0] == '.') ||
      (length == 2 && segment[0] == '.' && segment[1] == '.'))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: not a plain relative path", path);
  if (length > VF_IMAGE_MAX_NAME)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: a name of more than %u bytes", path,
                         VF_IMAGE_MAX_NAME);
  return TRUE;
}

/* The directory at the first @length bytes of @path; with @make it is made, with its parents. NONE:
 * absent, or an error. */
static guint32
find_parent (VfTree *tree, const char *path, gsize length, gboolean make, GError **error)
{
  if (length == 0)
    return 0;
  if (tree->last_directory->len == length && memcmp (tree->last_directory->str, path, length) == 0)
    return tree->last_index;

  guint32 directory = 0;
  for (gsize start = 0; start <= length;) {
    const char *slash = memchr (path + start, '/', length - start);
    gsize segment = slash ? (gsize)(slash - path) - start : length - start;
    if (!check_segment (path, path + start, segment, error))
      return NONE;
    const VfTreeKey key = make_key (directory, path + start, segment);
    guint32 child = find_child (tree, &key);
    if (child == NONE && !make)
      return NONE;
    if (child == NONE) {
      child = add_child (tree, &key, VF_NODE_DIRECTORY);
    } else if (vf_tree_node (tree, child)->type != VF_NODE_DIRECTORY) {
      vf_error_set (error, VF_ERROR_INVALID, "%s: %.*s is not a directory", path,
                    (int)(start + segment), path);
      return NONE;
    }
    directory = child;
    start += segment + 1;
  }
  g_string_truncate (tree->last_directory, 0);
  g_string_append_len (tree->last_directory, path, (gssize)length);
  tree->last_index = directory;
  return directory;
}

/* Splits @path at its last slash. */
static const char *
last_segment (const char *path, gsize *out_directory_length)
{
  const char *slash = strrchr (path, '/');
  *out_directory_length = slash ? (gsize)(slash - path) : 0;
  return slash ? slash + 1 : path;
}

/* The node at @path, new if there was none. NULL on error. */
static VfTreeNode *
find_or_add (VfTree *tree, const char *path, VfNodeType type, gboolean *out_new, GError **error)
{
  gsize directory_length;
  const char *name = last_segment (path, &directory_length);
  if (path[0] == '/') {
    vf_error_set (error, VF_ERROR_INVALID, "%s: not a plain relative path", path);
    return NULL;
  }
  gsize length = strlen (name);
  if (!check_segment (path, name, length, error))
    return NULL;
  guint32 parent = find_parent (tree, path, directory_length, TRUE, error);
  if (parent == NONE)
    return NULL;
  const VfTreeKey key = make_key (parent, name, length);
  guint32 index = find_child (tree, &key);
  *out_new = index == NONE;
  if (index == NONE)
    index = add_child (tree, &key, type);
  return vf_tree_node (tree, index);
}

/* The node at @path, new or the one of the same kind that was there, emptied. NULL on error. */
static VfTreeNode *
place (VfTree *tree, const char *path, VfNodeType type, guint32 mode, GError **error)
{
  gboolean is_new;
  VfTreeNode *node = find_or_add (tree, path, type, &is_new, error);
  if (!node)
    return NULL;
  if ((node->type == VF_NODE_DIRECTORY) != (type == VF_NODE_DIRECTORY)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: is a %s already", path,
                  node->type == VF_NODE_DIRECTORY ? "directory" : "file");
    return NULL;
  }
  node->type = type;
  node->mode = mode & 07777;
  node->object = FALSE;
  g_clear_pointer (&node->data, g_free);
  return node;
}

/* @data: taken over. */
static gboolean
place_inline (VfTree *tree, const char *path, VfNodeType type, guint32 mode, char *data,
              gsize length, GError **error)
{
  VfTreeNode *node = place (tree, path, type, mode, error);
  if (!node) {
    g_free (data);
    return FALSE;
  }
  node->data = data;
  node->size = length;
  vf_hasher_update (tree->hasher, data, length);
  vf_hasher_finish (tree->hasher, &node->digest);
  return TRUE;
}

gboolean
vf_tree_add_directory (VfTree *tree, const char *path, guint32 mode, GError **error)
{
  if (path[0] == '\0') {
    vf_tree_node (tree, 0)->mode = mode & 07777;
    return TRUE;
  }
  return place (tree, path, VF_NODE_DIRECTORY, mode, error) != NULL;
}

gboolean
vf_tree_add_file (VfTree *tree, const char *path, guint32 mode, guint64 size,
                  const VfDigest *object, GError **error)
{
  if (size > G_MAXINT64)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: too large", path);
  VfTreeNode *node = place (tree, path, VF_NODE_FILE, mode, error);
  if (!node)
    return FALSE;
  node->object = TRUE;
  node->size = size;
  node->digest = *object;
  return TRUE;
}

gboolean
vf_tree_offer_file (VfTree *tree, const char *path, guint32 mode, guint64 size,
                    const VfDigest *object, gboolean *out_taken, GError **error)
{
  gboolean is_new;
  if (size > G_MAXINT64)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: too large", path);
  VfTreeNode *node = find_or_add (tree, path, VF_NODE_FILE, &is_new, error);
  if (!node)
    return FALSE;
  if (is_new) {
    node->mode = mode & 07777;
    node->object = TRUE;
    node->size = size;
    node->digest = *object;
  }
  *out_taken = is_new || (node->type == VF_NODE_FILE && vf_digest_equal (&node->digest, object));
  return TRUE;
}

gboolean
vf_tree_add_inline (VfTree *tree, const char *path, guint32 mode, const void *data, gsize length,
                    GError **error)
{
  return place_inline (tree, path, VF_NODE_FILE, mode, g_memdup2 (data, length), length, error);
}

gboolean
vf_tree_take_inline (VfTree *tree, const char *path, guint32 mode, char *data, gsize length,
                     GError **error)
{
  return place_inline (tree, path, VF_NODE_FILE, mode, data, length, error);
}

gboolean
vf_tree_add_view (VfTree *tree, const char *path, guint32 mode, const char *template_text,
                  gsize length, GError **error)
{
  return place_inline (tree, path, VF_NODE_VIEW, mode, g_memdup2 (template_text, length), length,
                       error);
}

gboolean
vf_tree_add_symlink (VfTree *tree, const char *path, const char *target, GError **error)
{
  gsize length = strlen (target);
  if (length == 0 || length > VF_IMAGE_MAX_SYMLINK)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: a link's target has 1 to %u bytes", path,
                         VF_IMAGE_MAX_SYMLINK);
  return place_inline (tree, path, VF_NODE_SYMLINK, 0777, g_strdup (target), length, error);
}

VfNodeType
vf_tree_find (VfTree *tree, const char *path, VfDigest *out_digest)
{
  gsize directory_length;
  const char *name = last_segment (path, &directory_length);
  guint32 index = 0;
  if (path[0] != '\0') {
    guint32 parent = find_parent (tree, path, directory_length, FALSE, NULL);
    if (parent == NONE)
      return 0;
    const VfTreeKey key = make_key (parent, name, strlen (name));
    index = find_child (tree, &key);
  }
  if (index == NONE)
    return 0;
  if (out_digest)
    *out_digest = vf_tree_node (tree, index)->digest;
  return vf_tree_node (tree, index)->type;
}

/* Laying an image out: breadth first, families sorted, ids given and sorted.
 *
 * What comes out depends on the tree's contents alone, not on the order of adding. 40,000 nodes
 * take some 15 ms, most of it SHA-256 for the ids: so the arrays are flat, a directory's path is
 * built once for all its children, and ids, which are uniform, are sorted by buckets. */
#include "layers/image-layout.h"

#include <stdlib.h>
#include <string.h>

#include "layers/error.h"
#include "layers/image-format.h"

#define MAX_THREADS      4
#define NODES_PER_THREAD 4096

void
vf_layout_clear (VfLayout *layout)
{
  g_free (layout->nodes);
  g_free (layout->parents);
  g_free (layout->first_children);
  g_free (layout->n_children);
  g_free (layout->n_directories);
  g_free (layout->ids);
  g_free (layout->salts);
  g_free (layout->path_starts);
  g_string_free (layout->paths, TRUE);
  g_free (layout->sorted);
}

static int
compare_siblings (const void *a, const void *b)
{
  const VfTreeNode *x = *(const VfTreeNode *const *)a;
  const VfTreeNode *y = *(const VfTreeNode *const *)b;
  if (x->name_hash != y->name_hash)
    return x->name_hash < y->name_hash ? -1 : 1;
  return strcmp (x->name, y->name);
}

/* The nodes of the tree, grouped by parent; starts[i] is where the children of node i begin. */
static const VfTreeNode **
group_by_parent (const VfTree *tree, guint32 *starts)
{
  guint32 n = tree->nodes->len;
  const VfTreeNode **families = g_new (const VfTreeNode *, n);
  for (guint32 i = 1; i < n; i++)
    starts[vf_tree_node (tree, i)->parent + 1]++;
  for (guint32 i = 0; i < n; i++)
    starts[i + 1] += starts[i];
  g_autofree guint32 *next = g_memdup2 (starts, (n + 1) * sizeof *starts);
  for (guint32 i = 1; i < n; i++) {
    const VfTreeNode *node = vf_tree_node (tree, i);
    families[next[node->parent]++] = node;
  }
  return families;
}

/* Breadth first, families sorted. */
static void
arrange (VfLayout *layout)
{
  const VfTree *tree = layout->tree;
  const VfTreeNode *root = vf_tree_node (tree, 0);
  g_autofree guint32 *starts = g_new0 (guint32, layout->n + 1);
  g_autofree const VfTreeNode **families = group_by_parent (tree, starts);
  guint32 end = 1;

  layout->nodes[0] = root;
  for (guint32 i = 0; i < end; i++) {
    guint32 source = (guint32)(layout->nodes[i] - root);
    guint32 count = starts[source + 1] - starts[source];
    const VfTreeNode **family = families + starts[source];
    qsort (family, count, sizeof *family, compare_siblings);
    layout->first_children[i] = count > 0 ? end : 0;
    layout->n_children[i] = count;
    for (guint32 k = 0; k < count; k++, end++) {
      layout->nodes[end] = family[k];
      layout->parents[end] = i;
      layout->n_directories[i] += family[k]->type == VF_NODE_DIRECTORY;
    }
  }
}

/* Puts the path of node @index into @path, given that of its parent. */
static void
build_path (const VfLayout *layout, guint32 index, GString *path)
{
  guint32 parent = layout->parents[index];
  const VfTreeNode *node = layout->nodes[index];
  g_string_truncate (path, 0);
  if (parent != 0) {
    g_string_append (path, layout->paths->str + layout->path_starts[parent]);
    g_string_append_c (path, '/');
  }
  g_string_append_len (path, node->name, node->name_length);
}

static void
build_directory_paths (VfLayout *layout)
{
  g_autoptr (GString) path = g_string_new (NULL);
  g_string_append_c (layout->paths, '\0'); /* of the root */
  for (guint32 i = 1; i < layout->n; i++) {
    if (layout->nodes[i]->type != VF_NODE_DIRECTORY)
      continue;
    build_path (layout, i, path);
    layout->path_starts[i] = layout->paths->len;
    g_string_append_len (layout->paths, path->str, (gssize)path->len + 1);
  }
}

static guint64
make_id (VfLayout *layout, guint32 index, const GString *path, VfHasher *hasher)
{
  const VfTreeNode *node = layout->nodes[index];
  const VfDigest *digest = node->type == VF_NODE_DIRECTORY ? NULL : &node->digest;
  guint64 mask = (G_GUINT64_CONSTANT (1) << layout->tree->id_bits) - 1;
  guint64 id;
  do
    id = mask &
         vf_image_node_id (hasher, node->type, path->str, path->len, digest, layout->salts[index]);
  while (id <= VF_IMAGE_ROOT_ID && layout->salts[index]++ < G_MAXUINT8);
  return id;
}

typedef struct {
  VfLayout *layout;
  guint32 from, to; /* nodes; no two ranges overlap */
} VfRange;

static gpointer
identify_range (gpointer data)
{
  const VfRange *range = data;
  VfLayout *layout = range->layout;
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autoptr (GString) path = g_string_new (NULL);
  gsize prefix = 0;
  for (guint32 i = range->from; i < range->to; i++) {
    const VfTreeNode *node = layout->nodes[i];
    if (i == range->from || layout->parents[i] != layout->parents[i - 1]) {
      build_path (layout, i, path);
      prefix = path->len - node->name_length;
    } else {
      g_string_truncate (path, prefix);
      g_string_append_len (path, node->name, node->name_length);
    }
    layout->ids[i] = make_id (layout, i, path, hasher);
  }
  return NULL;
}

/* In parallel where it pays: the hashes depend on nothing but the directories' paths. */
static void
identify (VfLayout *layout)
{
  VfRange ranges[MAX_THREADS];
  GThread *threads[MAX_THREADS] = {NULL};
  guint n = MIN (g_get_num_processors (), MAX_THREADS);
  n = CLAMP (layout->n / NODES_PER_THREAD, 1, n);
  layout->ids[0] = VF_IMAGE_ROOT_ID;
  for (guint k = 0; k < n; k++) {
    ranges[k] = (VfRange){layout, 1 + (guint32)((guint64)(layout->n - 1) * k / n),
                          1 + (guint32)((guint64)(layout->n - 1) * (k + 1) / n)};
    if (k > 0)
      threads[k] = g_thread_try_new ("identify", identify_range, &ranges[k], NULL);
  }
  for (guint k = 0; k < n; k++)
    if (threads[k])
      g_thread_join (threads[k]);
    else
      identify_range (&ranges[k]);
}

/* Ids are uniform, so about one falls into each of n buckets; insertion puts the rest right. */
static void
sort_ids (VfLayout *layout)
{
  guint bits = MIN (g_bit_storage (layout->n), layout->tree->id_bits);
  guint shift = layout->tree->id_bits - bits;
  g_autofree guint32 *starts = g_new0 (guint32, ((gsize)1 << bits) + 1);
  VfIdEntry *sorted = layout->sorted;

  for (guint32 i = 0; i < layout->n; i++)
    starts[(layout->ids[i] >> shift) + 1]++;
  for (gsize i = 0; i < (gsize)1 << bits; i++)
    starts[i + 1] += starts[i];
  for (guint32 i = 0; i < layout->n; i++)
    sorted[starts[layout->ids[i] >> shift]++] = (VfIdEntry){layout->ids[i], i};
  for (guint32 i = 1; i < layout->n; i++) {
    VfIdEntry entry = sorted[i];
    guint32 k = i;
    for (; k > 0 && sorted[k - 1].id > entry.id; k--)
      sorted[k] = sorted[k - 1];
    sorted[k] = entry;
  }
}

/* Gives a new salt to every node but the first, in the image's order, of those with one id. */
static gboolean
resolve_collisions (VfLayout *layout, const char *what, GError **error)
{
  g_autoptr (GString) path = g_string_new (NULL);
  for (gboolean again = TRUE; again;) {
    again = FALSE;
    sort_ids (layout);
    for (guint32 i = 1; i < layout->n; i++) {
      if (layout->sorted[i].id != layout->sorted[i - 1].id)
        continue;
      guint32 index = layout->sorted[i].index;
      if (layout->salts[index]++ == G_MAXUINT8)
        return vf_error_set (error, VF_ERROR_FAILED, "%s: too many nodes with one id", what);
      build_path (layout, index, path);
      layout->ids[index] = make_id (layout, index, path, layout->tree->hasher);
      again = TRUE;
    }
  }
  return TRUE;
}

gboolean
vf_layout_init (VfLayout *layout, VfTree *tree, const char *what, GError **error)
{
  guint32 n = tree->nodes->len;
  layout->tree = tree;
  layout->n = n;
  layout->nodes = g_new0 (const VfTreeNode *, n);
  layout->parents = g_new0 (guint32, n);
  layout->first_children = g_new0 (guint32, n);
  layout->n_children = g_new0 (guint32, n);
  layout->n_directories = g_new0 (guint32, n);
  layout->ids = g_new0 (guint64, n);
  layout->salts = g_new0 (guint8, n);
  layout->path_starts = g_new0 (gsize, n);
  layout->paths = g_string_sized_new (1 << 16);
  layout->sorted = g_new0 (VfIdEntry, n);
  arrange (layout);
  build_directory_paths (layout);
  identify (layout);
  return resolve_collisions (layout, what, error);
}

/* Writing an image: order, identity, serialisation (image-format.h).
 *
 * What is written depends on the tree's contents alone, not on the order of adding, the time or the
 * machine. 40,000 nodes take some 20 ms, most of it SHA-256: so the arrays are flat, a directory's
 * path is built once for all its children, and ids, which are uniform, are sorted by buckets. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "layers/io.h"
#include "layers/tree-node.h"

typedef struct {
  guint64 id;
  guint32 index;
} VfIdEntry;

typedef struct {
  VfTree *tree;
  guint32 n;
  /* All by index in the image. */
  const VfTreeNode **nodes;
  guint32 *parents;
  guint32 *first_children;
  guint32 *n_children;
  guint32 *n_directories;
  guint64 *ids;
  guint8 *salts;
  gsize *path_ends; /* of a directory: the end of its path in paths, which is NUL-terminated */
  GString *paths;
  VfIdEntry *sorted; /* by id */
} VfLayout;

static void
layout_clear (VfLayout *layout)
{
  g_free (layout->nodes);
  g_free (layout->parents);
  g_free (layout->first_children);
  g_free (layout->n_children);
  g_free (layout->n_directories);
  g_free (layout->ids);
  g_free (layout->salts);
  g_free (layout->path_ends);
  g_string_free (layout->paths, TRUE);
  g_free (layout->sorted);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfLayout, layout_clear)

static void
layout_init (VfLayout *layout, VfTree *tree)
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
  layout->path_ends = g_new0 (gsize, n);
  layout->paths = g_string_sized_new (1 << 16);
  layout->sorted = g_new0 (VfIdEntry, n);
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
    g_string_append (path, layout->paths->str + layout->path_ends[parent]);
    g_string_append_c (path, '/');
  }
  g_string_append_len (path, node->name, node->name_length);
}

static guint64
make_id (VfLayout *layout, guint32 index, const char *path, gsize length)
{
  const VfTreeNode *node = layout->nodes[index];
  const VfDigest *digest = node->type == VF_NODE_DIRECTORY ? NULL : &node->digest;
  guint64 mask = (G_GUINT64_CONSTANT (1) << layout->tree->id_bits) - 1;
  guint64 id;
  do
    id = mask & vf_image_node_id (layout->tree->hasher, node->type, path, length, digest,
                                  layout->salts[index]);
  while (id <= VF_IMAGE_ROOT_ID && layout->salts[index]++ < G_MAXUINT8);
  return id;
}

static void
identify (VfLayout *layout)
{
  g_autoptr (GString) path = g_string_new (NULL);
  g_string_append_c (layout->paths, '\0');
  layout->ids[0] = VF_IMAGE_ROOT_ID;
  guint32 parent = 0;
  gsize prefix = 0;
  for (guint32 i = 1; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    if (i == 1 || layout->parents[i] != parent) {
      parent = layout->parents[i];
      build_path (layout, i, path);
      prefix = path->len - node->name_length;
    } else {
      g_string_truncate (path, prefix);
      g_string_append_len (path, node->name, node->name_length);
    }
    layout->ids[i] = make_id (layout, i, path->str, path->len);
    if (node->type != VF_NODE_DIRECTORY)
      continue;
    layout->path_ends[i] = layout->paths->len;
    g_string_append_len (layout->paths, path->str, (gssize)path->len + 1);
  }
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
      layout->ids[index] = make_id (layout, index, path->str, path->len);
      again = TRUE;
    }
  }
  return TRUE;
}

/* Names in the order of the nodes, each once. @out_offsets by index. */
static GByteArray *
collect_names (const VfLayout *layout, guint32 *out_offsets)
{
  guint32 n_slots = 1u << (g_bit_storage (layout->n) + 1);
  g_autofree guint32 *slots = g_new0 (guint32, n_slots); /* index + 1 of the first of that name */
  GByteArray *strings = g_byte_array_new ();
  for (guint32 i = 0; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    guint32 slot = (guint32)node->name_hash & (n_slots - 1);
    while (slots[slot] != 0 && strcmp (layout->nodes[slots[slot] - 1]->name, node->name) != 0)
      slot = (slot + 1) & (n_slots - 1);
    if (slots[slot] == 0) {
      slots[slot] = i + 1;
      out_offsets[i] = strings->len;
      g_byte_array_append (strings, (const guint8 *)node->name, node->name_length + 1u);
    } else {
      out_offsets[i] = out_offsets[slots[slot] - 1];
    }
  }
  return strings;
}

static guint64
align (guint64 offset)
{
  return (offset + VF_IMAGE_ALIGN - 1) / VF_IMAGE_ALIGN * VF_IMAGE_ALIGN;
}

static gboolean
is_inline (const VfTreeNode *node)
{
  return node->type != VF_NODE_DIRECTORY && !node->object;
}

static void
place_sections (const VfLayout *layout, guint64 strings_bytes, VfImageHeader *header)
{
  guint64 data_bytes = 0;
  header->n_nodes = layout->n;
  for (guint32 i = 0; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    header->n_digests += node->object;
    if (is_inline (node))
      data_bytes += align (sizeof (VfImageInline) + node->size);
  }
  header->sections[VF_SECTION_NODES].length = layout->n * sizeof (VfImageRecord);
  header->sections[VF_SECTION_IDS].length = layout->n * sizeof (guint64);
  header->sections[VF_SECTION_INDEXES].length = layout->n * sizeof (guint32);
  header->sections[VF_SECTION_DIGESTS].length = header->n_digests * sizeof (VfDigest);
  header->sections[VF_SECTION_STRINGS].length = strings_bytes;
  header->sections[VF_SECTION_DATA].length = data_bytes;
  guint64 offset = align (sizeof *header);
  for (guint i = 0; i < VF_N_SECTIONS; i++) {
    header->sections[i].offset = offset;
    offset = align (offset + header->sections[i].length);
  }
  header->file_bytes = offset;
}

/* Of a directory: from the ids of its children. */
static guint32
mtime_of (const VfLayout *layout, guint32 index)
{
  const VfTreeNode *node = layout->nodes[index];
  if (node->type != VF_NODE_DIRECTORY)
    return vf_image_mtime_of (&node->digest);
  VfDigest listing;
  vf_hasher_update (layout->tree->hasher, layout->ids + layout->first_children[index],
                    layout->n_children[index] * sizeof (guint64));
  vf_hasher_finish (layout->tree->hasher, &listing);
  return vf_image_mtime_of (&listing);
}

/* Fills nodes, digests and data. */
static void
fill_nodes (const VfLayout *layout, const VfImageHeader *header, const guint32 *names, char *file)
{
  VfImageRecord *records = (gpointer)(file + header->sections[VF_SECTION_NODES].offset);
  VfDigest *digests = (gpointer)(file + header->sections[VF_SECTION_DIGESTS].offset);
  char *data = file + header->sections[VF_SECTION_DATA].offset;
  guint32 n_digests = 0;
  guint64 used = 0;

  for (guint32 i = 0; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    VfImageRecord *record = &records[i];
    record->name_hash = node->name_hash;
    record->id = layout->ids[i];
    record->parent = layout->parents[i];
    record->name = names[i];
    record->name_length = node->name_length;
    record->mtime = mtime_of (layout, i);
    record->mode = node->mode;
    record->type = node->type;
    record->size = node->size;
    if (node->type == VF_NODE_DIRECTORY) {
      record->content = layout->first_children[i];
      record->size = layout->n_children[i] | (guint64)layout->n_directories[i] << 32;
    } else if (node->object) {
      record->type |= VF_RECORD_OBJECT;
      record->content = n_digests;
      digests[n_digests++] = node->digest;
    } else {
      record->content = (guint32)(used / VF_IMAGE_ALIGN);
      memcpy (data + used, &node->digest, sizeof node->digest);
      memcpy (data + used + sizeof (VfImageInline), node->data, node->size);
      used += align (sizeof (VfImageInline) + node->size);
    }
  }
}

static char *
serialize (VfLayout *layout, const VfDigest *id, gsize *out_length, const char *what,
           GError **error)
{
  VfImageHeader header = {.version = VF_IMAGE_VERSION, .header_bytes = sizeof header, .id = *id};
  g_autofree guint32 *names = g_new (guint32, layout->n);
  g_autoptr (GByteArray) strings = collect_names (layout, names);
  place_sections (layout, strings->len, &header);
  if (layout->n > VF_IMAGE_MAX_NODES ||
      header.sections[VF_SECTION_DATA].length / VF_IMAGE_ALIGN > G_MAXUINT32) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: too large for one image", what);
    return NULL;
  }

  char *file = g_malloc0 (header.file_bytes);
  guint64 *ids = (gpointer)(file + header.sections[VF_SECTION_IDS].offset);
  guint32 *indexes = (gpointer)(file + header.sections[VF_SECTION_INDEXES].offset);
  for (guint32 i = 0; i < layout->n; i++) {
    ids[i] = layout->sorted[i].id;
    indexes[i] = layout->sorted[i].index;
  }
  fill_nodes (layout, &header, names, file);
  memcpy (file + header.sections[VF_SECTION_STRINGS].offset, strings->data, strings->len);

  memcpy (header.magic, VF_IMAGE_MAGIC, sizeof header.magic);
  vf_digest_of (file + sizeof header, header.file_bytes - sizeof header, &header.body);
  vf_digest_of (&header, G_STRUCT_OFFSET (VfImageHeader, checksum), &header.checksum);
  memcpy (file, &header, sizeof header);
  *out_length = header.file_bytes;
  return file;
}

gboolean
vf_tree_write_image (VfTree *tree, const VfDigest *id, int dir_fd, const char *name, GError **error)
{
  g_auto (VfLayout) layout = {0};
  gsize length;
  layout_init (&layout, tree);
  arrange (&layout);
  identify (&layout);
  if (!resolve_collisions (&layout, name, error))
    return FALSE;
  g_autofree char *file = serialize (&layout, id, &length, name, error);
  if (!file)
    return FALSE;
  VF_AUTOFD fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot create the image", name);
  if (!vf_write_all (fd, file, length, name, error))
    return FALSE;
  if (fsync (fd) < 0)
    return vf_error_errno (error, errno, "%s: cannot write the image", name);
  return TRUE;
}

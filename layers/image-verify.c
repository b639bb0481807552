/* Verifying an image: everything that reading it takes on trust, for fsck.
 *
 * Reading checks what keeps the reader safe; this checks that the image is what
 * vf_tree_write_image() would have written: the body's checksum, the breadth-first order, the order
 * of siblings, and every hash (names, ids, inline contents, mtimes). */
#include <string.h>

#include "layers/error.h"
#include "layers/image-format.h"

typedef struct {
  VfImage *image;
  VfHasher *hasher;
  guint32 next_child; /* the first child of the next directory that has any */
  GPtrArray *paths;   /* by index: a directory's path, NULL for others */
} VfVerify;

static gboolean
damaged (const VfVerify *verify, guint32 index, const char *problem, GError **error)
{
  return vf_error_set (error, VF_ERROR_DAMAGED, "%s: node %u: %s", vf_image_what (verify->image),
                       index, problem);
}

static gboolean
verify_body (const VfVerify *verify, GError **error)
{
  const VfImageHeader *header = vf_image_header (verify->image);
  const char *nodes = vf_image_section (verify->image, VF_SECTION_NODES);
  const char *body = nodes - header->sections[VF_SECTION_NODES].offset + sizeof *header;
  VfDigest digest;
  vf_digest_of (body, header->file_bytes - sizeof *header, &digest);
  if (!vf_digest_equal (&digest, &header->body))
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: does not have the checksum of its header",
                         vf_image_what (verify->image));
  return TRUE;
}

static gboolean
verify_id (const VfVerify *verify, const VfImageNode *node, const char *path)
{
  const VfDigest *digest = node->type == VF_NODE_DIRECTORY ? NULL : &node->digest;
  for (guint salt = 0; salt <= G_MAXUINT8; salt++)
    if (vf_image_node_id (verify->hasher, node->type, path, strlen (path), digest, (guint8)salt) ==
        node->id)
      return TRUE;
  return FALSE;
}

static gboolean
verify_content (const VfVerify *verify, const VfImageNode *node)
{
  VfDigest digest;
  if (node->has_digest)
    return TRUE;
  vf_hasher_update (verify->hasher, node->data, node->size);
  vf_hasher_finish (verify->hasher, &digest);
  return vf_digest_equal (&digest, &node->digest);
}

/* @path: of the directory. Checks its children against each other, not what they are. */
static const char *
verify_family (VfVerify *verify, const VfImageNode *directory)
{
  const VfImageRecord *records = vf_image_section (verify->image, VF_SECTION_NODES);
  guint32 n_directories = 0;
  g_autofree char *former = NULL;

  if (directory->n_children > 0 && directory->first_child != verify->next_child)
    return "its children are not where they belong";
  for (guint32 i = 0; i < directory->n_children; i++) {
    VfImageNode child;
    guint32 index = directory->first_child + i;
    if (vf_image_get (verify->image, index, &child) < 0 || child.parent != directory->index)
      return "a child of it is damaged";
    if (records[index].name_hash != vf_name_hash (child.name, child.name_length))
      return "a child of it has a wrong name hash";
    guint64 hash = records[index].name_hash;
    if (i > 0 && (records[index - 1].name_hash > hash ||
                  (records[index - 1].name_hash == hash && strcmp (former, child.name) >= 0)))
      return "its children are not in order";
    g_free (former);
    former = g_strdup (child.name);
    n_directories += child.type == VF_NODE_DIRECTORY;
  }
  verify->next_child += directory->n_children;
  return n_directories == directory->n_directories ? NULL : "a wrong number of subdirectories";
}

static gint64
listing_mtime (const VfVerify *verify, const VfImageNode *directory)
{
  const VfImageRecord *records = vf_image_section (verify->image, VF_SECTION_NODES);
  VfDigest listing;
  for (guint32 i = 0; i < directory->n_children; i++)
    vf_hasher_update (verify->hasher, &records[directory->first_child + i].id, sizeof (guint64));
  vf_hasher_finish (verify->hasher, &listing);
  return vf_content_mtime (&listing);
}

static gboolean
verify_node (VfVerify *verify, guint32 index, GError **error)
{
  VfImageNode node;
  if (vf_image_get (verify->image, index, &node) < 0)
    return damaged (verify, index, "cannot be read", error);
  const char *prefix = index == 0 ? "" : g_ptr_array_index (verify->paths, node.parent);
  if (!prefix)
    return damaged (verify, index, "its parent is no directory", error);
  g_autofree char *path = g_strconcat (prefix, *prefix ? "/" : "", node.name, NULL);
  if (!verify_id (verify, &node, path))
    return damaged (verify, index, "a wrong id", error);
  if (node.type != VF_NODE_DIRECTORY) {
    g_ptr_array_add (verify->paths, NULL);
    if (!verify_content (verify, &node))
      return damaged (verify, index, "its content does not have its digest", error);
    if (node.mtime != vf_content_mtime (&node.digest))
      return damaged (verify, index, "a wrong time", error);
    return TRUE;
  }
  const char *problem = verify_family (verify, &node);
  if (problem)
    return damaged (verify, index, problem, error);
  if (node.mtime != listing_mtime (verify, &node))
    return damaged (verify, index, "a wrong time", error);
  g_ptr_array_add (verify->paths, g_steal_pointer (&path));
  return TRUE;
}

/* Each node is found by its id, and by no other. */
static gboolean
verify_ids (const VfVerify *verify, GError **error)
{
  const guint64 *ids = vf_image_section (verify->image, VF_SECTION_IDS);
  const guint32 *indexes = vf_image_section (verify->image, VF_SECTION_INDEXES);
  const VfImageRecord *records = vf_image_section (verify->image, VF_SECTION_NODES);
  guint32 n = vf_image_n_nodes (verify->image);
  for (guint32 i = 0; i < n; i++)
    if (indexes[i] >= n || records[indexes[i]].id != ids[i] || (i > 0 && ids[i - 1] >= ids[i]))
      return vf_error_set (error, VF_ERROR_DAMAGED, "%s: the index of ids is wrong at %u",
                           vf_image_what (verify->image), i);
  return TRUE;
}

static gboolean
verify_all (VfVerify *verify, GError **error)
{
  guint32 n = vf_image_n_nodes (verify->image);
  const VfImageRecord *records = vf_image_section (verify->image, VF_SECTION_NODES);
  if (!verify_body (verify, error) || !verify_ids (verify, error))
    return FALSE;
  if (records[0].name_hash != 0)
    return damaged (verify, 0, "the root has a name hash", error);
  for (guint32 i = 0; i < n; i++)
    if (!verify_node (verify, i, error))
      return FALSE;
  if (verify->next_child != n)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: %u nodes are in no directory",
                         vf_image_what (verify->image), n - verify->next_child);
  return TRUE;
}

gboolean
vf_image_verify (VfImage *image, GError **error)
{
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  VfVerify verify = {.image = image, .hasher = hasher, .next_child = 1, .paths = paths};
  g_autoptr (GError) problem = NULL;

  gboolean ok = verify_all (&verify, &problem);
  if (vf_image_status (image) < 0)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: cannot be read to its end",
                         vf_image_what (image));
  if (!ok)
    g_propagate_error (error, g_steal_pointer (&problem));
  return ok;
}

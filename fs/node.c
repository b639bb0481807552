/* From a node id to what the node is and where it stands.
 *
 * A node in the table stands where the table says, any other where the image says; a path is the
 * chain of both up to the root, so a renamed directory takes along whatever is below it, known or
 * not. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/internal.h"

/* -ENOENT: it may get the next number; -EMFILE: there is none left. Holds: images. */
static int
find_number (VfOverlay *overlay, const VfDigest *id)
{
  for (guint i = 0; i < overlay->images->len; i++)
    if (vf_digest_equal (vf_image_id (overlay->images->pdata[i]), id))
      return (int)i;
  return overlay->images->len < G_MAXUINT16 ? -ENOENT : -EMFILE;
}

int
vf_image_number (VfOverlay *overlay, const VfDigest *id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->images_lock);
  int number = find_number (overlay, id);
  if (number != -ENOENT)
    return number;

  g_autofree char *path = vf_digest_path ("images/", id);
  g_autoptr (GError) error = NULL;
  VfImage *image = vf_image_open (vf_store_fd (overlay->store), path, &error);
  if (!image) {
    g_message ("a renamed directory stands for one of an image that cannot be opened: %s",
               error->message);
    return -EIO;
  }
  g_ptr_array_add (overlay->images, image);
  return (int)overlay->images->len - 1;
}

int
vf_image_enter (VfOverlay *overlay, VfImage *image)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->images_lock);
  int number = find_number (overlay, vf_image_id (image));
  if (number != -ENOENT)
    return number;
  g_ptr_array_add (overlay->images, vf_image_ref (image));
  return (int)overlay->images->len - 1;
}

VfImage *
vf_image_numbered (VfOverlay *overlay, guint number)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->images_lock);
  return number < overlay->images->len ? overlay->images->pdata[number] : NULL;
}

static int
resolve_present (VfOverlay *overlay, VfNode *node)
{
  node->present = TRUE;
  node->directory = (node->upper.flags & VF_UPPER_DIRECTORY) != 0;
  if (!node->directory || (node->upper.id & VF_UPPER_BORN_BIT))
    return 0;
  VfImage *image =
      node->upper.pinned ? vf_image_numbered (overlay, node->upper.pinned - 1u) : overlay->newest;
  int result = image ? vf_lower_find_in (overlay, image, node->upper.id, &node->lower) : -ENOENT;
  if (result == -ENOENT)
    return 0;
  node->image = image;
  return result;
}

int
vf_node_resolve (VfOverlay *overlay, guint64 id, VfNode *out_node)
{
  memset (out_node, 0, sizeof *out_node);
  out_node->upper.id = id;
  if (vf_upper_get (overlay->upper, id, &out_node->upper)) {
    out_node->removed = (out_node->upper.flags & VF_UPPER_ORPHAN) != 0;
    if (out_node->upper.flags & VF_UPPER_PRESENT)
      return resolve_present (overlay, out_node);
  }
  if (id & VF_UPPER_BORN_BIT)
    return -ESTALE;
  VfLowerNode found;
  int result = vf_lower_find (overlay, id, &found);
  if (result < 0)
    return result == -ENOENT ? -ESTALE : result;
  out_node->image = found.image;
  out_node->lower = found.lower;
  out_node->directory = out_node->lower.type == VF_NODE_DIRECTORY;
  if (found.retired && !vf_lower_is_below_renamed (overlay, id))
    out_node->removed = TRUE;
  return 0;
}

int
vf_node_resolve_directory (VfOverlay *overlay, guint64 id, VfNode *out_node)
{
  int result = vf_node_resolve (overlay, id, out_node);
  if (result < 0)
    return result;
  if (!out_node->directory)
    return -ENOTDIR;
  return out_node->removed ? -ENOENT : 0;
}

void
vf_temporary_name (VfOverlay *overlay, char out_name[VF_NAME_BYTES])
{
  g_snprintf (out_name, VF_NAME_BYTES, "new-%d", g_atomic_int_add (&overlay->last_temporary, 1));
}

/* Puts the name of @id before @path and tells its parent. */
static int
path_step (VfOverlay *overlay, GString *path, guint64 *id)
{
  char name[VF_NAME_BYTES];
  VfUpperNode upper;
  guint64 parent;
  if (vf_upper_place (overlay->upper, *id, &upper, name)) {
    if (upper.flags & VF_UPPER_ORPHAN)
      return -ENOENT;
    parent = upper.parent;
  } else {
    VfLowerNode node;
    int result = (*id & VF_UPPER_BORN_BIT) ? -ESTALE : vf_lower_find (overlay, *id, &node);
    if (result == 0)
      result = vf_lower_parent (overlay, node.image, &node.lower, &parent);
    if (result < 0)
      return result == -ENOENT ? -ESTALE : result;
    g_strlcpy (name, node.lower.name, sizeof name);
  }
  if (path->len > 0)
    g_string_prepend_c (path, '/');
  g_string_prepend (path, name);
  *id = parent;
  return 0;
}

int
vf_directory_open (VfOverlay *overlay, guint64 id, VfDescriptor **out_descriptor)
{
  *out_descriptor = vf_descriptors_get (overlay->descriptors, id, VF_DESCRIPTOR_DIRECTORY);
  if (*out_descriptor)
    return 0;

  /* Up to the first ancestor that is open already. */
  g_autoptr (GString) path = g_string_new (NULL);
  g_autoptr (VfDescriptor) base = NULL;
  guint64 at = id;
  int base_fd = overlay->upper_fd;
  while (at != VF_UPPER_ROOT && !base) {
    gpointer aside = g_hash_table_lookup (overlay->asides, &at);
    if (aside) {
      base_fd = GPOINTER_TO_INT (aside);
      break;
    }
    int result = path_step (overlay, path, &at);
    if (result < 0)
      return result;
    base = vf_descriptors_get (overlay->descriptors, at, VF_DESCRIPTOR_DIRECTORY);
  }
  int fd = vf_beneath_open_directory (base ? base->fd : base_fd, path->len > 0 ? path->str : ".");
  if (fd < 0)
    return fd == -ENOENT || fd == -ENOTDIR ? -ESTALE : fd;
  *out_descriptor =
      vf_descriptors_add (overlay->descriptors, id, VF_DESCRIPTOR_DIRECTORY, fd, 0, 0);
  return 0;
}

int
vf_place_find (VfOverlay *overlay, const VfNode *node, VfPlace *out_place)
{
  memset (out_place, 0, sizeof *out_place);
  out_place->dir_fd = -1;
  VfUpperNode upper;
  if (!vf_upper_place (overlay->upper, node->upper.id, &upper, out_place->name))
    return -ESTALE;
  if (upper.id == VF_UPPER_ROOT) {
    out_place->dir_fd = overlay->upper_fd;
    strcpy (out_place->name, ".");
    return 0;
  }
  if (upper.flags & VF_UPPER_ORPHAN) {
    out_place->dir_fd = overlay->work_fd;
    return 0;
  }
  int result = vf_directory_open (overlay, upper.parent, &out_place->directory);
  if (result == 0)
    out_place->dir_fd = out_place->directory->fd;
  return result;
}

int
vf_place_resolve (VfOverlay *overlay, guint64 id, VfNode *out_node, VfPlace *out_place)
{
  int result = vf_node_resolve (overlay, id, out_node);
  if (result == 0 && !out_node->present)
    result = -ESTALE;
  return result < 0 ? result : vf_place_find (overlay, out_node, out_place);
}

void
vf_place_clear (VfPlace *place)
{
  g_clear_pointer (&place->directory, vf_descriptor_unref);
}

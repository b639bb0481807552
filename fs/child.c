/* Which side a name in a directory is on: the upper's object, a whiteout, or the image's entry; and
 * which node id it has. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/internal.h"

int
vf_name_check (const char *name)
{
  gsize length = strlen (name);
  if (length == 0 || strchr (name, '/') || strcmp (name, ".") == 0 || strcmp (name, "..") == 0)
    return -EINVAL;
  return length >= VF_NAME_BYTES ? -ENAMETOOLONG : 0;
}

gboolean
vf_stat_is_whiteout (const struct stat *st)
{
  return S_ISCHR (st->st_mode) && st->st_rdev == 0;
}

/* A renamed directory says what it stands for. FALSE when that is not to be had: then it is an
 * ordinary directory of the upper. */
static gboolean
find_renamed (VfOverlay *overlay, const VfMarks *marks, VfChild *child)
{
  int number = vf_image_number (overlay, &marks->lower_image);
  if (number < 0)
    return FALSE;
  VfImage *image = vf_image_numbered (overlay, (guint)number);
  if (vf_image_lookup_path (image, marks->lower_path, &child->lower) < 0 ||
      child->lower.type != VF_NODE_DIRECTORY)
    return FALSE;
  child->image = image;
  child->upper.pinned = (guint16)(number + 1);
  return TRUE;
}

/* Its image's id, unless something else is known or seen by it. */
static guint64
renamed_id (VfOverlay *overlay, const VfChild *child)
{
  VfUpperNode known;
  guint64 plain = child->lower.id;
  guint64 kept = vf_upper_find_unmarked (overlay->upper, child->st.st_ino);
  if (kept != 0)
    return kept;
  if (vf_upper_get (overlay->upper, plain, &known)) {
    if (known.ino == (guint64)child->st.st_ino)
      return plain;
  } else if (!vf_lower_is_numbered (overlay, child->st.st_ino) &&
             vf_lower_is_possible (overlay, plain) == 0)
    return plain;
  return vf_lower_number_renamed (overlay, child->upper.pinned - 1u, plain, child->st.st_ino);
}

static void
identify_directory (VfOverlay *overlay, const VfMarks *marks, gboolean below_is_directory,
                    VfChild *child)
{
  child->directory = TRUE;
  child->upper.flags |= VF_UPPER_DIRECTORY;
  VfImage *below_image = child->image;
  child->image = NULL;
  if (marks->has_lower && find_renamed (overlay, marks, child)) {
    child->lower.id = child->id = renamed_id (overlay, child);
    return;
  }
  if (marks->has_lower || marks->opaque || !below_is_directory)
    return;
  child->image = below_image;
  child->id = child->lower.id;
}

/* The id that is recorded for a file, or 0 if another object is known by it already (two copies of
 * one file, made behind the overlay's back, must not be taken for one), or if the image's node is
 * seen elsewhere (since a switch brought it back). */
static guint64
recorded_id (VfOverlay *overlay, guint64 id, const VfChild *child)
{
  VfUpperNode known;
  guint64 ino = child->st.st_ino;
  if (vf_upper_get (overlay->upper, id, &known) && known.ino == ino)
    return id;
  /* It goes by an id of its own already. */
  if (vf_upper_get (overlay->upper, child->id, &known))
    return 0;
  if (child->below && vf_lower_plain_id (overlay, child->lower.id) == id)
    id = child->lower.id;
  else if (vf_lower_is_possible (overlay, id) != 0)
    return 0;
  return !vf_upper_get (overlay->upper, id, &known) || known.ino == ino ? id : 0;
}

static void
identify_file (VfOverlay *overlay, const VfMarks *marks, VfChild *child)
{
  guint64 id = vf_upper_find_unmarked (overlay->upper, child->st.st_ino);
  if (id == 0 && marks->id != 0)
    id = recorded_id (overlay, marks->id, child);
  if (id != 0)
    child->id = id;
  child->image = NULL;
  if (marks->has_digest)
    child->upper.flags |= VF_UPPER_STUB;
}

static int
identify (VfOverlay *overlay, const VfNode *parent, int dir_fd, const char *name, VfChild *child)
{
  g_auto (VfMarks) marks = {0};
  int result = vf_marking_read (dir_fd, name, child->st.st_mode, &marks);
  if (result < 0)
    return result;
  child->upper.flags = VF_UPPER_PRESENT;
  child->upper.parent = parent->upper.id;
  child->upper.ino = child->st.st_ino;
  child->id = vf_upper_born_id (child->st.st_ino);
  if (S_ISDIR (child->st.st_mode))
    identify_directory (overlay, &marks, child->below && child->lower.type == VF_NODE_DIRECTORY,
                        child);
  else
    identify_file (overlay, &marks, child);
  child->upper.id = child->id;
  return 0;
}

int
vf_child_find (VfOverlay *overlay, const VfNode *parent, int dir_fd, const char *name,
               VfChild *out_child)
{
  memset (out_child, 0, sizeof *out_child);
  if (parent->image) {
    int result = vf_image_lookup (parent->image, parent->lower.index, name, strlen (name),
                                  &out_child->lower);
    if (result < 0 && result != -ENOENT)
      return result;
    out_child->below = result == 0;
    if (result == 0)
      vf_lower_number_child (overlay, parent->upper.id, parent->image, &out_child->lower);
    out_child->image = result == 0 ? parent->image : NULL;
  }
  int found = dir_fd >= 0 ? vf_beneath_stat (dir_fd, name, &out_child->st) : -ENOENT;
  if (found == 0) {
    out_child->whiteout = vf_stat_is_whiteout (&out_child->st);
    return out_child->whiteout ? -ENOENT : identify (overlay, parent, dir_fd, name, out_child);
  }
  if (found != -ENOENT)
    return found;
  if (!out_child->below)
    return -ENOENT;
  out_child->id = out_child->upper.id = out_child->lower.id;
  out_child->directory = out_child->lower.type == VF_NODE_DIRECTORY;
  return 0;
}

VfNode
vf_node_of_child (const VfChild *child)
{
  return (VfNode){.upper = child->upper,
                  .present = (child->upper.flags & VF_UPPER_PRESENT) != 0,
                  .image = child->image,
                  .lower = child->lower,
                  .directory = child->directory};
}

int
vf_child_find_in (VfOverlay *overlay, const VfNode *parent, const char *name, VfChild *out_child)
{
  g_autoptr (VfDescriptor) directory = NULL;
  int result = vf_name_check (name);
  if (result == 0 && parent->present)
    result = vf_directory_open (overlay, parent->upper.id, &directory);
  if (result < 0) {
    memset (out_child, 0, sizeof *out_child);
    return result;
  }
  return vf_child_find (overlay, parent, directory ? directory->fd : -1, name, out_child);
}

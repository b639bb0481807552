/* Renaming, which never copies a file's bytes and never answers EXDEV.
 *
 * A file of the image gets a stub first (copyup.c). A directory that stands on one of the image
 * takes a mark along that says which (user.venvfs.lower), so it stays merged wherever it goes.
 * After that every case is one rename in the upper: leaving a whiteout where the image still has
 * the old name, and taking the place of a whiteout, of an object, or of nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/internal.h"

typedef struct {
  guint64 parent;
  const char *name;
  VfNode node; /* the directory */
  VfDescriptor *directory;
  VfChild child;
  gboolean exists;
} End;

typedef struct {
  End from, to;
  guint flags;
  guint64 needs_copyup; /* a file that must get an object first; 0: none */
} Move;

static void
move_clear (Move *move)
{
  g_clear_pointer (&move->from.directory, vf_descriptor_unref);
  g_clear_pointer (&move->to.directory, vf_descriptor_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Move, move_clear)

static gboolean
child_is_present (const VfChild *child)
{
  return (child->upper.flags & VF_UPPER_PRESENT) != 0;
}

static int
find_end (VfOverlay *overlay, End *end)
{
  int result = vf_node_resolve_directory (overlay, end->parent, &end->node);
  if (result == 0)
    result = vf_child_find_in (overlay, &end->node, end->name, &end->child);
  end->exists = result == 0;
  return result == -ENOENT && !end->node.removed ? 0 : result;
}

/* Whether @id is @ancestor or below it: a directory cannot move into itself. */
static gboolean
is_within (VfOverlay *overlay, guint64 id, guint64 ancestor)
{
  while (id != ancestor) {
    VfNode node;
    if (id == VF_UPPER_ROOT || vf_node_resolve (overlay, id, &node) < 0)
      return FALSE;
    if (node.present)
      id = node.upper.parent;
    else if (!node.image || vf_lower_parent (overlay, node.image, &node.lower, &id) < 0)
      return FALSE;
  }
  return TRUE;
}

static int
check_replaced (VfOverlay *overlay, const Move *move)
{
  const VfChild *source = &move->from.child, *target = &move->to.child;
  if (source->directory && !target->directory)
    return -ENOTDIR;
  if (!source->directory && target->directory)
    return -EISDIR;
  if (!target->directory)
    return 0;
  int result = vf_child_is_empty (overlay, target, move->to.name);
  return result == 0 ? -ENOTEMPTY : MIN (result, 0);
}

static int
check_move (VfOverlay *overlay, const Move *move)
{
  const End *from = &move->from, *to = &move->to;
  if (!from->exists)
    return -ENOENT;
  if ((move->flags & RENAME_NOREPLACE) && to->exists)
    return -EEXIST;
  if ((move->flags & RENAME_EXCHANGE) && !to->exists)
    return -ENOENT;
  if (from->child.directory && is_within (overlay, to->parent, from->child.id))
    return -EINVAL;
  if (to->exists && to->child.directory && is_within (overlay, from->parent, to->child.id))
    return (move->flags & RENAME_EXCHANGE) ? -EINVAL : -ENOTEMPTY;
  if (to->exists && !(move->flags & RENAME_EXCHANGE))
    return check_replaced (overlay, move);
  return 0;
}

/* A directory that is about to move says what it stands for; one that stands for nothing below must
 * not begin to at its new place. */
static int
mark_directory (VfOverlay *overlay, const End *end, gboolean below_new_place)
{
  const VfChild *child = &end->child;
  gboolean must_pin = child->image && child->upper.pinned == 0;
  if (!must_pin && (child->image || !below_new_place))
    return 0;
  VF_AUTOFD fd = vf_beneath_open_forced (end->directory->fd, end->name, O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return fd;
  if (!must_pin)
    return vf_marking_set_opaque (fd);
  g_autofree char *path = vf_image_path_of (child->image, &child->lower);
  int number = vf_image_number (overlay, vf_image_id (child->image));
  if (!path || number < 0)
    return -EIO;
  int result = vf_marking_set_lower (fd, vf_image_id (child->image), path);
  if (result < 0)
    return result;
  vf_upper_pin (overlay->upper, child->id, (guint16)(number + 1));
  /* Its id may be what something else is seen by, one day. */
  vf_upper_keep_unmarked (overlay->upper, child->id);
  return 0;
}

/* Gives the moved one an object in the upper and a record in the table, or says that it needs a
 * copy-up, which cannot be done under the tree lock. */
static int
prepare_end (VfOverlay *overlay, Move *move, End *end, gboolean below_new_place)
{
  if (!child_is_present (&end->child)) {
    if (!end->child.directory) {
      move->needs_copyup = end->child.id;
      return 0;
    }
    int result = vf_copyup_directory (overlay, end->child.id);
    if (result < 0)
      return result;
    end->child.upper.flags |= VF_UPPER_PRESENT | VF_UPPER_DIRECTORY;
  }
  vf_upper_take (overlay->upper, &end->child.upper, end->name, 0);
  return end->child.directory ? mark_directory (overlay, end, below_new_place) : 0;
}

static int
open_end (VfOverlay *overlay, End *end)
{
  int result = vf_copyup_directory (overlay, end->parent);
  return result < 0 ? result : vf_directory_open (overlay, end->parent, &end->directory);
}

/* The file that stands at the target keeps a name in work/ if the kernel remembers it; @out_name is
 * empty if not. */
static int
keep_target (VfOverlay *overlay, const Move *move, char out_name[VF_NAME_BYTES])
{
  const End *to = &move->to;
  out_name[0] = '\0';
  if (!vf_upper_is_remembered (overlay->upper, to->child.id) ||
      !vf_upper_stands_at (overlay->upper, to->child.id, to->parent, to->name))
    return 0;
  char name[VF_NAME_BYTES];
  vf_temporary_name (overlay, name);
  if (linkat (to->directory->fd, to->name, overlay->work_fd, name, 0) < 0)
    return -errno;
  strcpy (out_name, name);
  return 0;
}

/* The target's record, once its name stands for something else. */
static void
settle_target (VfOverlay *overlay, const Move *move, const char *kept)
{
  const VfChild *target = &move->to.child;
  if (!child_is_present (target))
    vf_lower_removed (overlay, target);
  else if (kept[0] != '\0')
    vf_upper_orphan (overlay->upper, target->id, kept);
  else if (!target->directory && !vf_upper_is_remembered (overlay->upper, target->id)) {
    vf_descriptors_drop (overlay->descriptors, target->id);
    vf_upper_remove (overlay->upper, target->id);
  }
}

/* On a file system without RENAME_WHITEOUT: a whiteout at the target, which the source is exchanged
 * with; or, if an object is there, that is exchanged, and the whiteout then replaces it. What fails
 * is undone without any room. Killed in between, nothing of the source is lost. */
static int
rename_in_two_steps (VfOverlay *overlay, const Move *move)
{
  const End *from = &move->from, *to = &move->to;
  int from_fd = from->directory->fd, to_fd = to->directory->fd, work_fd = overlay->work_fd;
  gboolean over_object = child_is_present (&to->child);
  char whiteout[VF_NAME_BYTES];
  vf_temporary_name (overlay, whiteout);
  int result = vf_whiteout_make (overlay, work_fd, whiteout);
  if (result == 0 && !over_object)
    result = vf_beneath_rename (work_fd, whiteout, to_fd, to->name, 0);
  gboolean covered = result == 0 && !over_object && !to->child.whiteout;
  if (result == 0)
    result = vf_beneath_rename (from_fd, from->name, to_fd, to->name, RENAME_EXCHANGE);
  if (result < 0 && covered)
    unlinkat (to_fd, to->name, 0);
  if (result == 0 && over_object) {
    result = vf_beneath_rename (work_fd, whiteout, from_fd, from->name, 0);
    if (result < 0)
      vf_beneath_rename (from_fd, from->name, to_fd, to->name, RENAME_EXCHANGE);
  }
  /* It is still there if something failed, or if a name of the same inode was at the target. */
  unlinkat (work_fd, whiteout, 0);
  return result;
}

static int
rename_leaving_whiteout (VfOverlay *overlay, const Move *move)
{
  int from_fd = move->from.directory->fd, to_fd = move->to.directory->fd;
  int result = vf_beneath_rename (from_fd, move->from.name, to_fd, move->to.name, RENAME_WHITEOUT);
  return result == -EINVAL ? rename_in_two_steps (overlay, move) : result;
}

static int
rename_object (VfOverlay *overlay, const Move *move)
{
  int from_fd = move->from.directory->fd, to_fd = move->to.directory->fd;
  gboolean leave_whiteout = move->from.child.below;
  if (move->from.child.directory && move->to.child.whiteout) {
    int result =
        vf_beneath_rename (from_fd, move->from.name, to_fd, move->to.name, RENAME_EXCHANGE);
    if (result < 0)
      return result;
    if (!leave_whiteout)
      unlinkat (from_fd, move->from.name, 0);
    return 0;
  }
  if (leave_whiteout)
    return rename_leaving_whiteout (overlay, move);
  return vf_beneath_rename (from_fd, move->from.name, to_fd, move->to.name, 0);
}

/* A record that stands by another of the file's names is right as it is. */
static void
move_record (VfOverlay *overlay, const End *from, const End *to)
{
  if (vf_upper_stands_at (overlay->upper, from->child.id, from->parent, from->name))
    vf_upper_move (overlay->upper, from->child.id, to->parent, to->name);
}

static int
replace (VfOverlay *overlay, Move *move)
{
  End *from = &move->from, *to = &move->to;
  char kept[VF_NAME_BYTES] = "";
  int result = 0;
  if (to->exists && child_is_present (&to->child))
    result = keep_target (overlay, move, kept);
  if (result == 0)
    result = rename_object (overlay, move);
  if (result < 0) {
    if (kept[0] != '\0')
      unlinkat (overlay->work_fd, kept, 0);
    return result;
  }
  if (to->exists) {
    settle_target (overlay, move, kept);
    vf_directory_lost (overlay, to->parent, to->name, to->child.below, to->child.directory);
  }
  move_record (overlay, from, to);
  vf_directory_lost (overlay, from->parent, from->name, from->child.below, from->child.directory);
  vf_directory_gained (overlay, to->parent, to->name, to->child.below, from->child.directory);
  return 0;
}

static int
exchange (VfOverlay *overlay, const Move *move)
{
  const End *from = &move->from, *to = &move->to;
  int result = vf_beneath_rename (from->directory->fd, from->name, to->directory->fd, to->name,
                                  RENAME_EXCHANGE);
  if (result < 0)
    return result;
  gboolean to_stands_there =
      vf_upper_stands_at (overlay->upper, to->child.id, to->parent, to->name);
  move_record (overlay, from, to);
  if (to_stands_there)
    vf_upper_move (overlay->upper, to->child.id, from->parent, from->name);
  vf_directory_lost (overlay, from->parent, from->name, from->child.below, from->child.directory);
  vf_directory_lost (overlay, to->parent, to->name, to->child.below, to->child.directory);
  vf_directory_gained (overlay, from->parent, from->name, from->child.below, to->child.directory);
  vf_directory_gained (overlay, to->parent, to->name, to->child.below, from->child.directory);
  return 0;
}

/* An empty directory of the upper is replaced. It is taken away at the old place of the one that
 * moves, so that a failure of that, for want of space for a whiteout, can be undone without any. */
static int
replace_directory (VfOverlay *overlay, Move *move)
{
  End *from = &move->from, *to = &move->to;
  int result = mark_directory (overlay, to, from->child.below);
  if (result == 0)
    result = exchange (overlay, move);
  if (result < 0)
    return result;
  result = vf_take_away (overlay, from->parent, from->directory->fd, from->name, &to->child,
                         from->child.below);
  if (result == 0) {
    vf_directory_lost (overlay, from->parent, from->name, from->child.below, TRUE);
    vf_listings_drop (overlay->listings, to->child.id);
    return 0;
  }
  Move undo = *move;
  undo.from.child = to->child;
  undo.to.child = from->child;
  exchange (overlay, &undo);
  return result;
}

static int
perform (VfOverlay *overlay, Move *move)
{
  if (move->flags & RENAME_EXCHANGE)
    return exchange (overlay, move);
  if (move->to.exists && move->to.child.directory && child_is_present (&move->to.child))
    return replace_directory (overlay, move);
  return replace (overlay, move);
}

/* Holds: tree writing. */
static int
try_move (VfOverlay *overlay, Move *move)
{
  End *from = &move->from, *to = &move->to;
  int result = find_end (overlay, from);
  if (result == 0)
    result = find_end (overlay, to);
  if (result == 0)
    result = check_move (overlay, move);
  if (result < 0)
    return result;
  if (to->exists && from->child.id == to->child.id)
    return 0;
  result = open_end (overlay, from);
  if (result == 0)
    result = open_end (overlay, to);
  if (result == 0)
    result = prepare_end (overlay, move, from, to->child.below);
  if (result == 0 && (move->flags & RENAME_EXCHANGE) && move->needs_copyup == 0)
    result = prepare_end (overlay, move, to, from->child.below);
  if (result < 0 || move->needs_copyup != 0)
    return result;
  return perform (overlay, move);
}

int
vf_overlay_rename (VfOverlay *overlay, guint64 parent, const char *name, guint64 new_parent,
                   const char *new_name, guint flags)
{
  if ((flags & ~(guint)(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
      flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
    return -EINVAL;
  /* One that still has no object after its copy-up lost it to somebody else than this daemon. */
  guint64 copied_up = 0;
  for (;;) {
    g_auto (Move) move = {.from = {.parent = parent, .name = name},
                          .to = {.parent = new_parent, .name = new_name},
                          .flags = flags};
    g_rw_lock_writer_lock (&overlay->tree);
    int result = try_move (overlay, &move);
    g_rw_lock_writer_unlock (&overlay->tree);
    if (result < 0 || move.needs_copyup == 0)
      return result;
    if (move.needs_copyup == copied_up)
      return -ESTALE;
    copied_up = move.needs_copyup;
    result = vf_copyup_file (overlay, move.needs_copyup, VF_COPYUP_STUB);
    if (result < 0)
      return result;
  }
}

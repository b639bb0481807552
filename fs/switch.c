/* The switch: a mount goes over to another image, while it is in use.
 *
 * The two images are compared, and every name that the images have differently, or that is set
 * aside or brought back, is noted with the node that is seen there. Then the change is made. Then
 * each of these names is looked up again: where another node is seen than before, the kernel has to
 * be told (fs/session.h), and nowhere else. So a directory that both images have stays the node it
 * was, and whoever sits in it notices nothing.
 *
 * All of it happens under the tree lock, writing: no request sees a half. What was replied before
 * and is still on its way to the kernel is overtaken by the notifications, for which the kernel
 * takes the lock of the directory that a lookup or a listing holds. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/internal.h"
#include "layers/error.h"

typedef struct {
  guint64 directory;
  char *path;
  guint64 before; /* the node that was seen; 0: none */
} Note;

typedef struct {
  VfOverlay *overlay;
  VfImage *former, *next;
  GHashTable *notes; /* path → Note, owned by it */
  VfSwitchEffect *effect;
} Switch;

static void
note_free (gpointer data)
{
  Note *note = data;
  g_free (note->path);
  g_free (note);
}

static void
switch_clear (Switch *change)
{
  g_clear_pointer (&change->notes, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Switch, switch_clear)

/* The first to be noted counts: it is how things were before all. */
static void
note_add (guint64 directory, const char *path, guint64 before, gpointer user_data)
{
  Switch *change = user_data;
  if (g_hash_table_contains (change->notes, path))
    return;
  Note *note = g_new (Note, 1);
  *note = (Note){.directory = directory, .path = g_strdup (path), .before = before};
  g_hash_table_insert (change->notes, note->path, note);
}

/* --- Comparing --- */

/* Both images' entries of one directory, in the order that both have them in. */
typedef struct {
  VfImage *images[2];
  guint32 at[2], end[2];
  VfImageNode nodes[2]; /* of the same name */
  gboolean has[2];
} Pairs;

static void
pairs_begin (Pairs *pairs, VfImage *former, const VfImageNode *from, VfImage *next,
             const VfImageNode *to)
{
  *pairs = (Pairs){.images = {former, next},
                   .at = {from->first_child, to->first_child},
                   .end = {from->first_child + from->n_children, to->first_child + to->n_children}};
}

static gint
compare_nodes (const VfImageNode *a, const VfImageNode *b)
{
  guint64 left = vf_name_hash (a->name, a->name_length);
  guint64 right = vf_name_hash (b->name, b->name_length);
  if (left != right)
    return left < right ? -1 : 1;
  return strcmp (a->name, b->name);
}

/* 1, 0 at the end, -errno. */
static int
pairs_next (Pairs *pairs)
{
  for (guint i = 0; i < 2; i++) {
    pairs->has[i] = pairs->at[i] < pairs->end[i];
    int result =
        pairs->has[i] ? vf_image_get (pairs->images[i], pairs->at[i], &pairs->nodes[i]) : 0;
    if (result < 0)
      return result;
  }
  if (pairs->has[0] && pairs->has[1]) {
    gint order = compare_nodes (&pairs->nodes[0], &pairs->nodes[1]);
    pairs->has[0] = order <= 0;
    pairs->has[1] = order >= 0;
  }
  pairs->at[0] += pairs->has[0] ? 1 : 0;
  pairs->at[1] += pairs->has[1] ? 1 : 0;
  return pairs->has[0] || pairs->has[1];
}

static gboolean
pair_is_directory (const Pairs *pairs)
{
  return pairs->has[0] && pairs->has[1] && pairs->nodes[0].type == VF_NODE_DIRECTORY &&
         pairs->nodes[1].type == VF_NODE_DIRECTORY;
}

static gboolean
pair_is_one_file (const Pairs *pairs)
{
  return pairs->has[0] && pairs->has[1] && pairs->nodes[0].id == pairs->nodes[1].id;
}

/* 1 if anything differs in or below a directory, 0, -errno. */
static int
trees_differ (VfImage *former, const VfImageNode *from, VfImage *next, const VfImageNode *to)
{
  Pairs pairs;
  pairs_begin (&pairs, former, from, next, to);
  int result;
  while ((result = pairs_next (&pairs)) > 0) {
    int below = pair_is_directory (&pairs)
                    ? trees_differ (former, &pairs.nodes[0], next, &pairs.nodes[1])
                    : !pair_is_one_file (&pairs);
    if (below != 0)
      return below;
  }
  return result;
}

static int compare (Switch *change, const VfNode *node, const VfImageNode *to, const char *path);

static int
compare_directory (Switch *change, const VfNode *node, const VfChild *child, const Pairs *pairs,
                   const char *path)
{
  const VfImageNode *from = &pairs->nodes[0], *to = &pairs->nodes[1];
  gboolean present = (child->upper.flags & VF_UPPER_PRESENT) != 0;
  if (child->id == 0 || child->whiteout || !child->directory || child->image != change->former ||
      child->lower.index != from->index) {
    int differ = trees_differ (change->former, from, change->next, to);
    if (differ > 0)
      note_add (node->upper.id, path, child->id, change);
    return MIN (differ, 0);
  }
  if (!present && from->mode != to->mode)
    g_array_append_val (change->effect->nodes, child->id);
  if (present)
    vf_upper_take (change->overlay->upper, &child->upper, from->name, 0);
  VfNode below = vf_node_of_child (child);
  int result = compare (change, &below, to, path);
  if (present)
    vf_upper_forget (change->overlay->upper, child->id, 0, NULL, NULL);
  return result;
}

static int
compare_pair (Switch *change, const VfNode *node, int dir_fd, const Pairs *pairs, const char *above)
{
  const VfImageNode *one = &pairs->nodes[pairs->has[0] ? 0 : 1];
  if (pair_is_one_file (pairs) && !pair_is_directory (pairs) &&
      pairs->nodes[0].mode == pairs->nodes[1].mode)
    return 0;
  g_autofree char *path = vf_path_join (above, one->name);
  VfChild child;
  int result = vf_child_find (change->overlay, node, dir_fd, one->name, &child);
  if (result < 0 && result != -ENOENT)
    return result;
  if (result < 0)
    child.id = 0;
  if (pair_is_directory (pairs))
    return compare_directory (change, node, &child, pairs, path);
  if (!pair_is_one_file (pairs))
    note_add (node->upper.id, path, child.id, change);
  else if (child.id != 0 && !(child.upper.flags & VF_UPPER_PRESENT))
    g_array_append_val (change->effect->nodes, child.id);
  return 0;
}

/* @node: a directory as it is seen, merged with one of the former image; @to: what the next image
 * has there. */
static int
compare (Switch *change, const VfNode *node, const VfImageNode *to, const char *path)
{
  g_autoptr (VfDescriptor) directory = NULL;
  Pairs pairs;
  int result = node->present ? vf_directory_open (change->overlay, node->upper.id, &directory) : 0;
  pairs_begin (&pairs, change->former, &node->lower, change->next, to);
  while (result >= 0 && (result = pairs_next (&pairs)) > 0)
    result = compare_pair (change, node, directory ? directory->fd : -1, &pairs, path);
  return result;
}

static int
compare_images (Switch *change)
{
  VfNode root;
  VfImageNode to;
  int result = vf_node_resolve (change->overlay, VF_UPPER_ROOT, &root);
  if (result == 0)
    result = vf_image_get (change->next, 0, &to);
  return result < 0 ? result : compare (change, &root, &to, "");
}

/* --- Changing --- */

static int
show (VfOverlay *overlay, VfImage *image)
{
  int number = vf_image_enter (overlay, image);
  if (number < 0)
    return number;
  overlay->newest = vf_image_numbered (overlay, (guint)number);
  g_array_append_val (overlay->shown, number);
  vf_lowers_retire (overlay);
  vf_listings_clear (overlay->listings);
  vf_upper_clear_n_directories (overlay->upper);
  vf_upper_expect_twins (overlay->upper);
  return 0;
}

/* Python looks at a directory's time to know whether it must be listed again. */
static void
touch (VfOverlay *overlay, const VfNode *node)
{
  g_autoptr (VfDescriptor) directory = NULL;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
  if (node->present && vf_directory_open (overlay, node->upper.id, &directory) == 0)
    utimensat (directory->fd, "", times, AT_EMPTY_PATH);
}

/* Looks again at a name; 0 or -errno. */
static int
settle_note (Switch *change, const Note *note, GHashTable *changed)
{
  VfOverlay *overlay = change->overlay;
  VfNode node;
  VfChild child;
  int result = vf_node_resolve_directory (overlay, note->directory, &node);
  /* It is gone itself, and its own name was noted. */
  if (result < 0)
    return result == -ESTALE || result == -ENOENT || result == -ENOTDIR ? 0 : result;
  result = vf_child_find_in (overlay, &node, vf_path_last (note->path), &child);
  if (result < 0 && result != -ENOENT)
    return result;
  gboolean present = result == 0 && (child.upper.flags & VF_UPPER_PRESENT);
  gboolean covers = present && (child.image == NULL || child.upper.pinned != 0);
  if (child.below && (child.whiteout || covers))
    g_ptr_array_add (change->effect->hidden, g_strdup (note->path));
  if ((result == 0 ? child.id : 0) == note->before)
    return 0;
  VfSwitchEntry *entry = g_new (VfSwitchEntry, 1);
  *entry =
      (VfSwitchEntry){.directory = note->directory, .name = g_strdup (vf_path_last (note->path))};
  g_ptr_array_add (change->effect->entries, entry);
  if (g_hash_table_add (changed, g_memdup2 (&note->directory, sizeof note->directory))) {
    g_array_append_val (change->effect->nodes, note->directory);
    touch (overlay, &node);
  }
  return 0;
}

static int
settle_notes (Switch *change)
{
  g_autoptr (GHashTable) changed =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer note;
  int result = 0;
  g_hash_table_iter_init (&iter, change->notes);
  while (result == 0 && g_hash_table_iter_next (&iter, NULL, &note))
    result = settle_note (change, note, changed);
  return result;
}

static int
change_upper (Switch *change, const VfSwitch *wanted)
{
  VfAsideWatch watch = {.about_to_change = note_add, .user_data = change};
  int result = 0;
  if (wanted->set_aside && wanted->set_aside[0])
    result =
        vf_aside_take (change->overlay, wanted->aside, wanted->set_aside, change->next, &watch);
  if (result == 0 && wanted->bring_back != 0)
    result = vf_aside_bring_back (change->overlay, wanted->bring_back, wanted->aside, TRUE, &watch);
  return result;
}

static void
entry_free (gpointer data)
{
  VfSwitchEntry *entry = data;
  g_free (entry->name);
  g_free (entry);
}

static VfSwitchEffect *
effect_new (void)
{
  VfSwitchEffect *effect = g_new (VfSwitchEffect, 1);
  effect->entries = g_ptr_array_new_with_free_func (entry_free);
  effect->nodes = g_array_new (FALSE, FALSE, sizeof (guint64));
  effect->hidden = g_ptr_array_new_with_free_func (g_free);
  return effect;
}

void
vf_switch_effect_free (VfSwitchEffect *effect)
{
  g_ptr_array_unref (effect->entries);
  g_array_unref (effect->nodes);
  g_ptr_array_unref (effect->hidden);
  g_free (effect);
}

static gint
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* What has been moved when it fails in the middle is seen where it is now, so the names are looked
 * at again then, too. */
VfSwitchEffect *
vf_overlay_switch (VfOverlay *overlay, const VfSwitch *wanted, int *out_result)
{
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  g_autoptr (VfSwitchEffect) effect = effect_new ();
  g_auto (Switch)
      change = {.overlay = overlay,
                .former = overlay->newest,
                .next = wanted->image,
                .notes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, note_free),
                .effect = effect};
  gboolean moves = (wanted->set_aside && wanted->set_aside[0]) || wanted->bring_back != 0;
  /* Things would come back over themselves. */
  gboolean same = wanted->bring_back != 0 && wanted->bring_back == wanted->aside;
  int result = (moves && wanted->aside == 0) || same ? -EINVAL : compare_images (&change);
  if (result == 0)
    result = change_upper (&change, wanted);
  int shown = result == 0 ? show (overlay, wanted->image) : result;
  if (shown < 0)
    vf_listings_clear (overlay->listings);
  int settled = settle_notes (&change);
  *out_result = shown < 0 ? shown : settled;
  g_ptr_array_sort (effect->hidden, compare_paths);
  return g_steal_pointer (&effect);
}

/* Image nodes by the ids that this mount gives them.
 *
 * An image's id follows from path and content alone. While a mount shows one image, every node of
 * it is seen at one place at most, and goes by that id. After a switch it may be wanted twice: a
 * directory that was renamed away, or a file that was edited, set aside and is still open, keeps
 * the id by which the kernel knows it, and what the new image shows at the old place needs another.
 * So there are trees:
 *
 *   tree 0   the images' own ids
 *   tree n   what came into sight at the n-th switch at which something kept its id (the id was
 *            retired). The id: bit 63, and the image's id shifted by n times a constant. Bit 62 is
 *            never set along with it: what has both is no node (fs/pusher.c)
 *   a renamed directory's tree: the same with a number made of its inode; for one that is met for
 *            the first time when its id is another's
 *
 * All below a directory is in the directory's tree, unless it was retired itself after that. Which
 * tree an id is of is found by trying: the shifted ids of an image are in no other tree, but for a
 * chance of 2^-62 a node. As long as nothing is retired, all of this costs a comparison. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/internal.h"

#define TREE_BIT (G_GUINT64_CONSTANT (1) << 63)
#define ID_MASK  ((G_GUINT64_CONSTANT (1) << 62) - 1)
#define RENAMED  (G_GUINT64_CONSTANT (1) << 61)
/* Odd, so that no two trees have the same shift. */
#define STRIDE G_GUINT64_CONSTANT (0x1e3779b97f4a7c15)

/* What had the id in trees below @tree is of @image. */
typedef struct {
  guint64 tree;
  guint image;
} Retirement;

typedef struct {
  guint64 tree;
  guint image;
} RenamedTree;

struct VfLowers {
  GHashTable *retired; /* image's id → GArray of Retirement, ascending [lock: the overlay's tree] */
  guint64 last_tree;   /* [lock: the overlay's tree] */
  GMutex lock;
  GArray *renamed; /* of RenamedTree; [lock] */
};

VfLowers *
vf_lowers_new (void)
{
  VfLowers *lowers = g_new0 (VfLowers, 1);
  g_mutex_init (&lowers->lock);
  lowers->retired =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_array_unref);
  lowers->renamed = g_array_new (FALSE, FALSE, sizeof (RenamedTree));
  return lowers;
}

void
vf_lowers_free (VfLowers *lowers)
{
  if (!lowers)
    return;
  g_array_unref (lowers->renamed);
  g_hash_table_unref (lowers->retired);
  g_mutex_clear (&lowers->lock);
  g_free (lowers);
}

static guint64
id_in_tree (guint64 plain, guint64 tree)
{
  return tree == 0 ? plain : TREE_BIT | ((plain + tree * STRIDE) & ID_MASK);
}

static guint64
plain_in_tree (guint64 id, guint64 tree)
{
  return tree == 0 ? id : (id - tree * STRIDE) & ID_MASK;
}

static gboolean
is_plain (VfOverlay *overlay, guint64 id)
{
  return !(id & TREE_BIT) && g_hash_table_size (overlay->lowers->retired) == 0;
}

/* --- In which image --- */

/* The newest image that has it: 0, -ENOENT or -EIO. */
static int
find_shown (VfOverlay *overlay, guint64 plain, VfImage **out_image, VfImageNode *out_lower)
{
  *out_image = overlay->newest;
  int result = vf_image_find (overlay->newest, plain, out_lower);
  if (result != -ENOENT)
    return result;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->images_lock);
  for (guint i = overlay->shown->len; result == -ENOENT && i-- > 0;) {
    *out_image = overlay->images->pdata[g_array_index (overlay->shown, guint, i)];
    result = vf_image_find (*out_image, plain, out_lower);
  }
  for (guint i = 0; result == -ENOENT && i < overlay->images->len; i++) {
    *out_image = overlay->images->pdata[i];
    result = vf_image_find (*out_image, plain, out_lower);
  }
  return result;
}

static gboolean
find_renamed_tree (VfOverlay *overlay, guint64 tree, guint *out_image)
{
  VfLowers *lowers = overlay->lowers;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lowers->lock);
  for (guint i = 0; i < lowers->renamed->len; i++)
    if (g_array_index (lowers->renamed, RenamedTree, i).tree == tree) {
      *out_image = g_array_index (lowers->renamed, RenamedTree, i).image;
      return TRUE;
    }
  return FALSE;
}

/* Which renamed directory's tree @id is of; 0: none. */
static guint64
guess_renamed_tree (VfOverlay *overlay, guint64 id)
{
  VfLowers *lowers = overlay->lowers;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lowers->lock);
  for (guint i = 0; i < lowers->renamed->len; i++) {
    const RenamedTree *renamed = &g_array_index (lowers->renamed, RenamedTree, i);
    VfImage *image = vf_image_numbered (overlay, renamed->image);
    VfImageNode lower;
    if (image && vf_image_find (image, plain_in_tree (id, renamed->tree), &lower) == 0)
      return renamed->tree;
  }
  return 0;
}

static guint64
tree_of (VfOverlay *overlay, guint64 id)
{
  VfImage *image;
  VfImageNode lower;
  if (!(id & TREE_BIT))
    return 0;
  for (guint64 tree = overlay->lowers->last_tree; tree > 0; tree--)
    if (find_shown (overlay, plain_in_tree (id, tree), &image, &lower) == 0)
      return tree;
  return guess_renamed_tree (overlay, id);
}

guint64
vf_lower_plain_id (VfOverlay *overlay, guint64 id)
{
  return plain_in_tree (id, tree_of (overlay, id));
}

/* --- Retired ids --- */

typedef gboolean (*RetirementFunc) (const Retirement *retirement, guint64 tree);

static gboolean
ends_tree (const Retirement *retirement, guint64 tree)
{
  return retirement->tree > tree;
}

static gboolean
begins_tree (const Retirement *retirement, guint64 tree)
{
  return retirement->tree <= tree;
}

/* Of @lower and the directories above it: the first retirement that ends the tree, or the last that
 * began it. */
static gboolean
find_retirement (VfOverlay *overlay, VfImage *image, const VfImageNode *lower, guint64 tree,
                 RetirementFunc accepts, Retirement *out_retirement)
{
  VfImageNode at = *lower;
  gboolean found = FALSE;
  for (;;) {
    const GArray *retirements = g_hash_table_lookup (overlay->lowers->retired, &at.id);
    for (guint i = 0; retirements && i < retirements->len; i++) {
      const Retirement *one = &g_array_index (retirements, Retirement, i);
      gboolean better = !found || (accepts == ends_tree ? one->tree < out_retirement->tree
                                                        : one->tree > out_retirement->tree);
      if (accepts (one, tree) && better) {
        *out_retirement = *one;
        found = TRUE;
      }
    }
    if (at.index == 0 || vf_image_get (image, at.parent, &at) < 0)
      return found;
  }
}

int
vf_lower_find (VfOverlay *overlay, guint64 id, VfLowerNode *out_node)
{
  memset (out_node, 0, sizeof *out_node);
  if (is_plain (overlay, id)) {
    int result = find_shown (overlay, id, &out_node->image, &out_node->lower);
    out_node->retired = out_node->image != overlay->newest;
    return result;
  }
  guint number;
  guint64 tree = tree_of (overlay, id), plain = plain_in_tree (id, tree);
  int result;
  Retirement retirement;
  if (find_renamed_tree (overlay, tree, &number)) {
    out_node->image = vf_image_numbered (overlay, number);
    result = vf_image_find (out_node->image, plain, &out_node->lower);
  } else {
    result = find_shown (overlay, plain, &out_node->image, &out_node->lower);
    if (result == 0)
      out_node->retired = out_node->image != overlay->newest;
    if (result == 0 && find_retirement (overlay, out_node->image, &out_node->lower, tree, ends_tree,
                                        &retirement)) {
      out_node->retired = TRUE;
      out_node->image = vf_image_numbered (overlay, retirement.image);
      result = vf_image_find (out_node->image, plain, &out_node->lower);
    }
  }
  out_node->lower.id = id;
  return result;
}

int
vf_lower_find_in (VfOverlay *overlay, VfImage *image, guint64 id, VfImageNode *out_lower)
{
  int result = vf_image_find (image, vf_lower_plain_id (overlay, id), out_lower);
  out_lower->id = id;
  return result;
}

int
vf_lower_parent (VfOverlay *overlay, VfImage *image, const VfImageNode *lower, guint64 *out_id)
{
  VfImageNode parent;
  int result = vf_image_get (image, lower->parent, &parent);
  if (result < 0)
    return result;
  guint64 tree = tree_of (overlay, lower->id);
  Retirement retirement;
  if (tree != 0 && !(tree & RENAMED))
    tree = find_retirement (overlay, image, &parent, tree, begins_tree, &retirement)
               ? retirement.tree
               : 0;
  *out_id = id_in_tree (parent.id, tree);
  return 0;
}

void
vf_lower_number_child (VfOverlay *overlay, guint64 parent, VfImage *image, VfImageNode *child)
{
  if (is_plain (overlay, parent))
    return;
  guint64 tree = tree_of (overlay, parent), chosen = tree;
  const GArray *retirements = g_hash_table_lookup (overlay->lowers->retired, &child->id);
  VfImageNode above;
  if (retirements && !(tree & RENAMED) && vf_image_get (image, child->parent, &above) == 0) {
    Retirement end = {.tree = G_MAXUINT64};
    find_retirement (overlay, image, &above, tree, ends_tree, &end);
    for (guint i = 0; i < retirements->len; i++) {
      guint64 begun = g_array_index (retirements, Retirement, i).tree;
      if (begun > chosen && begun < end.tree)
        chosen = begun;
    }
  }
  child->id = id_in_tree (child->id, chosen);
}

static guint64
renamed_tree (guint64 ino)
{
  return RENAMED | (ino & (RENAMED - 1));
}

gboolean
vf_lower_is_numbered (VfOverlay *overlay, guint64 ino)
{
  guint image;
  return find_renamed_tree (overlay, renamed_tree (ino), &image);
}

guint64
vf_lower_number_renamed (VfOverlay *overlay, guint image, guint64 plain, guint64 ino)
{
  VfLowers *lowers = overlay->lowers;
  RenamedTree renamed = {.tree = renamed_tree (ino), .image = image};
  guint known;
  if (!find_renamed_tree (overlay, renamed.tree, &known)) {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lowers->lock);
    g_array_append_val (lowers->renamed, renamed);
  }
  return id_in_tree (plain, renamed.tree);
}

/* --- Where a node is seen --- */

int
vf_lower_is_covered (VfOverlay *overlay, VfImage *image, const VfImageNode *lower)
{
  g_autofree char *path = vf_image_path_of (image, lower);
  if (!path)
    return -EIO;
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  VF_AUTOFD fd = -1;
  for (guint i = 0; names[i]; i++) {
    int dir_fd = fd >= 0 ? fd : overlay->upper_fd;
    struct stat st;
    int result = vf_beneath_stat (dir_fd, names[i], &st);
    if (result < 0)
      return result == -ENOENT ? 0 : result;
    if (!S_ISDIR (st.st_mode))
      return 1;
    g_auto (VfMarks) marks = {0};
    result = vf_marking_read (dir_fd, names[i], st.st_mode, &marks);
    if (result < 0 || marks.opaque || marks.has_lower)
      return result < 0 ? result : 1;
    int next = vf_beneath_open_forced (dir_fd, names[i], O_PATH | O_DIRECTORY);
    vf_fd_clear (&fd);
    fd = next;
    if (fd < 0)
      return fd;
  }
  return lower->type != VF_NODE_DIRECTORY;
}

int
vf_lower_is_possible (VfOverlay *overlay, guint64 plain)
{
  VfImage *image;
  VfImageNode lower;
  int result = find_shown (overlay, plain, &image, &lower);
  if (result < 0)
    return result == -ENOENT ? 0 : result;
  /* After a switch, it may have been seen before; after a set-aside, in a directory that was
   * renamed with it. */
  if (overlay->shown->len > 1 || overlay->has_aside)
    return 1;
  if (image != overlay->newest)
    return 0;
  result = vf_lower_is_covered (overlay, image, &lower);
  return result < 0 ? result : !result;
}

gboolean
vf_lower_is_below_renamed (VfOverlay *overlay, guint64 id)
{
  while (id != VF_UPPER_ROOT) {
    VfUpperNode upper;
    VfLowerNode node;
    if (vf_upper_get (overlay->upper, id, &upper)) {
      if ((upper.flags & VF_UPPER_ORPHAN) || upper.pinned != 0)
        return upper.pinned != 0 && !(upper.flags & VF_UPPER_ORPHAN);
      id = upper.parent;
    } else if ((id & VF_UPPER_BORN_BIT) || vf_lower_find (overlay, id, &node) < 0 ||
               vf_lower_parent (overlay, node.image, &node.lower, &id) < 0)
      return FALSE;
  }
  return FALSE;
}

/* --- A switch --- */

/* The image that a node which keeps its id is of. */
static guint
owner_of (VfOverlay *overlay, const VfUpperNode *node, guint64 plain)
{
  if (node->pinned != 0)
    return node->pinned - 1u;
  guint number = 0;
  for (guint i = overlay->shown->len - 1; i-- > 0;) {
    VfImageNode lower;
    number = g_array_index (overlay->shown, guint, i);
    VfImage *image = vf_image_numbered (overlay, number);
    if (image != overlay->newest && vf_image_find (image, plain, &lower) == 0)
      return number;
  }
  return number;
}

static void
retire (VfOverlay *overlay, guint64 plain, const Retirement *retirement)
{
  GArray *retirements = g_hash_table_lookup (overlay->lowers->retired, &plain);
  if (!retirements) {
    retirements = g_array_new (FALSE, FALSE, sizeof (Retirement));
    g_hash_table_insert (overlay->lowers->retired, g_memdup2 (&plain, sizeof plain), retirements);
  }
  g_array_append_vals (retirements, retirement, 1);
}

/* Whether the node stands where @lower, which has its id, is seen. */
static gboolean
stands_in_its_place (VfOverlay *overlay, const VfUpperPlace *place, guint64 id,
                     const VfImageNode *lower)
{
  guint64 parent;
  VfImageNode numbered = *lower;
  numbered.id = id;
  return !(place->node.flags & VF_UPPER_ORPHAN) && strcmp (place->name, lower->name) == 0 &&
         vf_lower_parent (overlay, overlay->newest, &numbered, &parent) == 0 &&
         parent == place->node.parent;
}

void
vf_lowers_retire (VfOverlay *overlay)
{
  VfLowers *lowers = overlay->lowers;
  guint64 last_tree = lowers->last_tree;
  g_autoptr (GPtrArray) places = vf_upper_places (overlay->upper);
  for (guint i = 0; i < places->len; i++) {
    const VfUpperPlace *place = places->pdata[i];
    guint64 id = place->node.id;
    VfImageNode lower;
    Retirement retirement;
    if (id == VF_UPPER_ROOT || (id & VF_UPPER_BORN_BIT))
      continue;
    guint64 tree = tree_of (overlay, id), plain = plain_in_tree (id, tree);
    if ((tree & RENAMED) || vf_image_find (overlay->newest, plain, &lower) < 0 ||
        find_retirement (overlay, overlay->newest, &lower, tree, ends_tree, &retirement) ||
        stands_in_its_place (overlay, place, id, &lower))
      continue;
    retirement.tree = last_tree + 1;
    retirement.image = owner_of (overlay, &place->node, plain);
    retire (overlay, plain, &retirement);
    lowers->last_tree = last_tree + 1;
  }
}

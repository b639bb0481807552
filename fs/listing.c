/* Listing a directory: the image's entries and the upper's, merged, in the order of name hashes.
 *
 * The image has its children in that order; of the upper only the names that the image has not
 * ("born" names) are sorted and kept, for the directories that were listed last. Whether an entry
 * of the image is hidden or replaced is looked up when it is told, so only names that come or go
 * touch what is kept. A position is a name hash: any call can resume from it alone.
 *
 * Locking: a kept listing changes while the tree lock is held writing only, so whoever holds it
 * reading may walk it; the mutex guards which listings are kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/internal.h"

#define MAX_LISTINGS  16
#define MAX_NAMES     200000
#define POSITION_DOT  1
#define POSITION_DOTS 2

typedef struct {
  guint64 hash;
  const char *name; /* NULL in a search key: after all names of this hash */
} Key;

typedef struct {
  guint64 directory;
  GTree *born; /* set of Key, owned, the name behind it */
  gint n_references;
  GList link;
} Listing;

struct VfListings {
  GMutex lock;
  GHashTable *by_directory; /* of Listing; one reference each */
  GQueue used;              /* the same, least recently used first */
  gsize n_names;            /* in all of them */
};

static gint
key_compare (gconstpointer a, gconstpointer b, gpointer unused)
{
  const Key *left = a, *right = b;
  if (left->hash != right->hash)
    return left->hash < right->hash ? -1 : 1;
  if (!left->name || !right->name)
    return left->name ? -1 : right->name ? 1 : 0;
  return strcmp (left->name, right->name);
}

static Key *
key_new (const char *name)
{
  gsize length = strlen (name);
  Key *key = g_malloc (sizeof *key + length + 1);
  key->hash = vf_name_hash (name, length);
  key->name = memcpy (key + 1, name, length + 1);
  return key;
}

VfListings *
vf_listings_new (void)
{
  VfListings *listings = g_new0 (VfListings, 1);
  g_mutex_init (&listings->lock);
  g_queue_init (&listings->used);
  listings->by_directory = g_hash_table_new (g_int64_hash, g_int64_equal);
  return listings;
}

static void
listing_unref (Listing *listing)
{
  if (!g_atomic_int_dec_and_test (&listing->n_references))
    return;
  g_tree_unref (listing->born);
  g_free (listing);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Listing, listing_unref)

static void
listing_release (VfListings *listings, Listing *listing)
{
  listings->n_names -= (gsize)g_tree_nnodes (listing->born);
  g_hash_table_remove (listings->by_directory, &listing->directory);
  g_queue_unlink (&listings->used, &listing->link);
  listing_unref (listing);
}

void
vf_listings_clear (VfListings *listings)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&listings->lock);
  while (listings->used.head)
    listing_release (listings, listings->used.head->data);
}

void
vf_listings_free (VfListings *listings)
{
  if (!listings)
    return;
  vf_listings_clear (listings);
  g_hash_table_unref (listings->by_directory);
  g_mutex_clear (&listings->lock);
  g_free (listings);
}

void
vf_listings_drop (VfListings *listings, guint64 directory)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&listings->lock);
  Listing *listing = g_hash_table_lookup (listings->by_directory, &directory);
  if (listing)
    listing_release (listings, listing);
}

void
vf_directory_gained (VfOverlay *overlay, guint64 directory, const char *name, gboolean below,
                     gboolean is_directory)
{
  if (is_directory)
    vf_upper_adjust_n_directories (overlay->upper, directory, 1);
  if (below)
    return;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->listings->lock);
  Listing *listing = g_hash_table_lookup (overlay->listings->by_directory, &directory);
  if (!listing)
    return;
  gint before = g_tree_nnodes (listing->born);
  Key *key = key_new (name);
  g_tree_replace (listing->born, key, key);
  overlay->listings->n_names += (gsize)(g_tree_nnodes (listing->born) - before);
}

void
vf_directory_lost (VfOverlay *overlay, guint64 directory, const char *name, gboolean below,
                   gboolean is_directory)
{
  if (is_directory)
    vf_upper_adjust_n_directories (overlay->upper, directory, -1);
  if (below)
    return;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&overlay->listings->lock);
  Listing *listing = g_hash_table_lookup (overlay->listings->by_directory, &directory);
  Key key = {.hash = vf_name_hash (name, strlen (name)), .name = name};
  if (listing && g_tree_remove (listing->born, &key))
    overlay->listings->n_names--;
}

typedef struct {
  DIR *stream;
  int dir_fd;
  gboolean is_directory;
  gboolean is_whiteout;
} UpperWalk;

static int
upper_walk_begin (VfOverlay *overlay, guint64 id, UpperWalk *out_walk)
{
  memset (out_walk, 0, sizeof *out_walk);
  g_autoptr (VfDescriptor) directory = NULL;
  int result = vf_directory_open (overlay, id, &directory);
  if (result < 0)
    return result;
  int fd = vf_beneath_open_forced (directory->fd, ".", O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return fd;
  out_walk->stream = vf_dir_of_fd (fd);
  if (!out_walk->stream)
    return -errno;
  out_walk->dir_fd = dirfd (out_walk->stream);
  return 0;
}

static void
upper_walk_clear (UpperWalk *walk)
{
  g_clear_pointer (&walk->stream, closedir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UpperWalk, upper_walk_clear)

/* 1 with the next name, 0 at the end, -errno. */
static int
upper_walk_next (VfOverlay *overlay, UpperWalk *walk, const char **out_name)
{
  errno = 0;
  struct dirent *entry = readdir (walk->stream);
  if (!entry)
    return errno ? -errno : 0;
  if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
    return upper_walk_next (overlay, walk, out_name);
  *out_name = entry->d_name;
  walk->is_directory = entry->d_type == DT_DIR;
  walk->is_whiteout = entry->d_type == DT_CHR && entry->d_ino == overlay->whiteout_ino;
  if (walk->is_whiteout)
    return 1;
  struct stat st;
  if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_CHR)
    return 1;
  int result = vf_beneath_stat (walk->dir_fd, entry->d_name, &st);
  if (result == -ENOENT)
    return upper_walk_next (overlay, walk, out_name);
  walk->is_directory = result == 0 && S_ISDIR (st.st_mode);
  walk->is_whiteout = result == 0 && vf_stat_is_whiteout (&st);
  return 1;
}

static gboolean
is_below (const VfNode *node, const char *name, VfImageNode *out_lower)
{
  return node->image &&
         vf_image_lookup (node->image, node->lower.index, name, strlen (name), out_lower) == 0;
}

/* The names that only the upper has. */
static int
read_born (VfOverlay *overlay, const VfNode *node, GTree *born)
{
  g_auto (UpperWalk) walk = {0};
  int result = upper_walk_begin (overlay, node->upper.id, &walk);
  const char *name;
  while (result >= 0 && (result = upper_walk_next (overlay, &walk, &name)) > 0) {
    VfImageNode lower;
    if (walk.is_whiteout || is_below (node, name, &lower))
      continue;
    Key *key = key_new (name);
    g_tree_replace (born, key, key);
  }
  return result;
}

static Listing *
listing_find (VfListings *listings, guint64 directory)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&listings->lock);
  Listing *found = g_hash_table_lookup (listings->by_directory, &directory);
  if (!found)
    return NULL;
  g_queue_unlink (&listings->used, &found->link);
  g_queue_push_tail_link (&listings->used, &found->link);
  g_atomic_int_inc (&found->n_references);
  return found;
}

static void
listing_keep (VfListings *listings, Listing *listing)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&listings->lock);
  if (g_hash_table_contains (listings->by_directory, &listing->directory))
    return;
  g_atomic_int_inc (&listing->n_references);
  g_hash_table_insert (listings->by_directory, &listing->directory, listing);
  g_queue_push_tail_link (&listings->used, &listing->link);
  listings->n_names += (gsize)g_tree_nnodes (listing->born);
  while (listings->used.length > 1 &&
         (listings->used.length > MAX_LISTINGS || listings->n_names > MAX_NAMES))
    listing_release (listings, listings->used.head->data);
}

/* NULL in @out_listing: the upper has nothing of it. */
static int
listing_open (VfOverlay *overlay, const VfNode *node, Listing **out_listing)
{
  *out_listing = NULL;
  if (!node->present || node->removed)
    return 0;
  *out_listing = listing_find (overlay->listings, node->upper.id);
  if (*out_listing)
    return 0;
  g_autoptr (Listing) listing = g_new0 (Listing, 1);
  listing->directory = node->upper.id;
  listing->n_references = 1;
  listing->link.data = listing;
  listing->born = g_tree_new_full (key_compare, NULL, g_free, NULL);
  int result = read_born (overlay, node, listing->born);
  if (result < 0)
    return result;
  listing_keep (overlay->listings, listing);
  *out_listing = g_steal_pointer (&listing);
  return 0;
}

typedef struct {
  VfOverlay *overlay;
  const VfNode *node;
  int dir_fd;
  VfOverlayListFunc func;
  gpointer user_data;
  guint n_told;
} Telling;

/* What cannot be examined is there all the same, and no reason to keep back the others: ext4 tells
 * the name of a damaged inode too, and who looks it up is told what is wrong. */
static void
entry_of_unknown (const VfChild *child, guint64 hash, VfEntry *out_entry)
{
  guint64 own = child->st.st_ino != 0 ? (guint64)child->st.st_ino : hash;
  memset (out_entry, 0, sizeof *out_entry);
  out_entry->st.st_mode = child->st.st_mode & S_IFMT;
  out_entry->st.st_ino = child->id != 0 ? child->id : vf_upper_born_id (own);
}

/* FALSE: there is none. */
static gboolean
find_entry (const Telling *telling, const char *name, guint64 hash, const VfImageNode *lower,
            VfEntry *out_entry)
{
  if (!telling->node->present && lower) {
    vf_entry_of_lower (telling->overlay, telling->node->image, lower, FALSE, out_entry);
    return TRUE;
  }
  VfChild child;
  int result = vf_child_find (telling->overlay, telling->node, telling->dir_fd, name, &child);
  if (result == 0)
    result = vf_entry_of_child (telling->overlay, &child, name, out_entry);
  if (result < 0 && result != -ENOENT)
    entry_of_unknown (&child, hash, out_entry);
  return result != -ENOENT;
}

/* 1: told, or hidden; 0: the caller has had enough. */
static int
tell_entry (Telling *telling, const char *name, guint64 hash, const VfImageNode *lower)
{
  VfEntry entry;
  if (!find_entry (telling, name, hash, lower, &entry))
    return 1;
  if (telling->func (name, &entry, hash, telling->user_data)) {
    telling->n_told++;
    return 1;
  }
  if (entry.id != 0)
    vf_forget_untold (telling->overlay, entry.id);
  return 0;
}

/* Merges two orders that are the same. */
static int
tell_entries (Telling *telling, Listing *listing, guint64 after)
{
  const VfNode *node = telling->node;
  Key start = {.hash = after};
  GTreeNode *born = listing ? g_tree_upper_bound (listing->born, &start) : NULL;
  guint32 index = 0, end = 0;
  int result = 1;
  if (node->image) {
    end = node->lower.first_child + node->lower.n_children;
    result = vf_image_seek (node->image, node->lower.index, after, &index);
    result = result < 0 ? result : 1;
  }
  while (result > 0 && (born || index < end)) {
    VfImageNode lower;
    Key from_image = {0};
    if (index < end) {
      result = vf_image_get (node->image, index, &lower);
      if (result < 0)
        return result;
      vf_lower_number_child (telling->overlay, node->upper.id, node->image, &lower);
      from_image = (Key){vf_name_hash (lower.name, lower.name_length), lower.name};
    }
    const Key *from_upper = born ? g_tree_node_key (born) : NULL;
    if (from_upper && (index >= end || key_compare (from_upper, &from_image, NULL) < 0)) {
      result = tell_entry (telling, from_upper->name, from_upper->hash, NULL);
      born = g_tree_node_next (born);
    } else {
      result = tell_entry (telling, from_image.name, from_image.hash, &lower);
      index++;
    }
  }
  return result;
}

static gboolean
tell_dots (Telling *telling, guint64 after)
{
  VfEntry dot = {.id = telling->node->upper.id};
  dot.st.st_ino = dot.id;
  dot.st.st_mode = S_IFDIR;
  if (after < POSITION_DOT && !telling->func (".", &dot, POSITION_DOT, telling->user_data))
    return FALSE;
  dot.id = telling->node->upper.parent ? telling->node->upper.parent : VF_UPPER_ROOT;
  guint64 parent;
  if (!telling->node->present && telling->node->image &&
      vf_lower_parent (telling->overlay, telling->node->image, &telling->node->lower, &parent) == 0)
    dot.id = parent;
  dot.st.st_ino = dot.id;
  return after >= POSITION_DOTS || telling->func ("..", &dot, POSITION_DOTS, telling->user_data);
}

int
vf_overlay_list (VfOverlay *overlay, guint64 directory, guint64 after, VfOverlayListFunc func,
                 gpointer user_data)
{
  g_autoptr (GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new (&overlay->tree);
  VfNode node;
  int result = vf_node_resolve (overlay, directory, &node);
  if (result < 0)
    return result;
  if (!node.directory)
    return -ENOTDIR;
  g_autoptr (Listing) listing = NULL;
  g_autoptr (VfDescriptor) descriptor = NULL;
  result = listing_open (overlay, &node, &listing);
  if (result == 0 && listing)
    result = vf_directory_open (overlay, directory, &descriptor);
  if (result < 0)
    return result;

  Telling telling = {.overlay = overlay,
                     .node = &node,
                     .dir_fd = descriptor ? descriptor->fd : -1,
                     .func = func,
                     .user_data = user_data};
  if (node.removed)
    return 0;
  if (!tell_dots (&telling, after))
    return 0;
  result = tell_entries (&telling, listing, MAX (after, POSITION_DOTS));
  /* Who has come to the end will not go on from here; the kernel keeps what it was told. */
  if (result > 0 && telling.n_told == 0)
    vf_listings_drop (overlay->listings, directory);
  return MIN (result, 0);
}

int
vf_directory_is_empty (VfOverlay *overlay, const VfNode *node)
{
  g_auto (UpperWalk) walk = {0};
  const char *name;
  guint32 n_covered = 0;
  int result = node->present ? upper_walk_begin (overlay, node->upper.id, &walk) : 0;
  while (node->present && result >= 0 && (result = upper_walk_next (overlay, &walk, &name)) > 0) {
    VfImageNode lower;
    if (!walk.is_whiteout)
      return 0;
    n_covered += is_below (node, name, &lower) ? 1 : 0;
  }
  if (result < 0)
    return result;
  return !node->image || n_covered == node->lower.n_children;
}

int
vf_directory_count (VfOverlay *overlay, guint64 id, VfImage *image, const VfImageNode *lower)
{
  VfNode node = {.upper.id = id, .image = image, .lower = *lower};
  g_auto (UpperWalk) walk = {0};
  int result = upper_walk_begin (overlay, id, &walk);
  int n = (int)lower->n_directories;
  const char *name;
  while (result >= 0 && (result = upper_walk_next (overlay, &walk, &name)) > 0) {
    VfImageNode hidden;
    n += walk.is_directory ? 1 : 0;
    n -= is_below (&node, name, &hidden) && hidden.type == VF_NODE_DIRECTORY ? 1 : 0;
  }
  return result < 0 ? result : MAX (n, 0);
}

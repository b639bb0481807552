#include "fs/prefetch.h"

#include <string.h>

#include "fs/bit-set.h"
#include "fs/learning.h"
#include "fs/lister.h"
#include "fs/pusher.h"
#include "fs/upper.h"
#include "layers/import-order.h"

#define CACHE_NAME   "__pycache__"
#define PROBE_PREFIX "__init__."
#define FEW          3  /* modules for which it is not worth the while */
#define AHEAD        16 /* directories before the import has to come to the next one */
#define AHEAD_BYTES  (32 << 20)
#define MODULE_BYTES (1 << 20) /* larger ones are read as they are needed */

struct VfPrefetch {
  VfPusher *pusher;     /* borrowed; constant as all up to the bit sets */
  VfStore *store;       /* borrowed */
  VfImage *image;       /* owned: the one that the mount began with */
  VfLister *lister;     /* owned */
  VfLearning *learning; /* owned */

  guint32 last;           /* the directory that was touched last; atomic */
  guint32 last_group;     /* its group; atomic */
  gboolean tells_opening; /* this Python does, of modules: vf_prefetch_opened(); atomic */
  guint32 probed;         /* the package in which the lister looks for what is not there; atomic */

  /* Of the image's nodes. */
  VfBitSet touched; /* directories that were queued, and their groups */
  VfBitSet opened;  /* modules that were noted when somebody opened them */

  /* The lister's, as the next one. */
  VfBitSet groups;      /* those of the profile that were pushed */
  VfBitSet listed;      /* directories whose names were made known */
  VfBitSet foretold;    /* caches of packages whose extension modules were pushed ahead, until an
                           import comes there */
  VfImportOrder *order; /* owned; NULL while there is no import */
};

/* ---- What is touched */

/* Something in the directory is being imported. */
static void
touch (VfPrefetch *prefetch, guint32 directory)
{
  if (__atomic_exchange_n (&prefetch->last, directory, __ATOMIC_RELAXED) == directory)
    return;
  guint32 group = vf_profile_group_of (prefetch->image, directory);
  __atomic_store_n (&prefetch->last_group, group, __ATOMIC_RELAXED);
  if (vf_bit_set_add (&prefetch->touched, directory))
    return;
  vf_bit_set_add (&prefetch->touched, group);
  vf_lister_queue (prefetch->lister, directory);
}

static gboolean
is_module (const char *name)
{
  return g_str_has_suffix (name, ".pyc");
}

static gboolean
is_extension (const char *name)
{
  return g_str_has_suffix (name, ".so");
}

static gboolean
is_code (const char *name)
{
  return is_module (name) || is_extension (name) || strstr (name, ".so.");
}

static void
note (VfPrefetch *prefetch, const VfImageNode *node, guint64 offset, guint64 size)
{
  /* What has no modules (numpy.libs) belongs to what was imported before. */
  guint32 group = vf_profile_group_of (prefetch->image, node->parent);
  guint32 last_group = __atomic_load_n (&prefetch->last_group, __ATOMIC_RELAXED);
  if (last_group != 0 && !vf_bit_set_has (&prefetch->touched, group))
    group = last_group;
  vf_learning_note (prefetch->learning, group, node, offset, size);
  vf_lister_wake (prefetch->lister);
}

void
vf_prefetch_note_read (VfPrefetch *prefetch, guint64 id, guint64 offset, gsize size)
{
  VfImageNode node;
  if (!prefetch || (id & VF_UPPER_BORN_BIT) || vf_image_find (prefetch->image, id, &node) < 0 ||
      node.type != VF_NODE_FILE || offset >= node.size)
    return;
  if (is_code (node.name))
    note (prefetch, &node, offset, size);
  else
    vf_learning_note_other (prefetch->learning);
}

void
vf_prefetch_found (VfPrefetch *prefetch, const char *name, const VfEntry *entry)
{
  VfImageNode node;
  if (!prefetch || entry->lower_index == 0 || !is_module (name))
    return;
  /* There will be no READ to learn from. */
  if (vf_pusher_is_unseen (prefetch->pusher, entry->lower_index) &&
      vf_image_get (prefetch->image, entry->lower_index, &node) == 0)
    note (prefetch, &node, 0, node.size);
}

void
vf_prefetch_opened (VfPrefetch *prefetch, guint64 id)
{
  VfImageNode node;
  if (!prefetch || (id & VF_UPPER_BORN_BIT) || vf_image_find (prefetch->image, id, &node) < 0 ||
      node.type != VF_NODE_FILE || !is_module (node.name))
    return;
  __atomic_store_n (&prefetch->tells_opening, TRUE, __ATOMIC_RELAXED);
  if (vf_bit_set_has (&prefetch->touched, node.parent) &&
      !vf_bit_set_add (&prefetch->opened, node.index))
    note (prefetch, &node, 0, node.size);
}

void
vf_prefetch_missed (VfPrefetch *prefetch, guint64 parent, const char *name)
{
  VfImageNode package, cache;
  if (!prefetch || !g_str_has_prefix (name, PROBE_PREFIX) || !is_extension (name) ||
      vf_image_find (prefetch->image, parent, &package) < 0 ||
      __atomic_load_n (&prefetch->probed, __ATOMIC_SEQ_CST) == package.index)
    return;
  vf_learning_note_probe (prefetch->learning, name);
  if (vf_image_lookup (prefetch->image, package.index, CACHE_NAME, strlen (CACHE_NAME), &cache) ==
          0 &&
      cache.type == VF_NODE_DIRECTORY)
    touch (prefetch, cache.index);
}

/* ---- What the lister does */

/* An upper bound; of what is not in the image, too. */
static guint64
bytes_of (const VfProfileRange *ranges, gsize n_ranges)
{
  guint64 bytes = 0;
  for (gsize i = 0; i < n_ranges; i++)
    bytes += (guint64)ranges[i].n_pages * VF_PROFILE_PAGE_BYTES;
  return bytes;
}

static void
push (VfPrefetch *prefetch, VfLister *lister, const VfProfileRange *ranges, gsize n_ranges)
{
  g_autofree char *name = vf_pusher_offer (prefetch->pusher, ranges, n_ranges);
  vf_lister_list (lister, name);
}

/* All that @is_wanted in a directory and not large, whole. */
static void
add_modules (VfPrefetch *prefetch, const VfImageNode *directory,
             gboolean (*is_wanted) (const char *name), GArray *ranges)
{
  for (guint32 i = 0; i < directory->n_children; i++) {
    VfImageNode node;
    VfProfileRange range = {.node = directory->first_child + i};
    if (vf_image_get (prefetch->image, range.node, &node) < 0 || !is_wanted (node.name) ||
        node.size > MODULE_BYTES)
      continue;
    range.n_pages = (guint32)(node.size / VF_PROFILE_PAGE_BYTES) + 1;
    g_array_append_val (ranges, range);
  }
}

/* The compiled modules of a package, and if there is time, its extension modules: an import that is
 * there already asks for these before they could be pushed. How many bytes that is. */
static guint64
push_directory (VfPrefetch *prefetch, VfLister *lister, const VfImageNode *cache, gboolean ahead)
{
  g_autoptr (GArray) ranges = g_array_new (FALSE, FALSE, sizeof (VfProfileRange));
  VfImageNode package;
  add_modules (prefetch, cache, is_module, ranges);
  if (ahead && vf_image_get (prefetch->image, cache->parent, &package) == 0)
    add_modules (prefetch, &package, is_extension, ranges);
  push (prefetch, lister, (const VfProfileRange *)ranges->data, ranges->len);
  return bytes_of ((const VfProfileRange *)ranges->data, ranges->len);
}

static void
list_real (VfPrefetch *prefetch, VfLister *lister, const VfImageNode *directory)
{
  g_autofree char *path = vf_image_path_of (prefetch->image, directory);
  if (!path)
    return;
  vf_lister_list (lister, path);
  /* Listing it made the kernel forget its atime: it asks now, so that nobody else waits for that.
   */
  vf_lister_look_up (lister, path);
}

/* Makes known by which names there is no `__init__`, but for the first @n_asked, which an import
 * asks for first. */
static void
miss_probes (VfPrefetch *prefetch, VfLister *lister, const VfImageNode *package, guint n_asked)
{
  g_autofree char *path = vf_image_path_of (prefetch->image, package);
  const char *probe;
  __atomic_store_n (&prefetch->probed, package->index, __ATOMIC_SEQ_CST);
  for (guint i = n_asked; path && (probe = vf_learning_probe (prefetch->learning, i)); i++) {
    g_autofree char *name = g_build_filename (path, probe, NULL);
    vf_lister_look_up (lister, name);
  }
  __atomic_store_n (&prefetch->probed, 0, __ATOMIC_SEQ_CST);
}

/* Makes the names in a directory known, once, and, if it is a cache, before that those in the
 * package that holds it. @n_asked: of its probes, see miss_probes(). */
static void
list_package (VfPrefetch *prefetch, VfLister *lister, guint32 directory, guint n_asked)
{
  VfImageNode node, package;
  if (vf_image_get (prefetch->image, directory, &node) < 0 ||
      vf_bit_set_add (&prefetch->listed, directory))
    return;
  if (strcmp (node.name, CACHE_NAME) == 0 &&
      vf_image_get (prefetch->image, node.parent, &package) == 0) {
    list_real (prefetch, lister, &package);
    miss_probes (prefetch, lister, &package, n_asked);
  }
  list_real (prefetch, lister, &node);
}

/* Whether that directory is what a group is known by, or its cache. */
static gboolean
is_top (VfPrefetch *prefetch, guint32 group, guint32 directory)
{
  VfImageNode node;
  return directory == group ||
         (vf_image_get (prefetch->image, directory, &node) == 0 && node.parent == group);
}

static gboolean
has_top (VfPrefetch *prefetch, const VfProfileRange *ranges, gsize n_ranges)
{
  VfImageNode node;
  for (gsize i = 0; i < n_ranges; i++)
    if (vf_image_get (prefetch->image, ranges[i].node, &node) == 0 &&
        is_top (prefetch, ranges[i].group, node.parent))
      return TRUE;
  return FALSE;
}

/* Pushes a group, once, and then makes its names known, too. When that is done @ahead of an import,
 * one probe of its top package is left, or of the first where that is no package: nothing else
 * would tell that the import has come there. What is large waits until it has. */
static void
list_group (VfPrefetch *prefetch, VfLister *lister, const VfProfile *profile, guint32 group,
            gboolean ahead)
{
  gsize n;
  const VfProfileRange *ranges = vf_profile_group (profile, group, &n);
  if (!ranges || group >= vf_image_n_nodes (prefetch->image) ||
      (ahead && bytes_of (ranges, n) > AHEAD_BYTES) || vf_bit_set_add (&prefetch->groups, group))
    return;
  push (prefetch, lister, ranges, n);
  gboolean top = has_top (prefetch, ranges, n);
  for (gsize i = 0; i < n; i++) {
    VfImageNode node;
    if (vf_image_get (prefetch->image, ranges[i].node, &node) == 0)
      list_package (prefetch, lister, node.parent,
                    ahead && (top ? is_top (prefetch, group, node.parent) : i == 0) ? 1 : 0);
  }
}

/* What is known of its group, or else the directory itself. @ahead: as above. How many bytes of the
 * directory itself were pushed. */
static guint64
list_directory (VfPrefetch *prefetch, VfLister *lister, const VfProfile *profile, guint32 directory,
                gboolean ahead)
{
  VfImageNode node;
  list_group (prefetch, lister, profile, vf_profile_group_of (prefetch->image, directory), ahead);
  if (vf_image_get (prefetch->image, directory, &node) < 0 ||
      vf_bit_set_has (&prefetch->listed, directory) || (!ahead && node.n_children < FEW))
    return 0;
  guint64 bytes = push_directory (prefetch, lister, &node, ahead);
  if (ahead)
    vf_bit_set_add (&prefetch->foretold, directory);
  list_package (prefetch, lister, directory, ahead ? 1 : 0);
  return bytes;
}

/* As the modules say. */
static void
list_foretold (VfPrefetch *prefetch, VfLister *lister, const VfProfile *profile, guint32 directory)
{
  guint32 next;
  guint n = 0;
  guint64 bytes = 0;
  if (!prefetch->order)
    prefetch->order = vf_import_order_new (prefetch->store, prefetch->image);
  vf_import_order_start (prefetch->order, directory);
  while (n < AHEAD && bytes < AHEAD_BYTES && !vf_lister_has_more (lister) &&
         vf_import_order_next (prefetch->order, &next)) {
    if (next == 0 || vf_bit_set_has (&prefetch->listed, next))
      continue;
    bytes += list_directory (prefetch, lister, profile, next, TRUE);
    n++;
  }
}

/* What an import that has come to @directory goes on to: as it was the last time, or, where that is
 * not known, as the modules say. */
static void
list_ahead (VfPrefetch *prefetch, VfLister *lister, const VfProfile *profile, guint32 directory)
{
  guint32 next = vf_profile_next_group (profile, vf_profile_group_of (prefetch->image, directory));
  if (next != 0)
    list_group (prefetch, lister, profile, next, TRUE);
  else
    list_foretold (prefetch, lister, profile, directory);
}

/* An import has come to a directory of which was pushed what it may need: no READ will tell what
 * it does. It never shows that it comes to single modules beside the packages; these are learnt
 * when they are read on a later mount. */
static void
note_directory (VfPrefetch *prefetch, guint32 directory)
{
  g_autoptr (GArray) ranges = g_array_new (FALSE, FALSE, sizeof (VfProfileRange));
  guint32 group = vf_profile_group_of (prefetch->image, directory);
  VfImageNode cache, package, node;
  if (vf_image_get (prefetch->image, directory, &cache) < 0 ||
      vf_image_get (prefetch->image, cache.parent, &package) < 0)
    return;
  if (!__atomic_load_n (&prefetch->tells_opening, __ATOMIC_RELAXED))
    add_modules (prefetch, &cache, is_module, ranges);
  if (vf_bit_set_remove (&prefetch->foretold, directory))
    add_modules (prefetch, &package, is_extension, ranges);
  for (guint i = 0; i < ranges->len; i++)
    if (vf_image_get (prefetch->image, g_array_index (ranges, VfProfileRange, i).node, &node) == 0)
      vf_learning_note (prefetch->learning, group, &node, 0, node.size);
}

static void
list_for (VfLister *lister, guint32 directory, gpointer user_data)
{
  VfPrefetch *prefetch = user_data;
  g_autoptr (VfProfile) profile = vf_learning_profile (prefetch->learning);
  list_directory (prefetch, lister, profile, directory, FALSE);
  note_directory (prefetch, directory);
  if (!vf_lister_has_more (lister))
    list_ahead (prefetch, lister, profile, directory);
}

static void
lister_idle (gpointer user_data)
{
  VfPrefetch *prefetch = user_data;
  vf_learning_write (prefetch->learning);
  g_clear_pointer (&prefetch->order, vf_import_order_free);
}

VfPrefetch *
vf_prefetch_new (VfSession *session, int parent_fd, const char *mount_name)
{
  VfPrefetch *prefetch = g_new0 (VfPrefetch, 1);
  prefetch->store = vf_overlay_store (session->overlay);
  prefetch->pusher = session->pusher;
  prefetch->image = vf_image_ref (vf_overlay_image (session->overlay));
  vf_bit_set_init (&prefetch->touched, vf_image_n_nodes (prefetch->image));
  vf_bit_set_init (&prefetch->opened, vf_image_n_nodes (prefetch->image));
  vf_bit_set_init (&prefetch->groups, vf_image_n_nodes (prefetch->image));
  vf_bit_set_init (&prefetch->listed, vf_image_n_nodes (prefetch->image));
  vf_bit_set_init (&prefetch->foretold, vf_image_n_nodes (prefetch->image));
  prefetch->learning = vf_learning_new (prefetch->store, vf_image_id (prefetch->image));
  prefetch->lister = vf_lister_new (parent_fd, mount_name, vf_store_fd (prefetch->store), list_for,
                                    lister_idle, prefetch);
  return prefetch;
}

void
vf_prefetch_free (VfPrefetch *prefetch)
{
  if (!prefetch)
    return;
  vf_lister_free (prefetch->lister);
  vf_learning_write (prefetch->learning);
  vf_learning_free (prefetch->learning);
  vf_bit_set_clear (&prefetch->groups);
  vf_bit_set_clear (&prefetch->listed);
  vf_bit_set_clear (&prefetch->foretold);
  vf_import_order_free (prefetch->order);
  vf_bit_set_clear (&prefetch->touched);
  vf_bit_set_clear (&prefetch->opened);
  vf_image_unref (prefetch->image);
  g_free (prefetch);
}

#include "fs/prefetch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/bit-set.h"
#include "fs/learning.h"
#include "fs/lister.h"
#include "fs/upper.h"
#include "fs/warming.h"
#include "layers/io.h"

/* A hidden directory's id: these bits, which no node has both (fs/upper.h, fs/lower.c), whether it
 * is a group, and the index of a directory. */
#define HIDDEN_BITS  (G_GUINT64_CONSTANT (3) << 62)
#define GROUP_BIT    (G_GUINT64_CONSTANT (1) << 32)
#define CACHE_NAME   "__pycache__"
#define PROBE_PREFIX "__init__."
#define FEW          3         /* modules for which it is not worth the while */
#define MODULE_BYTES (1 << 20) /* larger ones are read as they are needed */
#define PUSH_BYTES   (1 << 20) /* at a time */
#define FOR_EVER     1e9

struct VfPrefetch {
  VfSession *session;
  VfImage *image;       /* owned: the one that the mount began with */
  VfLister *lister;     /* owned; NULL: off */
  VfLearning *learning; /* owned */
  char *prefix;         /* of the names of hidden directories */

  guint32 last;       /* the directory that was touched last; atomic */
  guint32 last_group; /* its group; atomic */

  /* Of the image's nodes. */
  VfBitSet shown;  /* a file: the kernel may have a name for it; a directory: it was queued, or it
                      is the group of one that was */
  VfBitSet pushed; /* files whose pages may be the image's though they were never shown */
  VfBitSet opened; /* modules that were noted when somebody opened them */

  GMutex gate;    /* held for one push, or to take one back */
  gint64 pushing; /* the node that is being pushed, -1: none; atomic */

  GMutex pusher_lock;
  GThread *pusher; /* the last one, which may have ended: the lister waits for its answer, so there
                      is one at a time; [pusher_lock] */

  GHashTable *groups; /* those of the profile that were pushed; the lister's */
};

/* What is in a hidden directory is to be pushed, then @req to be answered. */
typedef struct {
  VfPrefetch *prefetch;
  VfProfile *profile; /* owned */
  guint64 id;
  fuse_req_t req;
} Push;

/* ---- What is touched and shown */

/* Something in the directory is being imported. */
static void
touch (VfPrefetch *prefetch, guint32 directory)
{
  if (__atomic_exchange_n (&prefetch->last, directory, __ATOMIC_RELAXED) == directory)
    return;
  guint32 group = vf_profile_group_of (prefetch->image, directory);
  __atomic_store_n (&prefetch->last_group, group, __ATOMIC_RELAXED);
  if (vf_bit_set_add (&prefetch->shown, directory))
    return;
  vf_bit_set_add (&prefetch->shown, group);
  vf_lister_queue (prefetch->lister, directory);
}

static gboolean
is_module (const char *name)
{
  return g_str_has_suffix (name, ".pyc");
}

static gboolean
is_code (const char *name)
{
  return is_module (name) || g_str_has_suffix (name, ".so") || strstr (name, ".so.");
}

static void
note (VfPrefetch *prefetch, const VfImageNode *node, guint64 offset, guint64 size)
{
  /* What has no modules (numpy.libs) belongs to what was imported before. */
  guint32 group = vf_profile_group_of (prefetch->image, node->parent);
  guint32 last_group = __atomic_load_n (&prefetch->last_group, __ATOMIC_RELAXED);
  if (last_group != 0 && !vf_bit_set_has (&prefetch->shown, group))
    group = last_group;
  vf_learning_note (prefetch->learning, group, node, offset, size);
  vf_lister_wake (prefetch->lister);
}

void
vf_prefetch_note_read (VfPrefetch *prefetch, guint64 id, guint64 offset, gsize size)
{
  VfImageNode node;
  if (!prefetch->lister || (id & VF_UPPER_BORN_BIT) ||
      vf_image_find (prefetch->image, id, &node) < 0 || node.type != VF_NODE_FILE ||
      offset >= node.size)
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
  if (!prefetch->lister || entry->lower_index == 0 || !is_module (name))
    return;
  /* There will be no READ to learn from. */
  if (vf_bit_set_has (&prefetch->pushed, entry->lower_index) &&
      !vf_bit_set_has (&prefetch->shown, entry->lower_index) &&
      vf_image_get (prefetch->image, entry->lower_index, &node) == 0)
    note (prefetch, &node, 0, node.size);
}

void
vf_prefetch_opened (VfPrefetch *prefetch, guint64 id)
{
  VfImageNode node;
  if (!prefetch->lister || (id & VF_UPPER_BORN_BIT) ||
      vf_image_find (prefetch->image, id, &node) < 0 || node.type != VF_NODE_FILE ||
      !is_module (node.name) || !vf_bit_set_has (&prefetch->shown, node.parent) ||
      vf_bit_set_add (&prefetch->opened, node.index))
    return;
  note (prefetch, &node, 0, node.size);
}

void
vf_prefetch_missed (VfPrefetch *prefetch, guint64 parent, const char *name)
{
  VfImageNode package, cache;
  if (!prefetch->lister || !g_str_has_prefix (name, PROBE_PREFIX) ||
      vf_image_find (prefetch->image, parent, &package) < 0)
    return;
  vf_learning_note_probe (prefetch->learning, name);
  if (vf_image_lookup (prefetch->image, package.index, CACHE_NAME, strlen (CACHE_NAME), &cache) ==
          0 &&
      cache.type == VF_NODE_DIRECTORY)
    touch (prefetch, cache.index);
}

/* Nobody has seen it yet, so no READ of it is under way, for whose page the kernel would wait. */
static void
take_back (VfPrefetch *prefetch, guint64 id, guint32 index)
{
  if (vf_bit_set_has (&prefetch->pushed, index))
    fuse_lowlevel_notify_inval_inode (prefetch->session->fuse, id, 0, 0);
  vf_bit_set_remove (&prefetch->pushed, index);
}

void
vf_prefetch_show (VfPrefetch *prefetch, const VfEntry *entry)
{
  VfImageNode node = {.index = entry->lower_index};
  /* What has another id than the image's own was never pushed, whatever stands for that one. */
  if (!prefetch->lister || !S_ISREG (entry->st.st_mode) || (entry->id & HIDDEN_BITS) || entry->view)
    return;
  if (node.index == 0 && vf_image_find (prefetch->image, entry->id, &node) < 0)
    return;
  gboolean is_changed = entry->lower_index == 0;
  vf_bit_set_add (&prefetch->shown, node.index);
  gboolean is_being_pushed =
      __atomic_load_n (&prefetch->pushing, __ATOMIC_SEQ_CST) == (gint64)node.index;
  if (!is_being_pushed && !vf_bit_set_has (&prefetch->pushed, node.index))
    return;
  /* Whoever shows the same file at this moment waits, too. */
  g_autoptr (GMutexLocker) locker =
      is_being_pushed || is_changed ? g_mutex_locker_new (&prefetch->gate) : NULL;
  if (is_changed)
    take_back (prefetch, entry->id, node.index);
  else
    vf_bit_set_remove (&prefetch->pushed, node.index);
}

/* ---- What the lister does */

static void
list_hidden (VfPrefetch *prefetch, VfLister *lister, guint64 number)
{
  g_autofree char *name = g_strdup_printf ("%s%" G_GINT64_MODIFIER "x", prefetch->prefix, number);
  vf_lister_list (lister, name);
}

static void
list_real (VfPrefetch *prefetch, VfLister *lister, const VfImageNode *directory)
{
  g_autofree char *path = vf_image_path_of (prefetch->image, directory);
  if (path)
    vf_lister_list (lister, path);
}

/* Makes known by which names there is no `__init__`. */
static void
miss_probes (VfPrefetch *prefetch, VfLister *lister, const VfImageNode *package)
{
  g_autofree char *path = vf_image_path_of (prefetch->image, package);
  const char *probe;
  for (guint i = 0; path && (probe = vf_learning_probe (prefetch->learning, i)); i++) {
    g_autofree char *name = g_build_filename (path, probe, NULL);
    vf_lister_look_up (lister, name);
  }
}

/* Makes the names in a directory known, and, if it is a cache, before that those in the one that
 * holds it. */
static void
list_package (VfPrefetch *prefetch, VfLister *lister, guint32 directory)
{
  VfImageNode node, package;
  if (vf_image_get (prefetch->image, directory, &node) < 0)
    return;
  if (strcmp (node.name, CACHE_NAME) == 0 &&
      vf_image_get (prefetch->image, node.parent, &package) == 0) {
    list_real (prefetch, lister, &package);
    miss_probes (prefetch, lister, &package);
  }
  list_real (prefetch, lister, &node);
}

/* Pushes a group and then makes its names known, too. TRUE if it has something of @directory. */
static gboolean
list_group (VfPrefetch *prefetch, VfLister *lister, const VfProfile *profile, guint32 group,
            guint32 directory)
{
  gsize n;
  const VfProfileRange *ranges = vf_profile_group (profile, group, &n);
  gboolean is_new = ranges && g_hash_table_add (prefetch->groups, GUINT_TO_POINTER (group));
  gboolean has_directory = FALSE;
  guint32 last = 0;
  if (is_new)
    list_hidden (prefetch, lister, GROUP_BIT | group);
  for (gsize i = 0; i < n; i++) {
    VfImageNode node;
    if (vf_image_get (prefetch->image, ranges[i].node, &node) < 0)
      continue;
    has_directory |= node.parent == directory;
    if (is_new && node.parent != last)
      list_package (prefetch, lister, node.parent);
    last = node.parent;
  }
  return has_directory;
}

static void
list_for (VfLister *lister, guint32 directory, gpointer user_data)
{
  VfPrefetch *prefetch = user_data;
  g_autoptr (VfProfile) profile = vf_learning_profile (prefetch->learning);
  guint32 group = vf_profile_group_of (prefetch->image, directory);
  VfImageNode node;
  if (list_group (prefetch, lister, profile, group, directory) ||
      vf_image_get (prefetch->image, directory, &node) < 0 || node.n_children < FEW)
    return;
  list_hidden (prefetch, lister, directory);
  list_package (prefetch, lister, directory);
}

static void
lister_idle (gpointer user_data)
{
  VfPrefetch *prefetch = user_data;
  vf_learning_write (prefetch->learning);
}

/* ---- Hidden directories */

gboolean
vf_prefetch_is_hidden (guint64 id)
{
  return (id & HIDDEN_BITS) == HIDDEN_BITS;
}

gboolean
vf_prefetch_lookup (VfPrefetch *prefetch, const char *name, struct fuse_entry_param *out_parameter)
{
  if (!g_str_has_prefix (name, prefetch->prefix))
    return FALSE;
  guint64 id = HIDDEN_BITS | g_ascii_strtoull (name + strlen (prefetch->prefix), NULL, 16);
  *out_parameter = (struct fuse_entry_param){.ino = id,
                                             .attr.st_ino = id,
                                             .attr.st_mode = S_IFDIR | 0500,
                                             .attr.st_nlink = 2,
                                             .attr.st_uid = geteuid (),
                                             .attr.st_gid = getegid (),
                                             .attr_timeout = FOR_EVER,
                                             .entry_timeout = FOR_EVER};
  return TRUE;
}

/* The entry at @position of a hidden directory, and which pages of it are wanted. FALSE behind the
 * last. */
static gboolean
entry_at (VfPrefetch *prefetch, const VfProfile *profile, guint64 id, guint64 position,
          VfImageNode *out_node, VfProfileRange *out_range)
{
  VfImageNode directory;
  memset (out_node, 0, sizeof *out_node);
  if (id & GROUP_BIT) {
    gsize n;
    const VfProfileRange *ranges = vf_profile_group (profile, (guint32)id, &n);
    if (position >= n)
      return FALSE;
    *out_range = ranges[position];
    vf_image_get (prefetch->image, out_range->node, out_node);
    return TRUE;
  }
  if (vf_image_get (prefetch->image, (guint32)id, &directory) < 0 ||
      position >= directory.n_children)
    return FALSE;
  *out_range = (VfProfileRange){.n_pages = MODULE_BYTES / VF_PROFILE_PAGE_BYTES};
  if (vf_image_get (prefetch->image, directory.first_child + (guint32)position, out_node) == 0 &&
      out_node->size > MODULE_BYTES)
    memset (out_node, 0, sizeof *out_node);
  return TRUE;
}

static gboolean
is_wanted (VfPrefetch *prefetch, const VfImageNode *node)
{
  return node->type == VF_NODE_FILE && node->has_digest && node->size > 0 &&
         !vf_bit_set_has (&prefetch->shown, node->index);
}

/* From the object itself: by its id the overlay would take the node for the image's and remember
 * that. Holds: gate, while it is this node's. */
static void
push_pages (VfPrefetch *prefetch, const VfImageNode *node, const VfProfileRange *range,
            char *buffer)
{
  guint64 offset = (guint64)range->first_page * VF_PROFILE_PAGE_BYTES;
  guint64 end = MIN (offset + (guint64)range->n_pages * VF_PROFILE_PAGE_BYTES, node->size);
  VfExtent content;
  if (offset >= end ||
      vf_object_open (vf_overlay_store (prefetch->session->overlay), &node->digest, &content) < 0)
    return;
  VF_AUTOFD fd = content.fd;
  while (offset < end) {
    struct fuse_bufvec vector = FUSE_BUFVEC_INIT (MIN (end - offset, PUSH_BYTES));
    gsize size = vector.buf[0].size;
    vector.buf[0].mem = buffer;
    if (pread (fd, buffer, size, content.offset + (goffset)offset) != (ssize_t)size ||
        fuse_lowlevel_notify_store (prefetch->session->fuse, node->id, (off_t)offset, &vector, 0) <
            0)
      return;
    offset += size;
  }
}

/* From the object itself, and before the first is pushed. */
static void
warm_all (VfPrefetch *prefetch, const VfProfile *profile, guint64 id)
{
  GArray *pieces = g_array_new (FALSE, FALSE, sizeof (VfWarmingPiece));
  VfImageNode node;
  VfProfileRange range;
  for (guint64 i = 0; entry_at (prefetch, profile, id, i, &node, &range); i++) {
    if (!is_wanted (prefetch, &node))
      continue;
    VfWarmingPiece piece = {.digest = node.digest,
                            .offset = (guint64)range.first_page * VF_PROFILE_PAGE_BYTES,
                            .length = (guint64)range.n_pages * VF_PROFILE_PAGE_BYTES};
    g_array_append_val (pieces, piece);
  }
  vf_warming_begin (vf_overlay_store (prefetch->session->overlay), pieces);
}

static void
push_all (VfPrefetch *prefetch, const VfProfile *profile, guint64 id)
{
  g_autofree char *buffer = g_malloc (PUSH_BYTES);
  VfImageNode node;
  VfProfileRange range;
  warm_all (prefetch, profile, id);
  for (guint64 i = 0; entry_at (prefetch, profile, id, i, &node, &range); i++) {
    if (!is_wanted (prefetch, &node))
      continue;
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&prefetch->gate);
    __atomic_store_n (&prefetch->pushing, node.index, __ATOMIC_SEQ_CST);
    if (is_wanted (prefetch, &node)) {
      vf_bit_set_add (&prefetch->pushed, node.index);
      push_pages (prefetch, &node, &range, buffer);
    }
    __atomic_store_n (&prefetch->pushing, -1, __ATOMIC_SEQ_CST);
  }
}

static gpointer
pusher_run (gpointer user_data)
{
  g_autofree Push *push = user_data;
  push_all (push->prefetch, push->profile, push->id);
  vf_profile_unref (push->profile);
  fuse_reply_buf (push->req, NULL, 0);
  return NULL;
}

/* In a thread of its own: there may be one worker only, and others wait for it. */
static void
begin_push (VfPrefetch *prefetch, VfProfile *profile, guint64 id, fuse_req_t req)
{
  Push *push = g_new (Push, 1);
  *push = (Push){prefetch, vf_profile_ref (profile), id, req};
  g_mutex_lock (&prefetch->pusher_lock);
  g_clear_pointer (&prefetch->pusher, g_thread_join);
  prefetch->pusher = g_thread_try_new ("venvfs-pusher", pusher_run, push, NULL);
  gboolean is_running = prefetch->pusher != NULL;
  g_mutex_unlock (&prefetch->pusher_lock);
  if (!is_running)
    pusher_run (push);
}

void
vf_prefetch_list (VfPrefetch *prefetch, fuse_req_t req, guint64 id, char *buffer, gsize size,
                  guint64 offset)
{
  g_autoptr (VfProfile) profile = vf_learning_profile (prefetch->learning);
  gsize used = 0;
  VfImageNode node;
  VfProfileRange range;
  guint32 last = 0;
  for (guint64 i = offset; entry_at (prefetch, profile, id, i, &node, &range); i++) {
    VfEntry entry;
    if (!is_wanted (prefetch, &node) || node.index == last ||
        vf_overlay_getattr (prefetch->session->overlay, node.id, &entry) < 0)
      continue;
    /* Its attributes hold for no time: a lookup of the file may be under way whose answer knows of
     * a copy in the upper, or of another image, and the kernel keeps what it is told first. */
    struct fuse_entry_param parameter = {
        .ino = entry.id, .attr = entry.st, .entry_timeout = FOR_EVER};
    char name[16];
    g_snprintf (name, sizeof name, "%x", node.index);
    gsize needed =
        fuse_add_direntry_plus (req, buffer + used, size - used, name, &parameter, (off_t)i + 1);
    if (needed > size - used)
      break;
    used += needed;
    last = node.index;
  }
  if (used == 0 && offset > 0)
    begin_push (prefetch, profile, id, req);
  else
    fuse_reply_buf (req, buffer, used);
}

VfPrefetch *
vf_prefetch_new (VfSession *session, int parent_fd, const char *mount_name)
{
  VfPrefetch *prefetch = g_new0 (VfPrefetch, 1);
  prefetch->session = session;
  prefetch->image = vf_image_ref (vf_overlay_image (session->overlay));
  g_autofree char *token = g_uuid_string_random ();
  prefetch->prefix = g_strdup_printf (".venvfs-%s-", token);
  prefetch->pushing = -1;
  gsize n = vf_image_n_nodes (prefetch->image);
  vf_bit_set_init (&prefetch->shown, n);
  vf_bit_set_init (&prefetch->pushed, n);
  vf_bit_set_init (&prefetch->opened, n);
  prefetch->groups = g_hash_table_new (NULL, NULL);
  g_mutex_init (&prefetch->gate);
  g_mutex_init (&prefetch->pusher_lock);
  prefetch->learning =
      vf_learning_new (vf_overlay_store (session->overlay), vf_image_id (prefetch->image));
  if (parent_fd >= 0 && g_strcmp0 (g_getenv ("VENVFS_PREFETCH"), "0") != 0)
    prefetch->lister =
        vf_lister_new (parent_fd, mount_name, vf_store_fd (vf_overlay_store (session->overlay)),
                       list_for, lister_idle, prefetch);
  return prefetch;
}

void
vf_prefetch_stop (VfPrefetch *prefetch)
{
  if (!prefetch)
    return;
  g_mutex_lock (&prefetch->pusher_lock);
  g_clear_pointer (&prefetch->pusher, g_thread_join);
  g_mutex_unlock (&prefetch->pusher_lock);
}

void
vf_prefetch_free (VfPrefetch *prefetch)
{
  if (!prefetch)
    return;
  vf_lister_free (prefetch->lister);
  vf_learning_write (prefetch->learning);
  vf_learning_free (prefetch->learning);
  g_hash_table_unref (prefetch->groups);
  g_mutex_clear (&prefetch->gate);
  g_mutex_clear (&prefetch->pusher_lock);
  vf_bit_set_clear (&prefetch->shown);
  vf_bit_set_clear (&prefetch->pushed);
  vf_bit_set_clear (&prefetch->opened);
  g_free (prefetch->prefix);
  vf_image_unref (prefetch->image);
  g_free (prefetch);
}

#include "fs/pusher.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/bit-set.h"
#include "fs/warming.h"
#include "layers/io.h"

/* A hidden directory's id: these bits, which no node has both (fs/upper.h, fs/lower.c), and the
 * number of the offer. */
#define HIDDEN_BITS (G_GUINT64_CONSTANT (3) << 62)
#define PUSH_BYTES  (1 << 20) /* at a time */
#define FOR_EVER    1e9

struct VfPusher {
  VfSession *session; /* borrowed; constant as the next two */
  VfImage *image;     /* owned: the one that the mount began with */
  char *prefix;       /* of the names of hidden directories */

  /* Of the image's nodes. */
  VfBitSet shown;  /* the kernel may have a name for it */
  VfBitSet pushed; /* its pages may be the image's though it was never shown */

  gboolean stop;  /* atomic */
  GMutex gate;    /* held for one push, or to take one back */
  gint64 pushing; /* the node that is being pushed, -1: none; atomic */

  GMutex lock;
  guint64 number;  /* of the offer; [lock] */
  GArray *offer;   /* of VfProfileRange, not changed any more; NULL: none; [lock] */
  GThread *thread; /* the last one, which may have ended: whoever lists waits for its answer, so
                      there is one at a time; [lock] */
};

/* What is in @offer is to be pushed, then @req to be answered. */
typedef struct {
  VfPusher *pusher;
  GArray *offer; /* owned */
  fuse_req_t req;
} Push;

/* ---- What is shown */

gboolean
vf_pusher_is_unseen (VfPusher *pusher, guint32 index)
{
  return vf_bit_set_has (&pusher->pushed, index) && !vf_bit_set_has (&pusher->shown, index);
}

/* Nobody has seen it yet, so no READ of it is under way, for whose page the kernel would wait. */
static void
take_back (VfPusher *pusher, guint64 id, guint32 index)
{
  if (vf_bit_set_has (&pusher->pushed, index))
    fuse_lowlevel_notify_inval_inode (pusher->session->fuse, id, 0, 0);
  vf_bit_set_remove (&pusher->pushed, index);
}

void
vf_pusher_show (VfPusher *pusher, const VfEntry *entry)
{
  VfImageNode node = {.index = entry->lower_index};
  /* What has another id than the image's own was never pushed, whatever stands for that one. */
  if (!pusher || !S_ISREG (entry->st.st_mode) || (entry->id & HIDDEN_BITS) || entry->view)
    return;
  if (node.index == 0 && vf_image_find (pusher->image, entry->id, &node) < 0)
    return;
  gboolean is_changed = entry->lower_index == 0;
  vf_bit_set_add (&pusher->shown, node.index);
  gboolean is_being_pushed =
      __atomic_load_n (&pusher->pushing, __ATOMIC_SEQ_CST) == (gint64)node.index;
  if (!is_being_pushed && !vf_bit_set_has (&pusher->pushed, node.index))
    return;
  /* Whoever shows the same file at this moment waits, too. */
  g_autoptr (GMutexLocker) locker =
      is_being_pushed || is_changed ? g_mutex_locker_new (&pusher->gate) : NULL;
  if (is_changed)
    take_back (pusher, entry->id, node.index);
  else
    vf_bit_set_remove (&pusher->pushed, node.index);
}

/* FALSE if there is no such file, or no need of it. */
static gboolean
get_wanted (VfPusher *pusher, const VfProfileRange *range, VfImageNode *out_node)
{
  return vf_image_get (pusher->image, range->node, out_node) == 0 &&
         out_node->type == VF_NODE_FILE && out_node->has_digest && out_node->size > 0 &&
         !vf_bit_set_has (&pusher->shown, out_node->index);
}

/* ---- Pushing */

/* From the object itself: by its id the overlay would take the node for the image's and remember
 * that. Holds: gate, while it is this node's. */
static void
push_pages (VfPusher *pusher, const VfImageNode *node, const VfProfileRange *range, char *buffer)
{
  guint64 offset = (guint64)range->first_page * VF_PROFILE_PAGE_BYTES;
  guint64 end = MIN (offset + (guint64)range->n_pages * VF_PROFILE_PAGE_BYTES, node->size);
  VfExtent content;
  if (offset >= end ||
      vf_object_open (vf_overlay_store (pusher->session->overlay), &node->digest, &content) < 0)
    return;
  VF_AUTOFD fd = content.fd;
  while (offset < end) {
    struct fuse_bufvec vector = FUSE_BUFVEC_INIT (MIN (end - offset, PUSH_BYTES));
    gsize size = vector.buf[0].size;
    vector.buf[0].mem = buffer;
    if (pread (fd, buffer, size, content.offset + (goffset)offset) != (ssize_t)size ||
        fuse_lowlevel_notify_store (pusher->session->fuse, node->id, (off_t)offset, &vector, 0) < 0)
      return;
    offset += size;
  }
}

/* From the object itself, and before the first is pushed. */
static void
warm_all (VfPusher *pusher, const GArray *offer)
{
  GArray *pieces = g_array_new (FALSE, FALSE, sizeof (VfWarmingPiece));
  VfImageNode node;
  for (guint i = 0; i < offer->len; i++) {
    const VfProfileRange *range = &g_array_index (offer, VfProfileRange, i);
    if (!get_wanted (pusher, range, &node))
      continue;
    VfWarmingPiece piece = {.digest = node.digest,
                            .offset = (guint64)range->first_page * VF_PROFILE_PAGE_BYTES,
                            .length = (guint64)range->n_pages * VF_PROFILE_PAGE_BYTES};
    g_array_append_val (pieces, piece);
  }
  vf_warming_begin (vf_overlay_store (pusher->session->overlay), pieces);
}

static void
push_all (VfPusher *pusher, const GArray *offer)
{
  g_autofree char *buffer = g_malloc (PUSH_BYTES);
  VfImageNode node;
  warm_all (pusher, offer);
  for (guint i = 0; i < offer->len && !g_atomic_int_get (&pusher->stop); i++) {
    const VfProfileRange *range = &g_array_index (offer, VfProfileRange, i);
    if (!get_wanted (pusher, range, &node))
      continue;
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pusher->gate);
    __atomic_store_n (&pusher->pushing, node.index, __ATOMIC_SEQ_CST);
    if (get_wanted (pusher, range, &node)) {
      vf_bit_set_add (&pusher->pushed, node.index);
      push_pages (pusher, &node, range, buffer);
    }
    __atomic_store_n (&pusher->pushing, -1, __ATOMIC_SEQ_CST);
  }
}

static gpointer
push_run (gpointer user_data)
{
  g_autofree Push *push = user_data;
  push_all (push->pusher, push->offer);
  g_array_unref (push->offer);
  fuse_reply_buf (push->req, NULL, 0);
  return NULL;
}

/* In a thread of its own: there may be one worker only, and others wait for it. */
static void
begin_push (VfPusher *pusher, GArray *offer, fuse_req_t req)
{
  Push *push = g_new (Push, 1);
  *push = (Push){pusher, g_array_ref (offer), req};
  g_mutex_lock (&pusher->lock);
  if (pusher->offer == offer)
    g_clear_pointer (&pusher->offer, g_array_unref);
  g_clear_pointer (&pusher->thread, g_thread_join);
  pusher->thread = g_thread_try_new ("venvfs-pusher", push_run, push, NULL);
  gboolean is_running = pusher->thread != NULL;
  g_mutex_unlock (&pusher->lock);
  if (!is_running)
    push_run (push);
}

/* ---- Hidden directories */

char *
vf_pusher_offer (VfPusher *pusher, const VfProfileRange *ranges, gsize n_ranges)
{
  GArray *offer = g_array_new (FALSE, FALSE, sizeof (VfProfileRange));
  g_array_append_vals (offer, ranges, (guint)n_ranges);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pusher->lock);
  g_clear_pointer (&pusher->offer, g_array_unref);
  pusher->offer = offer;
  pusher->number++;
  return g_strdup_printf ("%s%" G_GINT64_MODIFIER "x", pusher->prefix, pusher->number);
}

/* The caller's reference; NULL if @id is not that of the last offer. */
static GArray *
find_offer (VfPusher *pusher, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&pusher->lock);
  return id == (HIDDEN_BITS | pusher->number) && pusher->offer ? g_array_ref (pusher->offer) : NULL;
}

gboolean
vf_pusher_is_hidden (guint64 id)
{
  return (id & HIDDEN_BITS) == HIDDEN_BITS;
}

gboolean
vf_pusher_lookup (VfPusher *pusher, const char *name, struct fuse_entry_param *out_parameter)
{
  if (!pusher || !g_str_has_prefix (name, pusher->prefix))
    return FALSE;
  guint64 id = HIDDEN_BITS | g_ascii_strtoull (name + strlen (pusher->prefix), NULL, 16);
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

/* The entries behind @offset, as many as fit: what was written to @buffer. */
static gsize
add_entries (VfPusher *pusher, fuse_req_t req, const GArray *offer, char *buffer, gsize size,
             guint64 offset)
{
  gsize used = 0;
  VfImageNode node;
  guint32 last = 0;
  for (guint64 i = offset; i < offer->len; i++) {
    VfEntry entry;
    if (!get_wanted (pusher, &g_array_index (offer, VfProfileRange, i), &node) ||
        node.index == last || vf_overlay_getattr (pusher->session->overlay, node.id, &entry) < 0)
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
  return used;
}

void
vf_pusher_list (VfPusher *pusher, fuse_req_t req, guint64 id, char *buffer, gsize size,
                guint64 offset)
{
  g_autoptr (GArray) offer = pusher ? find_offer (pusher, id) : NULL;
  gsize used = offer ? add_entries (pusher, req, offer, buffer, size, offset) : 0;
  if (offer && used == 0 && offset > 0)
    begin_push (pusher, offer, req);
  else
    fuse_reply_buf (req, buffer, used);
}

VfPusher *
vf_pusher_new (VfSession *session)
{
  VfPusher *pusher = g_new0 (VfPusher, 1);
  pusher->session = session;
  pusher->image = vf_image_ref (vf_overlay_image (session->overlay));
  g_autofree char *token = g_uuid_string_random ();
  pusher->prefix = g_strdup_printf (".venvfs-%s-", token);
  pusher->pushing = -1;
  vf_bit_set_init (&pusher->shown, vf_image_n_nodes (pusher->image));
  vf_bit_set_init (&pusher->pushed, vf_image_n_nodes (pusher->image));
  g_mutex_init (&pusher->gate);
  g_mutex_init (&pusher->lock);
  return pusher;
}

void
vf_pusher_stop (VfPusher *pusher)
{
  if (!pusher)
    return;
  g_atomic_int_set (&pusher->stop, TRUE);
  g_mutex_lock (&pusher->lock);
  g_clear_pointer (&pusher->thread, g_thread_join);
  g_mutex_unlock (&pusher->lock);
}

void
vf_pusher_free (VfPusher *pusher)
{
  if (!pusher)
    return;
  g_clear_pointer (&pusher->offer, g_array_unref);
  g_mutex_clear (&pusher->gate);
  g_mutex_clear (&pusher->lock);
  vf_bit_set_clear (&pusher->shown);
  vf_bit_set_clear (&pusher->pushed);
  g_free (pusher->prefix);
  vf_image_unref (pusher->image);
  g_free (pusher);
}

#include "fs/upper.h"

#include <string.h>

/* The key is the record itself: `id` comes first. */
typedef struct {
  guint64 id;
  guint64 parent;
  guint64 ino;
  guint64 n_lookups;
  guint32 n_children; /* records that name this one as their parent */
  gint32 n_directories;
  guint16 flags;
  guint16 pinned;
  char name[];
} Record;

typedef struct {
  guint64 ino;
  guint64 id;
} Unmarked;

struct VfUpper {
  GMutex lock;
  GHashTable *records;  /* set of Record, by id */
  GHashTable *unmarked; /* set of Unmarked, by ino */
  gboolean twins;       /* a directory may have more than one record */
};

static Record *
record_find (VfUpper *upper, guint64 id)
{
  return g_hash_table_lookup (upper->records, &id);
}

static void
parent_ref (VfUpper *upper, guint64 parent)
{
  Record *record = record_find (upper, parent);
  if (record)
    record->n_children++;
}

static void
record_delete (VfUpper *upper, Record *record)
{
  if (record->flags & VF_UPPER_UNMARKED)
    g_hash_table_remove (upper->unmarked, &record->ino);
  g_hash_table_remove (upper->records, record);
}

static gboolean
record_is_held (const Record *record)
{
  if (record->id == VF_UPPER_ROOT || record->n_lookups > 0 || record->n_children > 0)
    return TRUE;
  if (record->flags & VF_UPPER_UNCOUNTED)
    return TRUE;
  return (record->flags & VF_UPPER_UNMARKED) && !(record->flags & VF_UPPER_ORPHAN);
}

/* Drops the record if nothing holds it, and then, since it no longer names them, the parents for
 * which the same has become true. */
static void
record_settle (VfUpper *upper, Record *record)
{
  while (record && !record_is_held (record)) {
    Record *parent = record_find (upper, record->parent);
    record_delete (upper, record);
    if (parent && parent->n_children > 0)
      parent->n_children--;
    record = parent;
  }
}

static void
parent_unref (VfUpper *upper, guint64 parent)
{
  Record *record = record_find (upper, parent);
  if (!record || record->n_children == 0)
    return;
  record->n_children--;
  record_settle (upper, record);
}

static Record *
record_add (VfUpper *upper, const VfUpperNode *node, const char *name)
{
  gsize length = strlen (name);
  Record *record = g_malloc0 (sizeof *record + length + 1);
  record->id = node->id;
  record->parent = node->parent;
  record->ino = node->ino;
  record->flags = node->flags;
  record->pinned = node->pinned;
  record->n_directories = -1;
  memcpy (record->name, name, length + 1);
  g_hash_table_add (upper->records, record);
  parent_ref (upper, record->parent);
  return record;
}

VfUpper *
vf_upper_new (void)
{
  VfUpper *upper = g_new0 (VfUpper, 1);
  g_mutex_init (&upper->lock);
  upper->records = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  upper->unmarked = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  VfUpperNode root = {.id = VF_UPPER_ROOT, .flags = VF_UPPER_PRESENT | VF_UPPER_DIRECTORY};
  record_add (upper, &root, "");
  return upper;
}

void
vf_upper_free (VfUpper *upper)
{
  if (!upper)
    return;
  g_hash_table_unref (upper->unmarked);
  g_hash_table_unref (upper->records);
  g_mutex_clear (&upper->lock);
  g_free (upper);
}

static void
node_fill (const Record *record, VfUpperNode *out_node)
{
  *out_node = (VfUpperNode){.id = record->id,
                            .parent = record->parent,
                            .ino = record->ino,
                            .flags = record->flags,
                            .pinned = record->pinned};
}

gboolean
vf_upper_get (VfUpper *upper, guint64 id, VfUpperNode *out_node)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  const Record *record = record_find (upper, id);
  if (!record)
    return FALSE;
  node_fill (record, out_node);
  return TRUE;
}

gboolean
vf_upper_place (VfUpper *upper, guint64 id, VfUpperNode *out_node, char out_name[VF_NAME_BYTES])
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  const Record *record = record_find (upper, id);
  if (!record)
    return FALSE;
  node_fill (record, out_node);
  g_strlcpy (out_name, record->name, VF_NAME_BYTES);
  return TRUE;
}

static gboolean
is_same_directory (VfUpper *upper, guint64 a, guint64 b)
{
  if (a == b)
    return TRUE;
  const Record *left = record_find (upper, a), *right = record_find (upper, b);
  return left && right && left->ino != 0 && left->ino == right->ino;
}

gboolean
vf_upper_stands_at (VfUpper *upper, guint64 id, guint64 parent, const char *name)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  const Record *record = record_find (upper, id);
  return record && strcmp (record->name, name) == 0 &&
         is_same_directory (upper, record->parent, parent);
}

void
vf_upper_take (VfUpper *upper, const VfUpperNode *node, const char *name, guint64 n_lookups)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, node->id);
  if (!record)
    record = record_add (upper, node, name);
  record->n_lookups += n_lookups;
}

void
vf_upper_set (VfUpper *upper, guint64 id, guint16 set_flags, guint16 clear_flags)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (record)
    record->flags = (guint16)((record->flags & ~clear_flags) | set_flags);
}

void
vf_upper_set_ino (VfUpper *upper, guint64 id, guint64 ino)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (record)
    record->ino = ino;
}

void
vf_upper_keep_unmarked (VfUpper *upper, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (!record)
    return;
  record->flags |= VF_UPPER_UNMARKED;
  Unmarked *unmarked = g_new (Unmarked, 1);
  *unmarked = (Unmarked){.ino = record->ino, .id = id};
  g_hash_table_add (upper->unmarked, unmarked);
}

guint64
vf_upper_find_unmarked (VfUpper *upper, guint64 ino)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  const Unmarked *unmarked = g_hash_table_lookup (upper->unmarked, &ino);
  return unmarked ? unmarked->id : 0;
}

gboolean
vf_upper_is_remembered (VfUpper *upper, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  const Record *record = record_find (upper, id);
  return record && (record->n_lookups > 0 || (record->flags & VF_UPPER_UNCOUNTED));
}

void
vf_upper_pin (VfUpper *upper, guint64 id, guint16 pinned)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (record)
    record->pinned = pinned;
}

static void
record_move (VfUpper *upper, Record *record, guint64 parent, const char *name, guint16 flags)
{
  guint64 old_parent = record->parent;
  gsize length = strlen (name);
  Record *moved = g_malloc (sizeof *moved + length + 1);
  *moved = *record;
  moved->parent = parent;
  moved->flags = flags;
  memcpy (moved->name, name, length + 1);
  g_hash_table_replace (upper->records, moved, moved);
  parent_ref (upper, parent);
  parent_unref (upper, old_parent);
}

void
vf_upper_expect_twins (VfUpper *upper)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  upper->twins = TRUE;
}

/* The ids of the other records of a directory. */
static GArray *
find_twins (VfUpper *upper, const Record *record)
{
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (guint64));
  if (!upper->twins || !(record->flags & VF_UPPER_DIRECTORY) || record->ino == 0)
    return ids;
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, upper->records);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    const Record *other = key;
    if (other != record && other->ino == record->ino && (other->flags & VF_UPPER_DIRECTORY) &&
        !(other->flags & VF_UPPER_ORPHAN))
      g_array_append_val (ids, other->id);
  }
  return ids;
}

/* Their object is gone, or found by another id. */
static void
orphan_twins (VfUpper *upper, const GArray *twins)
{
  for (guint i = 0; i < twins->len; i++) {
    Record *twin = record_find (upper, g_array_index (twins, guint64, i));
    if (twin)
      record_move (upper, twin, 0, "",
                   (guint16)((twin->flags | VF_UPPER_ORPHAN) & ~VF_UPPER_PRESENT));
  }
}

void
vf_upper_move (VfUpper *upper, guint64 id, guint64 parent, const char *name)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (!record)
    return;
  g_autoptr (GArray) twins = find_twins (upper, record);
  record_move (upper, record, parent, name, record->flags);
  for (guint i = 0; i < twins->len; i++) {
    Record *twin = record_find (upper, g_array_index (twins, guint64, i));
    if (twin)
      record_move (upper, twin, parent, name, twin->flags);
  }
}

void
vf_upper_orphan (VfUpper *upper, guint64 id, const char *work_name)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (!record)
    return;
  g_autoptr (GArray) twins = find_twins (upper, record);
  record_move (upper, record, 0, work_name, record->flags | VF_UPPER_ORPHAN);
  orphan_twins (upper, twins);
}

void
vf_upper_remove (VfUpper *upper, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (!record || id == VF_UPPER_ROOT)
    return;
  guint64 parent = record->parent;
  g_autoptr (GArray) twins = find_twins (upper, record);
  record_delete (upper, record);
  parent_unref (upper, parent);
  orphan_twins (upper, twins);
}

gboolean
vf_upper_forget (VfUpper *upper, guint64 id, guint64 n_lookups, VfUpperNode *out_node,
                 char out_name[VF_NAME_BYTES])
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (!record || id == VF_UPPER_ROOT)
    return FALSE;
  if (n_lookups > record->n_lookups)
    record->flags &= (guint16)~VF_UPPER_UNCOUNTED;
  record->n_lookups -= MIN (n_lookups, record->n_lookups);
  if (out_node)
    node_fill (record, out_node);
  if (out_name)
    g_strlcpy (out_name, record->name, VF_NAME_BYTES);
  record_settle (upper, record);
  return record_find (upper, id) == NULL;
}

gint32
vf_upper_n_directories (VfUpper *upper, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  const Record *record = record_find (upper, id);
  return record ? record->n_directories : -1;
}

void
vf_upper_set_n_directories (VfUpper *upper, guint64 id, gint32 n)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (record)
    record->n_directories = n;
}

void
vf_upper_adjust_n_directories (VfUpper *upper, guint64 id, gint32 by)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  Record *record = record_find (upper, id);
  if (record && record->n_directories >= 0)
    record->n_directories = MAX (record->n_directories + by, 0);
}

void
vf_upper_clear_n_directories (VfUpper *upper)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  GHashTableIter iter;
  gpointer record;
  g_hash_table_iter_init (&iter, upper->records);
  while (g_hash_table_iter_next (&iter, &record, NULL))
    ((Record *)record)->n_directories = -1;
}

GPtrArray *
vf_upper_places (VfUpper *upper)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  GPtrArray *places = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, upper->records);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    const Record *record = key;
    gsize length = strlen (record->name);
    VfUpperPlace *place = g_malloc (sizeof *place + length + 1);
    node_fill (record, &place->node);
    memcpy (place->name, record->name, length + 1);
    g_ptr_array_add (places, place);
  }
  return places;
}

gsize
vf_upper_n_nodes (VfUpper *upper)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&upper->lock);
  return g_hash_table_size (upper->records);
}

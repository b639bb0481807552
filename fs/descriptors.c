#include "fs/descriptors.h"

#include <unistd.h>

struct VfDescriptors {
  GMutex lock;
  guint max;
  GHashTable *by_key; /* Key of a VfDescriptor → itself; one reference each */
  GQueue used;        /* the same, least recently used first */
};

static guint
descriptor_hash (gconstpointer key)
{
  const VfDescriptor *descriptor = key;
  return (guint)(descriptor->id ^ (descriptor->id >> 32)) * 4 + (guint)descriptor->kind;
}

static gboolean
descriptor_equal (gconstpointer a, gconstpointer b)
{
  const VfDescriptor *left = a, *right = b;
  return left->id == right->id && left->kind == right->kind;
}

VfDescriptors *
vf_descriptors_new (guint max)
{
  VfDescriptors *descriptors = g_new0 (VfDescriptors, 1);
  g_mutex_init (&descriptors->lock);
  g_queue_init (&descriptors->used);
  descriptors->max = max;
  descriptors->by_key = g_hash_table_new (descriptor_hash, descriptor_equal);
  return descriptors;
}

static void
descriptor_release (VfDescriptors *descriptors, VfDescriptor *descriptor)
{
  g_hash_table_remove (descriptors->by_key, descriptor);
  g_queue_unlink (&descriptors->used, &descriptor->link);
  vf_descriptor_unref (descriptor);
}

void
vf_descriptors_free (VfDescriptors *descriptors)
{
  if (!descriptors)
    return;
  while (descriptors->used.head)
    descriptor_release (descriptors, descriptors->used.head->data);
  g_hash_table_unref (descriptors->by_key);
  g_mutex_clear (&descriptors->lock);
  g_free (descriptors);
}

static VfDescriptor *
descriptor_find (VfDescriptors *descriptors, guint64 id, VfDescriptorKind kind)
{
  VfDescriptor key = {.id = id, .kind = kind};
  VfDescriptor *found = g_hash_table_lookup (descriptors->by_key, &key);
  if (!found)
    return NULL;
  g_queue_unlink (&descriptors->used, &found->link);
  g_queue_push_tail_link (&descriptors->used, &found->link);
  g_atomic_int_inc (&found->n_references);
  return found;
}

VfDescriptor *
vf_descriptors_get (VfDescriptors *descriptors, guint64 id, VfDescriptorKind kind)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&descriptors->lock);
  return descriptor_find (descriptors, id, kind);
}

VfDescriptor *
vf_descriptors_add (VfDescriptors *descriptors, guint64 id, VfDescriptorKind kind, int fd,
                    goffset offset, guint64 length)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&descriptors->lock);
  VfDescriptor *there = descriptor_find (descriptors, id, kind);
  if (there) {
    close (fd);
    return there;
  }
  while (descriptors->used.length >= descriptors->max)
    descriptor_release (descriptors, descriptors->used.head->data);

  VfDescriptor *added = g_new0 (VfDescriptor, 1);
  added->fd = fd;
  added->offset = offset;
  added->length = length;
  added->id = id;
  added->kind = kind;
  added->n_references = 2;
  added->link.data = added;
  g_hash_table_add (descriptors->by_key, added);
  g_queue_push_tail_link (&descriptors->used, &added->link);
  return added;
}

void
vf_descriptors_drop (VfDescriptors *descriptors, guint64 id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&descriptors->lock);
  for (VfDescriptorKind kind = VF_DESCRIPTOR_DIRECTORY; kind <= VF_DESCRIPTOR_WRITE; kind++) {
    VfDescriptor key = {.id = id, .kind = kind};
    VfDescriptor *found = g_hash_table_lookup (descriptors->by_key, &key);
    if (found)
      descriptor_release (descriptors, found);
  }
}

void
vf_descriptor_unref (VfDescriptor *descriptor)
{
  if (!descriptor || !g_atomic_int_dec_and_test (&descriptor->n_references))
    return;
  close (descriptor->fd);
  g_free (descriptor);
}

guint
vf_descriptors_n_open (VfDescriptors *descriptors)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&descriptors->lock);
  return descriptors->used.length;
}

#include "fs/learning.h"

/* An interpreter has three. */
#define PROBES_MAX 4

struct VfLearning {
  VfStore *store;        /* borrowed; constant as the next */
  const VfDigest *image; /* borrowed */

  GMutex lock;
  VfProfile *profile; /* NULL while nobody needed it lately; [lock] */
  GArray *noted;      /* of VfProfileRange, in the order of reading; [lock] */
  guint n_others;     /* reads of what is no code; [lock] */
  GPtrArray *probes;  /* of char *, which stay; [lock] */
};

VfLearning *
vf_learning_new (VfStore *store, const VfDigest *image)
{
  VfLearning *learning = g_new0 (VfLearning, 1);
  learning->store = store;
  learning->image = image;
  learning->noted = g_array_new (FALSE, FALSE, sizeof (VfProfileRange));
  learning->probes = g_ptr_array_new_with_free_func (g_free);
  g_mutex_init (&learning->lock);
  return learning;
}

void
vf_learning_free (VfLearning *learning)
{
  if (!learning)
    return;
  g_clear_pointer (&learning->profile, vf_profile_unref);
  g_array_unref (learning->noted);
  g_ptr_array_unref (learning->probes);
  g_mutex_clear (&learning->lock);
  g_free (learning);
}

VfProfile *
vf_learning_profile (VfLearning *learning)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&learning->lock);
  if (!learning->profile)
    learning->profile = vf_profile_open (learning->store, learning->image);
  return vf_profile_ref (learning->profile);
}

void
vf_learning_note (VfLearning *learning, guint32 group, const VfImageNode *node, guint64 offset,
                  guint64 size)
{
  guint64 end = MIN (offset + size, node->size);
  VfProfileRange range = {
      .group = group, .node = node->index, .first_page = (guint32)(offset / VF_PROFILE_PAGE_BYTES)};
  range.n_pages =
      (guint32)((end + VF_PROFILE_PAGE_BYTES - 1) / VF_PROFILE_PAGE_BYTES) - range.first_page;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&learning->lock);
  if (learning->noted->len < VF_PROFILE_MAX_RANGES)
    g_array_append_val (learning->noted, range);
}

void
vf_learning_note_probe (VfLearning *learning, const char *name)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&learning->lock);
  if (learning->probes->len < PROBES_MAX &&
      !g_ptr_array_find_with_equal_func (learning->probes, name, g_str_equal, NULL))
    g_ptr_array_add (learning->probes, g_strdup (name));
}

const char *
vf_learning_probe (VfLearning *learning, guint number)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&learning->lock);
  return number < learning->probes->len ? g_ptr_array_index (learning->probes, number) : NULL;
}

void
vf_learning_note_other (VfLearning *learning)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&learning->lock);
  learning->n_others++;
}

void
vf_learning_write (VfLearning *learning)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfProfile) profile = NULL;
  g_autoptr (GArray) fresh = g_array_new (FALSE, FALSE, sizeof (VfProfileRange));
  g_mutex_lock (&learning->lock);
  g_autoptr (GArray) noted = g_steal_pointer (&learning->noted);
  learning->noted = g_steal_pointer (&fresh);
  /* What reads mostly other things (grep, tar, a backup) is no import. */
  gboolean is_import = learning->n_others < noted->len;
  learning->n_others = 0;
  profile = g_steal_pointer (&learning->profile);
  g_mutex_unlock (&learning->lock);
  if (!is_import)
    return;
  if (!profile)
    profile = vf_profile_open (learning->store, learning->image);
  if (!vf_profile_write (profile, (const VfProfileRange *)noted->data, noted->len, learning->store,
                         learning->image, &error))
    g_message ("what an import read is not remembered: %s", error->message);
}

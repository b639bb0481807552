/* Bit sets: which of a fixed number of things are in a set, a bit for each.
 *
 * Locking: none is needed, each call is atomic and in one order with all others, whatever their set
 * (__ATOMIC_SEQ_CST). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VF_BIT_SET_WORD_BITS 64

/* Empty; freed with g_free(). */
static inline guint64 *
vf_bit_set_new (gsize n)
{
  return g_new0 (guint64, n / VF_BIT_SET_WORD_BITS + 1);
}

static inline gboolean
vf_bit_set_has (const guint64 *set, guint32 index)
{
  guint64 word = __atomic_load_n (&set[index / VF_BIT_SET_WORD_BITS], __ATOMIC_SEQ_CST);
  return (word >> (index % VF_BIT_SET_WORD_BITS)) & 1;
}

/* Each: whether it was in the set before. */
static inline gboolean
vf_bit_set_add (guint64 *set, guint32 index)
{
  guint64 bit = G_GUINT64_CONSTANT (1) << (index % VF_BIT_SET_WORD_BITS);
  guint64 *word = &set[index / VF_BIT_SET_WORD_BITS];
  return (__atomic_fetch_or (word, bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static inline gboolean
vf_bit_set_remove (guint64 *set, guint32 index)
{
  guint64 bit = G_GUINT64_CONSTANT (1) << (index % VF_BIT_SET_WORD_BITS);
  guint64 *word = &set[index / VF_BIT_SET_WORD_BITS];
  return (__atomic_fetch_and (word, ~bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

G_END_DECLS

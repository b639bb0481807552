/* Bit sets: which of a fixed number of things are in a set, a bit for each
 * once there is one.
 *
 * Locking: none is needed, each call is atomic and in one order with all others, whatever their set
 * (__ATOMIC_SEQ_CST). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  gsize n;
  guint64 *words; /* NULL until something is added; set once, atomically */
} VfBitSet;

#define VF_BIT_SET_WORD_BITS 64

/* Of things that count from 0 to @n - 1. */
static inline void
vf_bit_set_init (VfBitSet *set, gsize n)
{
  *set = (VfBitSet){.n = n};
}

static inline void
vf_bit_set_clear (VfBitSet *set)
{
  g_clear_pointer (&set->words, g_free);
}

static inline guint64 *
vf_bit_set_words (VfBitSet *set)
{
  guint64 *words = __atomic_load_n (&set->words, __ATOMIC_SEQ_CST), *others = NULL;
  if (words)
    return words;
  words = g_new0 (guint64, set->n / VF_BIT_SET_WORD_BITS + 1);
  if (__atomic_compare_exchange_n (&set->words, &others, words, FALSE, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST))
    return words;
  g_free (words);
  return others;
}

static inline gboolean
vf_bit_set_has (const VfBitSet *set, guint32 index)
{
  const guint64 *words = __atomic_load_n (&set->words, __ATOMIC_SEQ_CST);
  return words && (__atomic_load_n (&words[index / VF_BIT_SET_WORD_BITS], __ATOMIC_SEQ_CST) >>
                   (index % VF_BIT_SET_WORD_BITS)) &
                      1;
}

/* Each: whether it was in the set before. */
static inline gboolean
vf_bit_set_add (VfBitSet *set, guint32 index)
{
  guint64 bit = G_GUINT64_CONSTANT (1) << (index % VF_BIT_SET_WORD_BITS);
  guint64 *word = &vf_bit_set_words (set)[index / VF_BIT_SET_WORD_BITS];
  return (__atomic_fetch_or (word, bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

static inline gboolean
vf_bit_set_remove (VfBitSet *set, guint32 index)
{
  guint64 bit = G_GUINT64_CONSTANT (1) << (index % VF_BIT_SET_WORD_BITS);
  guint64 *words = __atomic_load_n (&set->words, __ATOMIC_SEQ_CST);
  return words &&
         (__atomic_fetch_and (&words[index / VF_BIT_SET_WORD_BITS], ~bit, __ATOMIC_SEQ_CST) &
          bit) != 0;
}

G_END_DECLS

#include "fs/bit-set.h"

static void
test_bits (void)
{
  VfBitSet set;
  vf_bit_set_init (&set, 129);
  for (guint32 i = 0; i < 129; i++)
    g_assert_false (vf_bit_set_has (&set, i));
  g_assert_false (vf_bit_set_remove (&set, 64));
  g_assert_null (set.words);
  g_assert_false (vf_bit_set_add (&set, 64));
  g_assert_true (vf_bit_set_add (&set, 64));
  g_assert_false (vf_bit_set_add (&set, 128));
  g_assert_true (vf_bit_set_has (&set, 64));
  g_assert_false (vf_bit_set_has (&set, 63));
  g_assert_false (vf_bit_set_has (&set, 65));
  g_assert_true (vf_bit_set_remove (&set, 64));
  g_assert_false (vf_bit_set_remove (&set, 64));
  g_assert_false (vf_bit_set_has (&set, 64));
  g_assert_true (vf_bit_set_has (&set, 128));
  vf_bit_set_clear (&set);
  g_assert_false (vf_bit_set_has (&set, 128));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bit-set/bits", test_bits);
  return g_test_run ();
}

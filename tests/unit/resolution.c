#include "tools/resolution.h"

#include <string.h>

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void
test_round_trip (void)
{
  VfDigest wheel, package;
  vf_digest_of ("a", 1, &wheel);
  vf_digest_of ("b", 1, &package);
  g_autoptr (VfResolution) resolution = vf_resolution_new (1700000000, TRUE);
  g_ptr_array_add (resolution->packages, vf_resolved_new ("one", "1.0", &wheel, &package, TRUE,
                                                          "{\"url\": \"file:///a b\"}"));
  g_ptr_array_add (resolution->packages,
                   vf_resolved_new ("two", "2.0", &package, &wheel, FALSE, NULL));
  g_autofree char *text = vf_resolution_format (resolution);
  g_autoptr (VfResolution) again = vf_resolution_parse (text);
  g_assert_nonnull (again);
  g_autofree char *same = vf_resolution_format (again);
  g_assert_cmpstr (text, ==, same);
  g_assert_cmpint (again->time, ==, 1700000000);
  g_assert_true (again->pinned);
  const VfResolved *one = again->packages->pdata[0], *two = again->packages->pdata[1];
  g_assert_cmpstr (one->direct_url, ==, "{\"url\": \"file:///a b\"}");
  g_assert_true (one->requested);
  g_assert_true (vf_digest_equal (&one->wheel, &wheel));
  g_assert_null (two->direct_url);
}

static void
test_damage (void)
{
  static const char *const texts[] = {
      "",
      "venvfs resolution 2\ntime 1\npinned 0\n",
      "venvfs resolution 1\ntime x\npinned 0\n",
      "venvfs resolution 1\ntime 1\npinned 2\n",
      "venvfs resolution 1\ntime 1\npinned 0",
      "venvfs resolution 1\ntime 1\npinned 0\n" HEX " " HEX " 1 one 1.0\n",
      "venvfs resolution 1\ntime 1\npinned 0\n" HEX " " HEX " 2 one 1.0 -\n",
      "venvfs resolution 1\ntime 1\npinned 0\n" HEX "0 " HEX " 1 one 1.0 -\n",
      "venvfs resolution 1\ntime 1\npinned 0\n" HEX " " HEX " 1 one 1.0 -",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    g_assert_null (vf_resolution_parse (texts[i]));
  g_autoptr (VfResolution) whole =
      vf_resolution_parse ("venvfs resolution 1\ntime 1\npinned 0\n" HEX " " HEX " 1 one 1.0 -\n");
  g_assert_nonnull (whole);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/resolution/round-trip", test_round_trip);
  g_test_add_func ("/resolution/damage", test_damage);
  return g_test_run ();
}

#include "layers/digest.h"

/* FIPS 180-2, appendix B.1 */
#define ABC_HEX    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_BASE64 "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"

static void
test_text_forms (void)
{
  VfDigest digest, parsed;
  char hex[VF_DIGEST_HEX + 1], base64[44];
  vf_digest_of ("abc", 3, &digest);
  vf_digest_to_hex (&digest, hex);
  vf_digest_to_base64 (&digest, base64);
  g_assert_cmpstr (hex, ==, ABC_HEX);
  g_assert_cmpstr (base64, ==, ABC_BASE64);
  g_assert_true (vf_digest_from_hex (ABC_HEX, 64, &parsed));
  g_assert_true (vf_digest_equal (&parsed, &digest));
  g_assert_true (vf_digest_from_base64 (ABC_BASE64 "=", 44, &parsed));
  g_assert_true (vf_digest_equal (&parsed, &digest));
}

static void
test_bad_text (void)
{
  VfDigest digest;
  g_assert_false (vf_digest_from_hex (ABC_HEX, 63, &digest));
  g_assert_false (vf_digest_from_hex ("g" ABC_HEX, 64, &digest));
  g_assert_false (vf_digest_from_base64 (ABC_BASE64, 42, &digest));
  g_assert_false (
      vf_digest_from_base64 ("+ngWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", 43, &digest));
}

static void
test_hasher_is_reusable (void)
{
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  for (int i = 0; i < 3; i++) {
    VfDigest digest;
    char hex[VF_DIGEST_HEX + 1];
    vf_hasher_update (hasher, "a", 1);
    vf_hasher_update (hasher, "bc", 2);
    vf_hasher_finish (hasher, &digest);
    vf_digest_to_hex (&digest, hex);
    g_assert_cmpstr (hex, ==, ABC_HEX);
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/digest/text-forms", test_text_forms);
  g_test_add_func ("/digest/bad-text", test_bad_text);
  g_test_add_func ("/digest/hasher-is-reusable", test_hasher_is_reusable);
  return g_test_run ();
}

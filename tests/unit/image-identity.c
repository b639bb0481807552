#include "layers/image-format.h"

#include <string.h>

/* Part of the format: these numbers may never change while VF_IMAGE_VERSION is 1. Computed by an
 * independent program (FNV-1a and SplitMix64's finalizer; SHA-256). */
static void
test_known_values (void)
{
  g_assert_cmphex (vf_name_hash ("", 0), ==, 0x7a950af4d4daf44d);
  g_assert_cmphex (vf_name_hash ("__init__.py", 11), ==, 0x3a70ea6380db3877);
  g_assert_cmphex (vf_name_hash ("\xf0\x9d\x9c\x8bthon", 8), ==, 0x58d14c9b267673a5);

  VfDigest digest;
  vf_digest_of ("abc", 3, &digest);
  g_assert_cmpint (vf_content_mtime (&digest), ==, 837185594);
  g_assert_cmpint (vf_content_mtime (&digest), ==, VF_IMAGE_EPOCH + vf_image_mtime_of (&digest));

  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_assert_cmphex (vf_image_node_id (hasher, VF_NODE_FILE, "lib/a.py", 8, &digest, 0), ==,
                   0x38a2871a75a3ed48);
  g_assert_cmphex (vf_image_node_id (hasher, VF_NODE_DIRECTORY, "lib", 3, NULL, 2), ==,
                   0x21d14df8a2c801b1);
  g_assert_cmphex (vf_image_node_id (hasher, VF_NODE_DIRECTORY, "", 0, NULL, 0), ==, 1);
}

static void
test_ranges (void)
{
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  for (guint32 i = 0; i < 10000; i++) {
    VfDigest digest;
    vf_digest_of (&i, sizeof i, &digest);
    guint64 hash = vf_name_hash ((const char *)&i, sizeof i);
    g_assert_cmpuint (hash, >=, 16);
    g_assert_cmpuint (hash >> 63, ==, 0);
    gint64 mtime = vf_content_mtime (&digest);
    g_assert_cmpint (mtime, >=, 315619200);
    g_assert_cmpint (mtime, <, 315619200 + (1 << 29));
    guint64 id = vf_image_node_id (hasher, VF_NODE_FILE, "f", 1, &digest, 0);
    g_assert_cmpuint (id >> 62, ==, 0);
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image-identity/known-values", test_known_values);
  g_test_add_func ("/image-identity/ranges", test_ranges);
  return g_test_run ();
}

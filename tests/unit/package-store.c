/* layers/package-store.c */
#include "layers/package.h"

#include "store-fixture.h"

static VfPackage *
sample (void)
{
  VfPackage *package = vf_package_new ("demo", "1", "demo-1.dist-info");
  VfDigest digest = digest_of ("x");
  vf_package_add_file (package, VF_SCHEME_PURELIB, "demo.py", 0644, 1, &digest, 0);
  return package;
}

static void
test_put (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_autoptr (VfPackage) package = sample ();
  g_assert_true (vf_package_put (package, batch, &error));
  g_assert_null (vf_package_load (fixture->store, &package->digest, NULL));
  g_assert_true (vf_object_batch_commit (batch, &error));
  g_autoptr (VfPackage) loaded = vf_package_load (fixture->store, &package->digest, &error);
  g_assert_no_error (error);
  g_assert_true (vf_digest_equal (&loaded->digest, &package->digest));
  g_assert_cmpstr (loaded->name, ==, "demo");
  g_assert_cmpuint (loaded->files->len, ==, 1);

  VfDigest other = package->digest;
  other.bytes[0] ^= 1;
  g_assert_null (vf_package_load (fixture->store, &other, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_clear_error (&error);

  /* The right bytes under another name. */
  g_autoptr (GBytes) bytes = vf_package_serialize (package);
  g_autofree char *relative = vf_digest_path ("packages/", &other);
  g_assert_true (vf_store_put (fixture->store, relative, g_bytes_get_data (bytes, NULL),
                               g_bytes_get_size (bytes), &error));
  g_assert_null (vf_package_load (fixture->store, &other, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/package-store/put", test_put);
  return g_test_run ();
}

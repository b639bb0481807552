/* Package indexes in a store: packages/<digest>. */
#include "layers/package.h"

#include "layers/error.h"

gboolean
vf_package_put (VfPackage *package, VfObjectBatch *batch, GError **error)
{
  g_autoptr (GBytes) bytes = vf_package_serialize (package);
  gsize length = 0;
  const void *data = g_bytes_get_data (bytes, &length);
  vf_digest_of (data, length, &package->digest);
  g_autofree char *path = vf_digest_path ("packages/", &package->digest);
  return vf_object_batch_put (batch, path, data, length, error);
}

VfPackage *
vf_package_load (VfStore *store, const VfDigest *digest, GError **error)
{
  g_autofree char *path = vf_digest_path ("packages/", digest);
  g_autofree char *what = vf_store_path_of (store, path);
  g_autoptr (GBytes) bytes = vf_store_get (store, path, error);
  if (!bytes)
    return NULL;
  VfDigest found;
  gsize length = 0;
  const void *data = g_bytes_get_data (bytes, &length);
  vf_digest_of (data, length, &found);
  if (!vf_digest_equal (&found, digest)) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: does not hash to its name; run venvfs fsck", what);
    return NULL;
  }
  VfPackage *package = vf_package_parse (bytes, what, error);
  if (package)
    package->digest = *digest;
  return package;
}

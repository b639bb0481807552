/* Which package a wheel file became: wheels/<sha256>, one line of hexadecimal. A hint that saves
 * the unpacking: what is not understood counts as not known. */
#include "layers/wheel.h"

#include "layers/error.h"

gboolean
vf_wheel_remember (VfObjectBatch *batch, const VfDigest *wheel_sha256, const VfDigest *package,
                   GError **error)
{
  g_autofree char *path = vf_digest_path ("wheels/", wheel_sha256);
  char line[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (package, line);
  line[VF_DIGEST_HEX] = '\n';
  return vf_object_batch_put (batch, path, line, sizeof line, error);
}

gboolean
vf_wheel_lookup (VfStore *store, const VfDigest *wheel_sha256, VfDigest *out_package)
{
  g_autofree char *path = vf_digest_path ("wheels/", wheel_sha256);
  if (!vf_store_reuse (store, path))
    return FALSE;
  g_autoptr (GBytes) bytes = vf_store_get (store, path, NULL);
  if (!bytes)
    return FALSE;
  gsize length = 0;
  const char *line = g_bytes_get_data (bytes, &length);
  if (length != VF_DIGEST_HEX + 1 || line[VF_DIGEST_HEX] != '\n' ||
      !vf_digest_from_hex (line, VF_DIGEST_HEX, out_package))
    return FALSE;
  g_autofree char *package = vf_digest_path ("packages/", out_package);
  return vf_store_reuse (store, package);
}

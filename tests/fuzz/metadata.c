/* METADATA and WHEEL, entry_points.txt, versions: whatever is read can be written into a package.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "layers/entry-points.h"
#include "layers/metadata.h"
#include "layers/version.h"

static void
try_version (const char *text)
{
  g_autofree char *normal = vf_version_normalize (text);
  if (!normal)
    return;
  g_autofree char *again = vf_version_normalize (normal);
  if (!again || strcmp (normal, again) != 0)
    abort ();
}

static void
try_entry_points (const char *text, gsize length, guint64 accepted)
{
  VfRules rules = {.what = "fuzz", .accepted = accepted};
  g_autoptr (VfPackage) package = vf_package_new ("n", "1", "n-1.dist-info");
  if (!vf_entry_points_parse (text, length, &rules, package, NULL))
    return;
  g_autoptr (GBytes) bytes = vf_package_serialize (package);
  g_autoptr (VfPackage) again = vf_package_parse (bytes, "fuzz", NULL);
  if (!again || again->entry_points->len != package->entry_points->len)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;
  g_autofree char *version = vf_metadata_get (text, size, "Version");
  if (version)
    try_version (version);
  g_autofree char *copy = g_strndup (text, size);
  try_version (copy);
  try_entry_points (text, size, 0);
  try_entry_points (text, size, G_GUINT64_CONSTANT (1) << VF_RULE_ENTRY_POINT);
  return 0;
}

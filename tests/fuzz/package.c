/* Package indexes: what is read is written back as the same bytes. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "layers/package.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (data, size);
  g_autoptr (VfPackage) package = vf_package_parse (bytes, "fuzz", NULL);
  if (!package)
    return 0;
  g_autoptr (GBytes) again = vf_package_serialize (package);
  if (!g_bytes_equal (bytes, again))
    abort ();
  return 0;
}

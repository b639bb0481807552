/* Compiled modules: the names that are told lie in the module. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "layers/imports.h"

typedef struct {
  const char *start, *end;
} Bounds;

static void
check (const char *name, gsize length, gboolean is_from, gpointer user_data)
{
  const Bounds *bounds = user_data;
  if (name < bounds->start || length > (gsize)(bounds->end - name))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  Bounds bounds = {(const char *)data, (const char *)data + size};
  vf_imports_scan (data, size, check, &bounds);
  return 0;
}

/* RECORD: the paths that are read, written again, are read as the same. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "layers/record.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (VfRecord) record = vf_record_parse ((const char *)data, size, "fuzz", NULL);
  if (!record)
    return 0;
  const VfDigest digest = {{1}};
  g_autoptr (GString) text = g_string_new (NULL);
  for (guint i = 0; i < record->rows->len; i++)
    vf_record_append (text, g_array_index (record->rows, VfRecordRow, i).path, &digest, i);
  g_autoptr (VfRecord) again = vf_record_parse (text->str, text->len, "fuzz", NULL);
  if (!again || again->rows->len != record->rows->len)
    abort ();
  for (guint i = 0; i < record->rows->len; i++) {
    const VfRecordRow *row = &g_array_index (again->rows, VfRecordRow, i);
    if (strcmp (row->path, g_array_index (record->rows, VfRecordRow, i).path) != 0 ||
        row->size != i)
      abort ();
  }
  return 0;
}

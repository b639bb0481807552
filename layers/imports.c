#include "layers/imports.h"

#include "layers/marshal.h"

#define HEADER_BYTES 16

typedef struct {
  guint16 magic; /* the first two bytes of a .pyc of this version */
  guint8 minor;
  guint8 extended_arg, import_from, import_name;
  gboolean has_flags; /* two bits below the name's number in what import_name takes */
} Version;

/* Of these flags. Lazy: what is imported is executed when it is used, not before (PEP 810). */
#define FLAG_LAZY 1
#define N_FLAGS   2

/* Lib/opcode.py, Include/opcode_ids.h, Include/internal/pycore_magic_number.h. An instruction has
 * two bytes; what newer versions have for caches in between is zero in a file. */
static const Version versions[] = {
    {3413, 8, 144, 109, 108, FALSE},  {3425, 9, 144, 109, 108, FALSE},
    {3439, 10, 144, 109, 108, FALSE}, {3495, 11, 144, 109, 108, FALSE},
    {3531, 12, 144, 109, 108, FALSE}, {3571, 13, 71, 74, 75, FALSE},
    {3627, 14, 69, 72, 73, FALSE},    {3666, 15, 67, 71, 72, TRUE},
};

static const Version *
find_version (const guint8 *pyc)
{
  guint magic = pyc[0] | (guint)pyc[1] << 8;
  for (gsize i = 0; i < G_N_ELEMENTS (versions); i++)
    if (versions[i].magic == magic)
      return &versions[i];
  return NULL;
}

gboolean
vf_imports_scan (const guint8 *pyc, gsize length, VfImportsFunc func, gpointer user_data)
{
  g_auto (VfMarshalCode) code = {0};
  const Version *version = length < HEADER_BYTES ? NULL : find_version (pyc);
  if (!version ||
      !vf_marshal_read_code (pyc + HEADER_BYTES, length - HEADER_BYTES, version->minor, &code))
    return FALSE;
  guint32 argument = 0;
  gboolean is_lazy = FALSE;
  for (gsize i = 0; i + 1 < code.n_bytes; i += 2) {
    guint8 opcode = code.instructions[i];
    argument = argument << 8 | code.instructions[i + 1];
    if (opcode == version->extended_arg)
      continue;
    gboolean is_from = opcode == version->import_from, is_name = opcode == version->import_name;
    if (is_name && version->has_flags) {
      is_lazy = (argument & FLAG_LAZY) != 0;
      argument >>= N_FLAGS;
    }
    if ((is_from || is_name) && !is_lazy && argument < code.names->len) {
      VfMarshalName name = g_array_index (code.names, VfMarshalName, argument);
      func (name.text, name.length, is_from, user_data);
    }
    argument = 0;
  }
  return TRUE;
}

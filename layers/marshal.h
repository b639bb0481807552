/* Marshalled code: one form for it, in which the same module always gives the same bytes, and what
 * it names.
 *
 * CPython marks an object that may be referred to again with a flag, by its reference count, and
 * whether a short string is interned depends on what the process did before. So two runs give code
 * that is equal and bytes that are not. This keeps the flag on what is referred to, renumbers the
 * references and calls strings of up to one character interned; the length does not change. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* @data: what marshal.dumps() of CPython 3.@minor gave for one code object, changed in place.
 * FALSE, and nothing changed, when it is something else or of a version that this does not know. */
gboolean vf_marshal_normalize (guint8 *data, gsize length, int minor);

typedef struct {
  const char *text; /* UTF-8, not terminated */
  gsize length;
} VfMarshalName;

/* What a code object does and names at its own level, not what the functions in it do. Both point
 * into the data. */
typedef struct {
  const guint8 *instructions;
  gsize n_bytes;
  GArray *names; /* of VfMarshalName: co_names */
} VfMarshalCode;
/* @data: as above, untrusted. FALSE when it is something else; else the caller clears @out_code. */
gboolean
vf_marshal_read_code (const guint8 *data, gsize length, int minor, VfMarshalCode *out_code);
void vf_marshal_code_clear (VfMarshalCode *code);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfMarshalCode, vf_marshal_code_clear)

G_END_DECLS

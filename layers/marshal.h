/* Marshalled code in one form: the same module always gives the same bytes.
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

G_END_DECLS

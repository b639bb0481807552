/* Imports: what a compiled module imports when it is executed, told from its instructions.
 *
 * Told are the imports of the module's own level, in their order, conditions or not; what its
 * functions import when they are called is none of them, nor is what it imports lazily. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* @name: of @length bytes, as in co_names: dotted, without the dots of a relative import, so maybe
 * empty. @is_from: a name that is taken from the module told last. */
typedef void (*VfImportsFunc) (const char *name, gsize length, gboolean is_from,
                               gpointer user_data);

/* @pyc: a .pyc (PEP 552), untrusted. FALSE when it is something else or of a version of Python that
 * this does not know. */
gboolean vf_imports_scan (const guint8 *pyc, gsize length, VfImportsFunc func, gpointer user_data);

G_END_DECLS

/* Import order: to which directories of an image an import will come, foretold.
 *
 * An import is followed from module to module through what each imports when it is executed
 * (layers/imports.h), the way the interpreter goes, and each directory of compiled modules that it
 * comes to is told once. It is a guess: a condition is taken to hold, and by a name is meant
 * whatever module of that name there is, next to the one that imports it, above it or in
 * site-packages. Modules of other places (the standard library) are followed no further.
 *
 * Locking: none; of one thread. */
#pragma once

#include "layers/image.h"
#include "layers/store.h"

G_BEGIN_DECLS

typedef struct VfImportOrder VfImportOrder;

/* Both are borrowed. */
VfImportOrder *vf_import_order_new (VfStore *store, VfImage *image);
void vf_import_order_free (VfImportOrder *order);
/* An import has come to the package whose compiled modules are in @directory: what that goes on to
 * is told before what is left of others. */
void vf_import_order_start (VfImportOrder *order, guint32 directory);
/* Follows one module at most; FALSE when there is nothing more to follow or to tell.
 * *out_directory: 0 if there was none to tell this time. */
gboolean vf_import_order_next (VfImportOrder *order, guint32 *out_directory);

G_END_DECLS

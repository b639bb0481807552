/* The sweep: removes what no environment, live mount or lease reaches. Nothing in use is ever lost.
 */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct {
  guint64 objects, packages, images, bytecode, wheels, others; /* entries removed (or removable) */
  guint64 bytes; /* of disk (st_blocks), given back (or to be) */
} VfSweepResult;

gboolean vf_sweep (VfStore *store, gboolean dry_run, VfSweepResult *out_result, GError **error);

G_END_DECLS

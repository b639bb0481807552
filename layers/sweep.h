/* The sweep: removes what no environment, live mount or lease reaches. Nothing in use is ever lost.
 *
 * If nobody writes to the store for a moment, the sweep has it alone while it marks and renames,
 * and takes everything that is unreachable. If somebody writes all the while, it works beside him
 * and takes only what is unreachable from roots and from anything fresh (VF_STORE_GRACE_SECONDS),
 * and is old itself. What it takes goes to trash/ first; the removal is done after the lock is
 * released. If a root cannot be read, nothing is removed. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct {
  guint64 objects, packages, images, bytecode, wheels; /* entries removed (or removable) */
  guint64 others;    /* deleted environments, left temporary directories, old caches */
  guint64 bytes;     /* of disk (st_blocks), given back (or to be) */
  gboolean cautious; /* writers were at work: what is recent was kept */
} VfSweepResult;

/* @dry_run: tells the same numbers and takes nothing. VF_ERROR_BUSY: another sweep is at work;
 * VF_ERROR_DAMAGED: names the root that cannot be read. Blocks for at most a second for the lock.
 */
gboolean vf_sweep (VfStore *store, gboolean dry_run, VfSweepResult *out_result, GError **error);

G_END_DECLS

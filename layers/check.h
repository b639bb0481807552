/* The check behind `venvfs fsck`: every invariant of the store; with @deep every digest. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct {
  guint64 problems; /* that were reported */
  guint64 repaired; /* of those */
} VfCheckResult;

/* Called for each thing wrong: the path relative to the store, and one line saying what. */
typedef void (*VfCheckReport) (const char *path, const char *problem, gpointer user_data);
/* Called for each file that is looked at; @done: how many before it. FALSE ends the check with
 * VF_ERROR_CANCELLED, what was repaired until then stays so. */
typedef gboolean (*VfCheckProgress) (guint64 done, gpointer user_data);
/* @repair: moves damaged objects, indexes and images to trash/quarantine, so that they are made
 * anew. FALSE only when the check itself could not run. */
gboolean
vf_check (VfStore *store, gboolean deep, gboolean repair, VfCheckReport report,
          VfCheckProgress progress, gpointer user_data, VfCheckResult *out_result, GError **error);

G_END_DECLS

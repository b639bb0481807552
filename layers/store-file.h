/* Steps of putting a file into its place, for those who put many at once (object-batch.c). */
#pragma once

#include "layers/store.h"
#include "layers/unsettled.h"

G_BEGIN_DECLS

/* Whether @relative is there with exactly this content; freshens it then. */
gboolean
vf_store_has_content (VfStore *store, const char *relative, const void *data, gsize length);
/* Renames @name of @dir_fd to @relative, making its directory first if need be. Not durable until
 * vf_store_sync_parent(). */
gboolean
vf_store_place (VfStore *store, int dir_fd, const char *name, const char *relative, GError **error);
/* Makes durable what was reused, before what may refer to it gets its name. */
gboolean vf_store_settle (VfStore *store, GError **error);
/* Of the store, in which vf_store_reuse() notes what it finds. Borrowed. */
VfUnsettled *vf_store_unsettled (VfStore *store);
gboolean vf_store_sync_parent (VfStore *store, const char *relative, GError **error);

G_END_DECLS

/* Leases: short-lived claims that keep the sweep away from what nothing else refers to yet or
 * still.
 *
 * A lease is a file in leases/ that names images and objects, one a line ("image <hex>", "object
 * <hex>", "package <hex>"), held by flock: a lease whose holder died holds nothing, and the sweep
 * removes it. A live mount holds one for its images. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct VfLease VfLease;
/* Holds what @lines name, as long as the lease and this process (or one that got its descriptor by
 * fork) live. VF_ERROR_NOT_FOUND if one is not in the store (any more), VF_ERROR_INVALID if a line
 * is none of the three. Never waits longer than a sweep's renames take. */
VfLease *vf_lease_new (VfStore *store, const char *const *lines, GError **error);
/* Parses one line; @out_path is where the thing lies, relative to the store. FALSE if it is none.
 */
gboolean vf_lease_parse_line (const char *line, char **out_path, VfDigest *out_digest);
void vf_lease_free (VfLease *lease);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfLease, vf_lease_free)

G_END_DECLS

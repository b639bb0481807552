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
VfLease *vf_lease_new (VfStore *store, const char *const *lines, GError **error);
void vf_lease_free (VfLease *lease);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfLease, vf_lease_free)

G_END_DECLS

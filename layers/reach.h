/* What roots reach: the marking half of the sweep.
 *
 * A set of packages, images, bytecode listings and objects that grows: adding a thing adds what it
 * refers to. Everything in it is in the store at the time of adding; a thing that is missing,
 * damaged or cannot be read is an error, since what it would have reached is not known. Adding
 * something again costs a look-up, so a second round over the same roots is quick.
 *
 * One thread. Reads only. */
#pragma once

#include "layers/environment.h"
#include "layers/folder.h"

G_BEGIN_DECLS

typedef struct VfReach VfReach;
VfReach *vf_reach_new (VfStore *store);
void vf_reach_free (VfReach *reach);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfReach, vf_reach_free)

void vf_reach_add_object (VfReach *reach, const VfDigest *digest);
/* And its objects. */
gboolean vf_reach_add_package (VfReach *reach, const VfDigest *digest, GError **error);
/* And the objects of its nodes. The image is verified first. */
gboolean vf_reach_add_image (VfReach *reach, const VfDigest *digest, GError **error);
/* And its objects. @relative: "bytecode/<cache tag>.<magic>/<package>". */
gboolean vf_reach_add_listing (VfReach *reach, const char *relative, GError **error);
/* Its image, its packages and, if it has bytecode, their listings for its cache tag. */
gboolean vf_reach_add_generation (VfReach *reach, const VfGeneration *generation, GError **error);

gboolean vf_reach_has_object (VfReach *reach, const VfDigest *digest);
gboolean vf_reach_has_package (VfReach *reach, const VfDigest *digest);
gboolean vf_reach_has_image (VfReach *reach, const VfDigest *digest);
gboolean vf_reach_has_listing (VfReach *reach, const char *relative);

/* roots.c: all generations of all environments, what their uppers stand for, what leases name. The
 * error names the root and says that it keeps the sweep from its work. Environments are read before
 * leases: who mounts takes the lease before the environment may go. */
gboolean vf_reach_add_roots (VfReach *reach, VfStore *store, GError **error);
/* Every package, image and listing that was freshened after @since (seconds since the epoch): a
 * writer may be about to refer to it. */
gboolean vf_reach_add_fresh (VfReach *reach, VfStore *store, gint64 since, GError **error);

G_END_DECLS

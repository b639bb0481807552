/* Read profiles: what an import read of an image, so that the next fresh mount can be told at once.
 *
 * cache/reads-<image id> holds ranges of pages of the image's files, in groups: those of one
 * distribution's top directory stand together, in the order in which they were read first. So do
 * the groups: what stands behind a group is what an import went on to. It may vanish at any time,
 * is replaced without an fsync, and is untrusted: who uses a range checks it against the image.
 *
 *   "venvfs reads 2\n" NUL, then 16 bytes a range: the fields of VfProfileRange, little-endian
 *
 * Locking: a VfProfile is immutable. Two writers at once: the last one wins. */
#pragma once

#include "layers/image.h"
#include "layers/store.h"

G_BEGIN_DECLS

#define VF_PROFILE_PAGE_BYTES 4096u
/* More is no import. */
#define VF_PROFILE_MAX_RANGES 32768u

/* Nodes are named by their index in the image. */
typedef struct {
  guint32 group; /* the directory to whose first use this belongs */
  guint32 node;
  guint32 first_page;
  guint32 n_pages;
} VfProfileRange;

typedef struct VfProfile VfProfile;
/* An empty one when there is none that can be read. */
VfProfile *vf_profile_open (VfStore *store, const VfDigest *image);
VfProfile *vf_profile_ref (VfProfile *profile);
void vf_profile_unref (VfProfile *profile);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfProfile, vf_profile_unref)
/* The ranges of @group, borrowed; NULL and 0 if there are none. */
const VfProfileRange *
vf_profile_group (const VfProfile *profile, guint32 group, gsize *out_n_ranges);
/* The group behind @group; 0 if there is none. */
guint32 vf_profile_next_group (const VfProfile *profile, guint32 group);
/* Writes what @profile has and, behind it in each group, @more: in the order of reading, may
 * overlap. A new group comes behind the one that was read before it. */
gboolean vf_profile_write (const VfProfile *profile, const VfProfileRange *more, gsize n_more,
                           VfStore *store, const VfDigest *image, GError **error);

/* The group of a directory: its ancestor just below a site-packages, or itself. */
guint32 vf_profile_group_of (VfImage *image, guint32 directory);

G_END_DECLS

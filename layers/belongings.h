/* Which files belong to installed distributions, by what their RECORDs say.
 *
 * For a switch: where the next image has other files of a distribution, what an upper has of it
 * must not hide them. Paths are relative to the environment, as an image has them; a row that leads
 * out of it is passed over, as is a RECORD that cannot be understood: it is the user's file. */
#pragma once

#include "layers/image.h"

G_BEGIN_DECLS

typedef struct VfBelongings VfBelongings;
/* @names: of distributions, in any spelling; NULL-terminated. */
VfBelongings *vf_belongings_new (const char *const *names);
void vf_belongings_free (VfBelongings *belongings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfBelongings, vf_belongings_free)

/* What an image has of them. */
gboolean vf_belongings_add_image (VfBelongings *belongings, VfImage *image, GError **error);
/* What a directory has of them: an environment as it is seen at its mount point. */
gboolean vf_belongings_add_directory (VfBelongings *belongings, const char *path, GError **error);

/* All paths so far, sorted; NULL-terminated, the caller frees. */
char **vf_belongings_paths (VfBelongings *belongings);

G_END_DECLS

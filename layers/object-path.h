/* Where an object lies today: for the object layer, the sweep and the check alone. */
#pragma once

#include "layers/digest.h"

G_BEGIN_DECLS

#define VF_OBJECT_PATH_BYTES (sizeof "objects/ab/" + VF_DIGEST_HEX - 2)
/* "objects/ab/cdef…" relative to the store. */
void vf_object_path (const VfDigest *digest, char out_path[VF_OBJECT_PATH_BYTES]);

G_END_DECLS

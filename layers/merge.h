/* The merge: packages and an interpreter become the tree of one environment.
 *
 * It writes what a virtual environment has besides packages: directories, lib64, bin/python*,
 * pyvenv.cfg, activate*, console scripts, and each distribution's RECORD, INSTALLER, REQUESTED and
 * direct_url.json. Overlaps between packages: the same content is fine; of different contents the
 * first in order of normalised name wins, deterministically, and a warning tells. */
#pragma once

#include "layers/bytecode.h"
#include "layers/image.h"

G_BEGIN_DECLS

typedef struct {
  VfDigest digest; /* the package */
  gboolean requested;
  char *direct_url; /* direct_url.json's text, or NULL (PEP 610) */
} VfInstalled;
/* In generation.c. */
VfInstalled *vf_installed_new (const VfDigest *digest, gboolean requested, const char *direct_url);
void vf_installed_free (VfInstalled *installed);

typedef struct {
  const VfInterpreter *interpreter;
  GPtrArray *installed; /* of VfInstalled; order does not matter */
  gboolean system_site_packages;
  gboolean compile; /* include bytecode; it has been compiled before (vf_bytecode_compile) */
} VfMergeInput;

/* The id of the image that @input gives: a hash of all that goes in, computed without merging.
 * Reads the bytecode listings' digests. */
gboolean
vf_merge_image_id (VfStore *store, const VfMergeInput *input, VfDigest *out_id, GError **error);
/* Makes images/<id> unless it is there. Holds: a write lease of the caller's. @warnings: array of
 * char * or NULL. */
gboolean vf_merge_build (VfStore *store, const VfMergeInput *input, GPtrArray *warnings,
                         VfDigest *out_id, GError **error);

G_END_DECLS

/* Mounting any directories, without an environment: lower ones, which are taken into the store, and
 * an upper of the user's choice. */
#pragma once

#include "layers/store.h"
#include "tools/mount-flags.h"

G_BEGIN_DECLS

typedef struct {
  const char *const *lower; /* the uppermost first; NULL-terminated */
  const char *upper, *work; /* directories of one file system */
  const char *source;       /* what /proc/mounts shows; NULL: the upper */
  gboolean allow_other;
  VfMountFlags flags;
} VfStackMount;

/* Mounts at @where, an existing directory. *out_path: where that is, absolute. @warnings: array of
 * char *. When it fails or is interrupted, nothing is left mounted. VF_ERROR_BUSY: the upper is
 * mounted already. */
gboolean vf_stack_mount (VfStore *store, const VfStackMount *mount, const char *where,
                         GPtrArray *warnings, char **out_path, GError **error);

/* The upper at @path, open and locked as long as the descriptor is; -1 when it cannot be had. The
 * daemon gives it back a moment after an unmount, which is waited for. */
int vf_stack_claim_upper (const char *path, GError **error);

G_END_DECLS

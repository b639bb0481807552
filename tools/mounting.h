/* Mounting and unmounting an environment, from its name to the moment it answers. What the verbs
 * mount, umount, run, status and doctor share. */
#pragma once

#include "layers/environment.h"
#include "tools/mount-flags.h"
#include "tools/mounted.h"

G_BEGIN_DECLS

typedef struct {
  gboolean allow_other;
  VfMountFlags flags;
  gboolean forget; /* do not record the place as the environment's mount point */
} VfMountingOptions;

/* Mounts at @where, clearing away a dead mount that is there. *out_path: where that is, absolute.
 * When it fails or is interrupted, nothing is left behind. Errors: VF_ERROR_BUSY (mounted
 * elsewhere, or something else is mounted there), VF_ERROR_INVALID (no fit place), and what the
 * store, the daemon and the kernel say. */
gboolean vf_mounting_mount (VfStore *store, VfEnvironment *environment, const char *where,
                            const VfMountingOptions *options, char **out_path, GError **error);

/* Unmounts what is at @path, an absolute one, and leaves the current directory. @force: even if it
 * is in use; processes that use it keep what they have open. VF_ERROR_BUSY names who uses it. */
gboolean vf_mounting_unmount (const char *path, dev_t device, gboolean force, GError **error);
/* Waits until the daemon has given @environment up, as it does at once; FALSE after two seconds. */
gboolean vf_mounting_wait_released (VfEnvironment *environment);

/* If the mount of @environment is dead: unmounts it and mounts it again. TRUE in *out_repaired when
 * that was so. */
gboolean vf_mounting_repair (VfStore *store, VfEnvironment *environment, gboolean *out_repaired,
                             GError **error);

G_END_DECLS

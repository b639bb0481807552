/* A mount for the time of one command: the one that is there, else one of its own, which the last
 * of those that share it takes away again.
 *
 * Who uses such a mount holds a shared lock on a file of the runtime directory; that file says
 * whether the mount was made for this purpose. A mount that a person made is never taken away. */
#pragma once

#include "layers/environment.h"

G_BEGIN_DECLS

typedef struct VfBorrowedMount VfBorrowedMount;

/* Where @environment is mounted; else it is mounted where it was last, if that is still its mount
 * point, else in the runtime directory. */
VfBorrowedMount *vf_borrowed_mount_new (VfStore *store, VfEnvironment *environment, GError **error);
const char *vf_borrowed_mount_path (const VfBorrowedMount *mount);
/* Unmounts it, if nobody else uses a mount that was made so. Always frees. FALSE with @error when a
 * mount stays behind that should not. */
gboolean vf_borrowed_mount_return (VfBorrowedMount *mount, GError **error);
/* A person mounted it: whatever was noted of earlier mounts is void. */
void vf_borrowed_mount_disown (VfStore *store, VfEnvironment *environment);

G_END_DECLS

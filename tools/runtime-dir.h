/* The user's private runtime directory: the daemon's socket, lock and log, and mounts that `run`
 * makes for itself.
 *
 * $XDG_RUNTIME_DIR/venvfs; for root /run/venvfs where that variable is not set or names root's
 * login session; for others, without the variable, /run/user/UID/venvfs or /tmp/venvfs-UID. It is
 * only used if it is the user's own and nobody else may enter it. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Where it is or would be; the caller frees. */
char *vf_runtime_dir_path (void);
/* Its descriptor. @make: made if absent, else VF_ERROR_NOT_FOUND. Errors: VF_ERROR_INVALID when it
 * is not private. */
int vf_runtime_dir_open (gboolean make, GError **error);
/* The file @name in it, made if absent and flocked by @operation. Waits for that; interruptible. */
int vf_runtime_dir_lock (int dir_fd, const char *name, int operation, GError **error);

G_END_DECLS

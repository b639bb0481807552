/* One mounted file system: a FUSE session over an overlay.
 *
 * Thin: look up, call the overlay, reply exactly once. Requests are read and answered by the pool
 * (fs/pool.h), any number of threads at once.
 *
 * Negotiated: infinite entry, attribute and negative timeouts (the daemon is the only writer; views
 * have attribute timeout 0), READDIRPLUS always, cached directories, ENOSYS to OPEN and OPENDIR, no
 * FLUSH, no writeback cache, default_permissions. ATOMIC_O_TRUNC and AUTO_INVAL_DATA are cleared
 * (fs/session.c says why). */
#pragma once

#include "fs/overlay.h"

G_BEGIN_DECLS

typedef struct VfSession VfSession;

/* Takes over @fuse_fd (an already mounted /dev/fuse descriptor, made non-blocking here), @parent_fd
 * and the overlay, when it fails too.
 * @parent_fd: O_PATH descriptor of the directory that holds the mount point, or -1; @mount_name:
 * its name there. The path /proc/self/fd gives for it, now and after a rename above, is what views
 * are rendered with. */
VfSession *vf_session_new (VfOverlay *overlay, int fuse_fd, int parent_fd, const char *mount_name,
                           GError **error);
void vf_session_free (VfSession *session);
int vf_session_fd (VfSession *session);

/* Reads and answers one request with @buffer (a worker's own, kept between calls; see pool.c).
 * Returns 1 when one was handled, 0 when none waits, -ENODEV when the mount is gone. */
struct fuse_buf;
int vf_session_step (VfSession *session, struct fuse_buf *buffer);

/* Shows another image. The kernel has forgotten what it must when this returns, also when it fails.
 * Not to be called by who answers requests: the kernel waits for those. *out_hidden: as
 * VfSwitchEffect says, NULL-terminated; the caller frees. 0 or -errno. */
int vf_session_switch (VfSession *session, const VfSwitch *wanted, char ***out_hidden);

/* The mount point as it is now, absolute; the caller frees. */
char *vf_session_mount_point (VfSession *session);
/* Requests by FUSE opcode since the mount, for tests and `status --json`. */
#define VF_COUNTED_OPCODES 64
void vf_session_counts (VfSession *session, guint64 out_counts[VF_COUNTED_OPCODES]);

G_END_DECLS

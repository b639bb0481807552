/* The low-level operations of a session, and what session.c and follow.c share with them. */
#pragma once

#include <fuse_lowlevel.h>

#include "fs/session.h"

G_BEGIN_DECLS

#define VF_COUNTED_OPCODES 64

typedef struct VfFollow VfFollow;
typedef struct VfPrefetch VfPrefetch;

struct VfSession {
  VfOverlay *overlay;                 /* owned; constant as all below */
  struct fuse_session *fuse;          /* owned, with the descriptor */
  VfFollow *follow;                   /* owned */
  VfPrefetch *prefetch;               /* owned */
  gboolean can_expire;                /* the kernel can look an entry up again instead of dropping
                                         it; written in INIT */
  guint64 counts[VF_COUNTED_OPCODES]; /* atomic */
};

extern const struct fuse_lowlevel_ops vf_operations;

/* ---- invalidate.c: another image is shown */

gboolean vf_kernel_can_expire (const struct fuse_conn_info *connection);

/* ---- follow.c: views follow the mount point when the project directory is moved */

/* Takes over @parent_fd. */
VfFollow *vf_follow_new (VfSession *session, int parent_fd, const char *mount_name);
void vf_follow_free (VfFollow *follow);
/* Where the mount is now; owned by the caller. */
char *vf_follow_path (VfFollow *follow);
/* Looks where the mount is; TRUE if views have to be rendered anew because it has moved. What the
 * kernel has cached of them is invalidated soon, by another thread: the kernel may wait in there
 * for a request that this very worker has to answer. */
gboolean vf_follow_refresh (VfFollow *follow);

G_END_DECLS

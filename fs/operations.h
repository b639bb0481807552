/* The low-level operations of a session, and what its parts share. */
#pragma once

#include <fuse_lowlevel.h>

#include "fs/session.h"

G_BEGIN_DECLS

typedef struct VfFollow VfFollow;
typedef struct VfPrefetch VfPrefetch;
typedef struct VfPusher VfPusher;

struct VfSession {
  VfOverlay *overlay;                 /* owned; constant as all below */
  struct fuse_session *fuse;          /* owned, with the descriptor */
  int parent_fd;                      /* owned; or -1 */
  VfFollow *follow;                   /* owned */
  VfPusher *pusher;                   /* owned; NULL: nothing is ever pushed */
  VfPrefetch *prefetch;               /* owned; NULL along with the pusher */
  gboolean can_expire;                /* the kernel can look an entry up again instead of dropping
                                         it; written in INIT */
  guint64 init_unique;                /* of the INIT that is answered, 0: none that matters */
  guint64 counts[VF_COUNTED_OPCODES]; /* atomic */
};

extern const struct fuse_lowlevel_ops vf_operations;

static inline VfSession *
vf_request_session (fuse_req_t req)
{
  return fuse_req_userdata (req);
}

static inline VfOverlay *
vf_request_overlay (fuse_req_t req)
{
  return vf_request_session (req)->overlay;
}

/* This thread's buffer for replies, of at least @size bytes. */
char *vf_reply_buffer (gsize size);

/* ---- contents.c */

void vf_operation_read (fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                        struct fuse_file_info *info);
void vf_operation_write (fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t offset,
                         struct fuse_file_info *info);
void vf_operation_fsync (fuse_req_t req, fuse_ino_t id, int data_only, struct fuse_file_info *info);
void vf_operation_fallocate (fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length,
                             struct fuse_file_info *info);
void vf_operation_copy_file_range (fuse_req_t req, fuse_ino_t in, off_t in_offset,
                                   struct fuse_file_info *in_info, fuse_ino_t out, off_t out_offset,
                                   struct fuse_file_info *out_info, size_t size, int flags);
void vf_operation_lseek (fuse_req_t req, fuse_ino_t id, off_t offset, int whence,
                         struct fuse_file_info *info);
/* The WRITE or SETATTR that this thread answers is by somebody who may not keep setuid and setgid.
 */
gboolean vf_request_takes_setid (void);
/* Around what may copy a file up: it then ends when the caller is killed. */
void vf_request_begin_copying (fuse_req_t req);
void vf_request_end_copying (void);

/* ---- invalidate.c: another image is shown */

gboolean vf_kernel_can_expire (const struct fuse_conn_info *connection);

/* ---- follow.c: views follow the mount point when the project directory is moved */

/* @parent_fd: borrowed. */
VfFollow *vf_follow_new (VfSession *session, int parent_fd, const char *mount_name);
void vf_follow_free (VfFollow *follow);
/* Where the mount is now; owned by the caller. */
char *vf_follow_path (VfFollow *follow);
/* Looks where the mount is; TRUE if views have to be rendered anew because it has moved. What the
 * kernel has cached of them is invalidated soon, by another thread: the kernel may wait in there
 * for a request that this very worker has to answer. */
gboolean vf_follow_refresh (VfFollow *follow);

G_END_DECLS

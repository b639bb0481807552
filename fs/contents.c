/* The low-level operations on the contents of files. What changes them may have to copy a file up
 * first: that ends early only when whoever asked is killed. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fs/operations.h"
#include "fs/prefetch.h"

/* Whether the caller is dying. Any signal makes the kernel say that a request is interrupted, but
 * only a fatal one, which the kernel turns into SIGKILL, may end it. */
static gboolean
caller_is_killed (gpointer user_data)
{
  fuse_req_t req = user_data;
  if (!fuse_req_interrupted (req))
    return FALSE;
  char path[48];
  g_autofree char *status = NULL;
  g_snprintf (path, sizeof path, "/proc/%d/status", (int)fuse_req_ctx (req)->pid);
  if (!g_file_get_contents (path, &status, NULL, NULL))
    return FALSE;
  const char *pending = strstr (status, "\nSigPnd:");
  return pending && (g_ascii_strtoull (pending + strlen ("\nSigPnd:\t"), NULL, 16) &
                     (1u << (SIGKILL - 1))) != 0;
}

void
vf_request_begin_copying (fuse_req_t req)
{
  vf_overlay_interrupt_by (caller_is_killed, req);
}

void
vf_request_end_copying (void)
{
  vf_overlay_interrupt_by (NULL, NULL);
}

static void
reply_extent (fuse_req_t req, const VfExtent *extent)
{
  char *buffer = vf_reply_buffer ((gsize)extent->length + 1);
  gsize done = 0;
  while (done < extent->length) {
    ssize_t n = pread (extent->fd, buffer + done, (gsize)extent->length - done,
                       extent->offset + (goffset)done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      fuse_reply_err (req, errno);
      return;
    }
    if (n == 0)
      break;
    done += (gsize)n;
  }
  fuse_reply_buf (req, buffer, done);
}

void
vf_operation_read (fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                   struct fuse_file_info *info)
{
  VfSession *session = vf_request_session (req);
  VfRead read;
  vf_prefetch_note_read (session->prefetch, id, (guint64)offset, size);
  int result = vf_overlay_read (session->overlay, id, (guint64)offset, size, &read);
  if (result == 0 && read.bytes && vf_follow_refresh (session->follow)) {
    vf_overlay_read_done (session->overlay, &read);
    result = vf_overlay_read (session->overlay, id, (guint64)offset, size, &read);
  }
  if (result < 0) {
    fuse_reply_err (req, -result);
    return;
  }
  if (read.bytes)
    fuse_reply_buf (req, g_bytes_get_data (read.bytes, NULL), g_bytes_get_size (read.bytes));
  else
    reply_extent (req, &read.extent);
  vf_overlay_read_done (session->overlay, &read);
}

/* The kernel knows the size, so the offset is right for O_APPEND too. */
void
vf_operation_write (fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
  gsize written;
  vf_request_begin_copying (req);
  int result = vf_overlay_write (vf_request_overlay (req), id, (guint64)offset, data, size,
                                 vf_request_takes_setid (), &written);
  vf_request_end_copying ();
  if (result < 0)
    fuse_reply_err (req, -result);
  else
    fuse_reply_write (req, written);
}

void
vf_operation_fsync (fuse_req_t req, fuse_ino_t id, int data_only, struct fuse_file_info *info)
{
  fuse_reply_err (req, -vf_overlay_fsync (vf_request_overlay (req), id, data_only != 0));
}

void
vf_operation_fallocate (fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length,
                        struct fuse_file_info *info)
{
  vf_request_begin_copying (req);
  int result =
      vf_overlay_fallocate (vf_request_overlay (req), id, mode, (guint64)offset, (guint64)length);
  vf_request_end_copying ();
  fuse_reply_err (req, -result);
}

void
vf_operation_copy_file_range (fuse_req_t req, fuse_ino_t in, off_t in_offset,
                              struct fuse_file_info *in_info, fuse_ino_t out, off_t out_offset,
                              struct fuse_file_info *out_info, size_t size, int flags)
{
  gsize copied;
  vf_request_begin_copying (req);
  int result = vf_overlay_copy_range (vf_request_overlay (req), in, (guint64)in_offset, out,
                                      (guint64)out_offset, size, &copied);
  vf_request_end_copying ();
  if (result < 0)
    fuse_reply_err (req, -result);
  else
    fuse_reply_write (req, copied);
}

void
vf_operation_lseek (fuse_req_t req, fuse_ino_t id, off_t offset, int whence,
                    struct fuse_file_info *info)
{
  gint64 found;
  int result = vf_overlay_lseek (vf_request_overlay (req), id, offset, whence, &found);
  if (result < 0)
    fuse_reply_err (req, -result);
  else
    fuse_reply_lseek (req, found);
}

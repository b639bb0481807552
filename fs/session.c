/* Making, running and ending a session; what is negotiated with the kernel.
 *
 * Capabilities that are turned off, and why:
 *   ATOMIC_O_TRUNC        O_TRUNC would come with OPEN only, and there is no OPEN
 *   AUTO_INVAL_DATA       would ask for attributes at every read; nothing changes behind the mount
 *   WRITEBACK_CACHE       peers were bitten by silent corruption; sizes and times would be the
 *                         kernel's
 *   HANDLE_KILLPRIV       does not say who may keep setuid; _V2, which does, is used
 *   READDIRPLUS_AUTO      a listing always brings the attributes
 *   FLOCK_, POSIX_LOCKS   locks stay with the kernel
 *   SPLICE_READ           requests are small, and their opcode is looked at
 *   OVER_IO_URING         a thread a processor for each mount, and no interrupts
 *
 * OPEN and OPENDIR are answered ENOSYS: the kernel then opens by itself, without a message, and
 * keeps pages and listings over opens. CREATE is not offered, so it uses MKNOD. */
#include "fs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/operations.h"
#include "fs/prefetch.h"
#include "fs/pusher.h"
#include "layers/error.h"
#include "layers/io.h"

G_GNUC_PRINTF (2, 0)
static void
log_fuse (enum fuse_log_level level, const char *format, va_list args)
{
  g_autofree char *message = g_strchomp (g_strdup_vprintf (format, args));
  g_message ("libfuse: %s", message);
}

#ifdef HAVE_KILLPRIV_V2

static int
use_descriptor (struct fuse_session *fuse, int fd)
{
  /* How libfuse is told to use a descriptor that is mounted already. */
  g_autofree char *path = g_strdup_printf ("/dev/fd/%d", fd);
  return fuse_session_mount (fuse, path);
}

#else

/* libfuse has no name for HANDLE_KILLPRIV_V2, so its answer to INIT is changed on the way. */
static void
ask_for_killpriv (VfSession *session, const struct iovec *vector, int n)
{
  const struct fuse_out_header *header = vector[0].iov_base;
  if (session->init_unique == 0 || n < 2 || header->unique != session->init_unique ||
      vector[1].iov_len < G_STRUCT_OFFSET (struct fuse_init_out, max_background))
    return;
  session->init_unique = 0;
  if (header->error == 0)
    ((struct fuse_init_out *)vector[1].iov_base)->flags |= FUSE_HANDLE_KILLPRIV_V2;
}

static ssize_t
device_write (int fd, struct iovec *vector, int n, void *user_data)
{
  ask_for_killpriv (user_data, vector, n);
  return writev (fd, vector, n);
}

static ssize_t
device_read (int fd, void *buffer, size_t size, void *user_data)
{
  return read (fd, buffer, size);
}

static int
use_descriptor (struct fuse_session *fuse, int fd)
{
  const struct fuse_custom_io device = {.writev = device_write, .read = device_read};
  return fuse_session_custom_io (fuse, &device, fd);
}

#endif

static struct fuse_session *
make_fuse_session (VfSession *session, int fuse_fd, GError **error)
{
  char *argv[] = {(char *)"venvfs", NULL};
  struct fuse_args args = FUSE_ARGS_INIT (1, argv);
  fuse_set_log_func (log_fuse);
  struct fuse_session *fuse =
      fuse_session_new (&args, &vf_operations, sizeof vf_operations, session);
  fuse_opt_free_args (&args);
  if (!fuse) {
    vf_error_set (error, VF_ERROR_FAILED, "cannot make a FUSE session");
    return NULL;
  }
  if (use_descriptor (fuse, fuse_fd) < 0) {
    fuse_session_destroy (fuse);
    vf_error_set (error, VF_ERROR_FAILED, "descriptor %d is no mounted /dev/fuse", fuse_fd);
    return NULL;
  }
  return fuse;
}

/* The kernel has its attributes for good, and nothing else tells it. With a negative offset only
 * they are dropped: the kernel waits for nobody then, so a worker may do this in the middle of a
 * request. */
static void
forget_attributes (guint64 id, gpointer user_data)
{
  VfSession *session = user_data;
  fuse_lowlevel_notify_inval_inode (session->fuse, id, -1, 0);
}

VfSession *
vf_session_new (VfOverlay *overlay, int fuse_fd, int parent_fd, const char *mount_name,
                GError **error)
{
  VfSession *session = g_new0 (VfSession, 1);
  session->overlay = overlay;
  session->parent_fd = parent_fd;
  session->follow = vf_follow_new (session, parent_fd, mount_name);
  if (parent_fd >= 0 && g_strcmp0 (g_getenv ("VENVFS_PREFETCH"), "0") != 0) {
    session->pusher = vf_pusher_new (session);
    session->prefetch = vf_prefetch_new (session, parent_fd, mount_name);
  }
  int flags = fcntl (fuse_fd, F_GETFL);
  if (flags < 0 || fcntl (fuse_fd, F_SETFL, flags | O_NONBLOCK) < 0)
    vf_error_errno (error, errno, "descriptor %d of /dev/fuse", fuse_fd);
  else
    session->fuse = make_fuse_session (session, fuse_fd, error);
  if (session->fuse) {
    vf_overlay_on_touched (overlay, forget_attributes, session);
    vf_follow_refresh (session->follow);
    return session;
  }
  vf_fd_clear (&fuse_fd);
  vf_session_free (session);
  return NULL;
}

void
vf_session_free (VfSession *session)
{
  if (!session)
    return;
  vf_follow_free (session->follow);
  vf_pusher_stop (session->pusher);
  g_clear_pointer (&session->fuse, fuse_session_destroy);
  /* After the connection was closed: nobody answers its lister any more. */
  vf_prefetch_free (session->prefetch);
  vf_pusher_free (session->pusher);
  vf_overlay_free (session->overlay);
  vf_fd_clear (&session->parent_fd);
  g_free (session);
}

int
vf_session_fd (VfSession *session)
{
  return fuse_session_fd (session->fuse);
}

/* Files are made with exactly the mode that the kernel asks for and the umask of the caller, so a
 * worker has none of its own. The mask belongs to a process's view of the file system:
 * this gives the thread one that the rest of the process does not share. */
static void
prepare_thread (void)
{
  static _Thread_local gboolean is_prepared;
  if (is_prepared)
    return;
  is_prepared = TRUE;
  if (unshare (CLONE_FS) < 0)
    g_warning ("this thread cannot have a umask of its own: %s", g_strerror (errno));
  umask (0);
}

/* Of the request that this thread is at. */
static _Thread_local gboolean takes_setid;

gboolean
vf_request_takes_setid (void)
{
  return takes_setid;
}

/* What libfuse does not pass on, or not in every version. */
static void
note_request (VfSession *session, const struct fuse_buf *buffer)
{
  const struct fuse_in_header *header = buffer->mem;
  const union {
    struct fuse_init_in init;
    struct fuse_write_in write;
    struct fuse_setattr_in setattr;
  } *in = (const void *)(header + 1);
  if (buffer->size < sizeof *header)
    return;
  gsize size = buffer->size - sizeof *header;
  if (header->opcode < VF_COUNTED_OPCODES)
    __atomic_add_fetch (&session->counts[header->opcode], 1, __ATOMIC_RELAXED);
  takes_setid = (header->opcode == FUSE_WRITE && size >= sizeof in->write &&
                 (in->write.write_flags & FUSE_WRITE_KILL_SUIDGID)) ||
                (header->opcode == FUSE_SETATTR && size >= sizeof in->setattr &&
                 (in->setattr.valid & FATTR_KILL_SUIDGID));
  if (header->opcode == FUSE_INIT && size >= sizeof in->init &&
      (in->init.flags & FUSE_HANDLE_KILLPRIV_V2))
    session->init_unique = header->unique;
}

int
vf_session_step (VfSession *session, struct fuse_buf *buffer)
{
  prepare_thread ();
  if (fuse_session_exited (session->fuse))
    return -ENODEV;
  int length = fuse_session_receive_buf (session->fuse, buffer);
  if (length == -EAGAIN || length == -EINTR)
    return 0;
  if (length <= 0)
    return length == 0 ? -ENODEV : length;
  note_request (session, buffer);
  fuse_session_process_buf (session->fuse, buffer);
  return 1;
}

char *
vf_session_mount_point (VfSession *session)
{
  return vf_follow_path (session->follow);
}

void
vf_session_counts (VfSession *session, guint64 out_counts[VF_COUNTED_OPCODES])
{
  for (guint i = 0; i < VF_COUNTED_OPCODES; i++)
    out_counts[i] = __atomic_load_n (&session->counts[i], __ATOMIC_RELAXED);
}

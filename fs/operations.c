/* The low-level operations on names and attributes: look up, call the overlay, reply exactly once.
 * Those on contents are in contents.c. */
#include "fs/operations.h"
#include "fs/prefetch.h"
#include "fs/pusher.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* For ever: the daemon is the only writer. In seconds; the kernel counts it in jiffies. */
#define FOR_EVER 1e9

static void
free_buffer (gpointer buffer)
{
  g_free (buffer);
}

char *
vf_reply_buffer (gsize size)
{
  static GPrivate key = G_PRIVATE_INIT (free_buffer);
  static _Thread_local gsize allocated;
  if (allocated < size) {
    g_private_replace (&key, g_malloc (size));
    allocated = size;
  }
  return g_private_get (&key);
}

static VfCaller
caller_of (fuse_req_t req)
{
  const struct fuse_ctx *context = fuse_req_ctx (req);
  return (VfCaller){.uid = context->uid, .gid = context->gid, .umask = context->umask};
}

static struct fuse_entry_param
to_parameter (const VfEntry *entry)
{
  return (struct fuse_entry_param){.ino = entry->id,
                                   .attr = entry->st,
                                   .attr_timeout = entry->view ? 0 : FOR_EVER,
                                   .entry_timeout = FOR_EVER};
}

/* @result: what the overlay said of @entry. An entry that the kernel could not be told is
 * forgotten. */
static void
reply_entry (fuse_req_t req, int result, const VfEntry *entry)
{
  if (result < 0) {
    fuse_reply_err (req, -result);
    return;
  }
  VfOverlay *overlay = vf_request_overlay (req);
  struct fuse_entry_param parameter = to_parameter (entry);
  vf_pusher_show (vf_request_session (req)->pusher, entry);
  if (fuse_reply_entry (req, &parameter) < 0)
    vf_overlay_forget (overlay, entry->id, 1);
}

static void
reply_attributes (fuse_req_t req, int result, const VfEntry *entry)
{
  if (result < 0)
    fuse_reply_err (req, -result);
  else
    fuse_reply_attr (req, &entry->st, entry->view ? 0 : FOR_EVER);
}

static void
operation_init (void *user_data, struct fuse_conn_info *connection)
{
  VfSession *session = user_data;
  const unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS |
                          FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT |
                          FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ASYNC_DIO | FUSE_CAP_IOCTL_DIR;
  /* The kernel then checks ACLs, and leaves the umask to the file system that has them. */
  const unsigned acls = FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;
  connection->want = connection->capable & wanted;
  if ((connection->capable & acls) == acls && vf_overlay_has_acls (session->overlay))
    connection->want |= acls;
#ifdef HAVE_KILLPRIV_V2
  /* Spares the question for security.capability before each write; without it, see session.c. */
  connection->want |= connection->capable & FUSE_CAP_HANDLE_KILLPRIV_V2;
#endif
  session->can_expire = vf_kernel_can_expire (connection);
}

static void
operation_lookup (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  VfEntry entry = {0};
  VfSession *session = vf_request_session (req);
  struct fuse_entry_param hidden;
  if (parent == VF_IMAGE_ROOT_ID && vf_pusher_lookup (session->pusher, name, &hidden)) {
    fuse_reply_entry (req, &hidden);
    return;
  }
  int result = vf_overlay_lookup (session->overlay, parent, name, &entry);
  if (result == 0 && entry.view && vf_follow_refresh (session->follow))
    result = vf_overlay_getattr (session->overlay, entry.id, &entry);
  if (result == 0)
    vf_prefetch_found (session->prefetch, name, &entry);
  /* Node 0 is how the kernel is told to remember that there is nothing. */
  if (result == -ENOENT) {
    vf_prefetch_missed (session->prefetch, parent, name);
    entry = (VfEntry){0};
    result = 0;
  }
  reply_entry (req, result, &entry);
}

static void
operation_forget (fuse_req_t req, fuse_ino_t id, guint64 n)
{
  vf_overlay_forget (vf_request_overlay (req), id, n);
  fuse_reply_none (req);
}

static void
operation_forget_multi (fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
  for (size_t i = 0; i < count; i++)
    vf_overlay_forget (vf_request_overlay (req), forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none (req);
}

static void
operation_getattr (fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
  VfEntry entry;
  VfSession *session = vf_request_session (req);
  int result = vf_overlay_getattr (session->overlay, id, &entry);
  if (result == 0 && entry.view && vf_follow_refresh (session->follow))
    result = vf_overlay_getattr (session->overlay, id, &entry);
  reply_attributes (req, result, &entry);
}

static void
operation_setattr (fuse_req_t req, fuse_ino_t id, struct stat *values, int to_set,
                   struct fuse_file_info *info)
{
  static const struct {
    int fuse;
    guint overlay;
  } bits[] = {
      {FUSE_SET_ATTR_MODE, VF_SET_MODE},       {FUSE_SET_ATTR_UID, VF_SET_UID},
      {FUSE_SET_ATTR_GID, VF_SET_GID},         {FUSE_SET_ATTR_SIZE, VF_SET_SIZE},
      {FUSE_SET_ATTR_ATIME, VF_SET_ATIME},     {FUSE_SET_ATTR_MTIME, VF_SET_MTIME},
      {FUSE_SET_ATTR_ATIME_NOW, VF_SET_ATIME}, {FUSE_SET_ATTR_MTIME_NOW, VF_SET_MTIME},
  };
  guint mask = vf_request_takes_setid () ? VF_TAKE_SETID : 0;
  for (gsize i = 0; i < G_N_ELEMENTS (bits); i++)
    mask |= (to_set & bits[i].fuse) ? bits[i].overlay : 0;
  struct timespec times[2] = {values->st_atim, values->st_mtim};
  if (to_set & FUSE_SET_ATTR_ATIME_NOW)
    times[0].tv_nsec = UTIME_NOW;
  if (to_set & FUSE_SET_ATTR_MTIME_NOW)
    times[1].tv_nsec = UTIME_NOW;
  VfEntry entry;
  vf_request_begin_copying (req);
  int result = vf_overlay_setattr (vf_request_overlay (req), id, mask, values, times, &entry);
  vf_request_end_copying ();
  reply_attributes (req, result, &entry);
}

static void
operation_readlink (fuse_req_t req, fuse_ino_t id)
{
  g_autofree char *target = NULL;
  int result = vf_overlay_readlink (vf_request_overlay (req), id, &target);
  if (result < 0)
    fuse_reply_err (req, -result);
  else
    fuse_reply_readlink (req, target);
}

static void
operation_mknod (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
  VfEntry entry;
  VfCaller caller = caller_of (req);
  reply_entry (
      req, vf_overlay_mknod (vf_request_overlay (req), &caller, parent, name, mode, rdev, &entry),
      &entry);
}

static void
operation_mkdir (fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
  VfEntry entry;
  VfCaller caller = caller_of (req);
  reply_entry (req,
               vf_overlay_mkdir (vf_request_overlay (req), &caller, parent, name, mode, &entry),
               &entry);
}

static void
operation_symlink (fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
  VfEntry entry;
  VfCaller caller = caller_of (req);
  reply_entry (req,
               vf_overlay_symlink (vf_request_overlay (req), &caller, target, parent, name, &entry),
               &entry);
}

static void
operation_link (fuse_req_t req, fuse_ino_t id, fuse_ino_t new_parent, const char *new_name)
{
  VfEntry entry;
  reply_entry (req, vf_overlay_link (vf_request_overlay (req), id, new_parent, new_name, &entry),
               &entry);
}

#ifdef HAVE_TMPFILE
/* Opened like any other: RELEASE, which it alone gets, has nothing to do. */
static void
operation_tmpfile (fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *info)
{
  VfEntry entry;
  VfCaller caller = caller_of (req);
  VfOverlay *overlay = vf_request_overlay (req);
  int result = vf_overlay_tmpfile (overlay, &caller, parent, mode, &entry);
  if (result < 0) {
    fuse_reply_err (req, -result);
    return;
  }
  struct fuse_entry_param parameter = to_parameter (&entry);
  info->keep_cache = 1;
  if (fuse_reply_create (req, &parameter, info) < 0)
    vf_overlay_forget (overlay, entry.id, 1);
}
#endif

static void
operation_unlink (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  fuse_reply_err (req, -vf_overlay_unlink (vf_request_overlay (req), parent, name));
}

static void
operation_rmdir (fuse_req_t req, fuse_ino_t parent, const char *name)
{
  fuse_reply_err (req, -vf_overlay_rmdir (vf_request_overlay (req), parent, name));
}

static void
operation_rename (fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                  const char *new_name, unsigned flags)
{
  fuse_reply_err (req, -vf_overlay_rename (vf_request_overlay (req), parent, name, new_parent,
                                           new_name, flags));
}

static void
operation_open (fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
  fuse_reply_err (req, ENOSYS);
}

typedef struct {
  fuse_req_t req;
  VfOverlay *overlay;
  char *buffer;
  gsize size;
  gsize used;
  guint64 position;  /* of the entries that were put in last */
  gsize group;       /* where the first entry of that position begins */
  GArray *group_ids; /* their nodes */
  gboolean cut;      /* an entry of that position did not fit */
} Reply;

static gboolean
add_entry (const char *name, const VfEntry *entry, guint64 position, gpointer user_data)
{
  Reply *reply = user_data;
  struct fuse_entry_param parameter = to_parameter (entry);
  if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
    parameter.ino = 0;
  vf_pusher_show (vf_request_session (reply->req)->pusher, entry);
  gsize needed =
      fuse_add_direntry_plus (reply->req, reply->buffer + reply->used, reply->size - reply->used,
                              name, &parameter, (off_t)position);
  if (needed > reply->size - reply->used) {
    reply->cut = position == reply->position;
    return FALSE;
  }
  if (position != reply->position) {
    reply->position = position;
    reply->group = reply->used;
    g_array_set_size (reply->group_ids, 0);
  }
  g_array_append_val (reply->group_ids, parameter.ino);
  reply->used += needed;
  return TRUE;
}

/* A position is the same for names whose hashes are equal, so a reply must not end between them. */
static void
drop_cut_group (Reply *reply)
{
  reply->used = reply->group;
  for (guint i = 0; i < reply->group_ids->len; i++)
    vf_overlay_forget (reply->overlay, g_array_index (reply->group_ids, fuse_ino_t, i), 1);
}

static void
operation_readdirplus (fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                       struct fuse_file_info *info)
{
  if (vf_pusher_is_hidden (id)) {
    vf_pusher_list (vf_request_session (req)->pusher, req, id, vf_reply_buffer (size), size,
                    (guint64)offset);
    return;
  }
  g_autoptr (GArray) group_ids = g_array_new (FALSE, FALSE, sizeof (fuse_ino_t));
  Reply reply = {.req = req,
                 .overlay = vf_request_overlay (req),
                 .buffer = vf_reply_buffer (size),
                 .size = size,
                 .group_ids = group_ids};
  int result = vf_overlay_list (reply.overlay, id, (guint64)offset, add_entry, &reply);
  if (result == 0 && reply.cut)
    drop_cut_group (&reply);
  if (result == 0 && reply.cut && reply.used == 0)
    result = -EOVERFLOW;
  if (result < 0 && reply.used == 0)
    fuse_reply_err (req, -result);
  else
    fuse_reply_buf (req, reply.buffer, reply.used);
}

static void
operation_statfs (fuse_req_t req, fuse_ino_t id)
{
  struct statvfs statvfs;
  int result = vf_overlay_statfs (vf_request_overlay (req), &statvfs);
  if (result < 0)
    fuse_reply_err (req, -result);
  else
    fuse_reply_statfs (req, &statvfs);
}

static void
reply_attribute (fuse_req_t req, gssize result, const char *buffer, size_t size)
{
  if (result < 0)
    fuse_reply_err (req, (int)-result);
  else if (size == 0)
    fuse_reply_xattr (req, (size_t)result);
  else
    fuse_reply_buf (req, buffer, (size_t)result);
}

static void
operation_getxattr (fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
  char *buffer = vf_reply_buffer (size);
  reply_attribute (req, vf_overlay_getxattr (vf_request_overlay (req), id, name, buffer, size),
                   buffer, size);
}

static void
operation_listxattr (fuse_req_t req, fuse_ino_t id, size_t size)
{
  char *buffer = vf_reply_buffer (size);
  reply_attribute (req, vf_overlay_listxattr (vf_request_overlay (req), id, buffer, size), buffer,
                   size);
}

static void
operation_setxattr (fuse_req_t req, fuse_ino_t id, const char *name, const char *value, size_t size,
                    int flags)
{
  fuse_reply_err (req,
                  -vf_overlay_setxattr (vf_request_overlay (req), id, name, value, size, flags));
}

static void
operation_removexattr (fuse_req_t req, fuse_ino_t id, const char *name)
{
  fuse_reply_err (req, -vf_overlay_removexattr (vf_request_overlay (req), id, name));
}

/* isatty() and the like: nothing here is a device. */
static void
operation_ioctl (fuse_req_t req, fuse_ino_t id, unsigned command, void *argument,
                 struct fuse_file_info *info, unsigned flags, const void *in, size_t in_size,
                 size_t out_size)
{
  if (command == TCGETS)
    vf_prefetch_opened (vf_request_session (req)->prefetch, id);
  fuse_reply_err (req, ENOTTY);
}

const struct fuse_lowlevel_ops vf_operations = {
    .init = operation_init,
    .lookup = operation_lookup,
    .forget = operation_forget,
    .forget_multi = operation_forget_multi,
    .getattr = operation_getattr,
    .setattr = operation_setattr,
    .readlink = operation_readlink,
    .mknod = operation_mknod,
    .mkdir = operation_mkdir,
    .symlink = operation_symlink,
    .link = operation_link,
    .unlink = operation_unlink,
    .rmdir = operation_rmdir,
    .rename = operation_rename,
    .open = operation_open,
    .opendir = operation_open,
    .read = vf_operation_read,
    .write = vf_operation_write,
    .fsync = vf_operation_fsync,
    .fsyncdir = vf_operation_fsync,
    .readdirplus = operation_readdirplus,
    .statfs = operation_statfs,
    .getxattr = operation_getxattr,
    .listxattr = operation_listxattr,
    .setxattr = operation_setxattr,
    .removexattr = operation_removexattr,
    .ioctl = operation_ioctl,
    .fallocate = vf_operation_fallocate,
    .copy_file_range = vf_operation_copy_file_range,
    .lseek = vf_operation_lseek,
#ifdef HAVE_TMPFILE
    .tmpfile = operation_tmpfile,
#endif
};

#include "tools/fuse-mount.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tools/mountinfo.h"

#define DEVICE     "/dev/fuse"
#define COMMFD     "_FUSE_COMMFD"
#define LINE_BYTES 1024
/* Where the child finds its end of the socket. */
#define CHILD_FD 3

extern char **environ;

char *
vf_fuse_find_fusermount (void)
{
  const char *given = g_getenv ("VENVFS_FUSERMOUNT");
  if (given != NULL)
    return access (given, X_OK) == 0 ? g_strdup (given) : NULL;
  char *found = g_find_program_in_path ("fusermount3");
  if (found == NULL && access ("/usr/bin/fusermount3", X_OK) == 0)
    found = g_strdup ("/usr/bin/fusermount3");
  return found;
}

static gboolean
explain_no_device (int errnum, GError **error)
{
  if (errnum == ENOENT || errnum == ENODEV || errnum == ENXIO)
    return vf_error_set (error, VF_ERROR_FAILED,
                         DEVICE ": is not there; load the module (modprobe fuse), or give the "
                                "container the device (--device /dev/fuse)");
  if (errnum == EACCES && geteuid () != 0)
    return vf_error_set (
        error, VF_ERROR_FAILED,
        DEVICE ": is closed to ordinary users here; root can open it: chmod 0666 " DEVICE);
  if (errnum == EACCES || errnum == EPERM)
    return vf_error_set (error, VF_ERROR_FAILED,
                         DEVICE ": may not be used here; a container needs --device /dev/fuse "
                                "--cap-add SYS_ADMIN");
  return vf_error_errno (error, errnum, DEVICE ": cannot be opened");
}

static gboolean
explain_no_mount (int errnum, const char *path, GError **error)
{
  if (errnum == ENOSPC)
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: there are as many mounts as fs.mount-max allows; unmount some, or "
                         "raise it with sysctl",
                         path);
  if (errnum == EPERM || errnum == EACCES)
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: mounting is not permitted here; a container needs --device /dev/fuse "
                         "--cap-add SYS_ADMIN",
                         path);
  return vf_error_errno (error, errnum, "%s: cannot be mounted", path);
}

/* The device number without a request to a daemon that does not serve yet. */
static dev_t
device_of (int dir_fd, const char *path)
{
  struct statx stx;
  if (statx (dir_fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &stx) < 0)
    return 0;
  return makedev (stx.stx_dev_major, stx.stx_dev_minor);
}

static gboolean
configure (int fs_fd, int fuse_fd, const VfFuseOptions *options)
{
  char fd[16], uid[16], gid[16];
  g_snprintf (fd, sizeof fd, "%d", fuse_fd);
  g_snprintf (uid, sizeof uid, "%u", (unsigned)geteuid ());
  g_snprintf (gid, sizeof gid, "%u", (unsigned)getegid ());
  const char *pairs[][2] = {
      {"source", options->source}, {"subtype", "venvfs"}, {"fd", fd},
      {"rootmode", "40000"},       {"user_id", uid},      {"group_id", gid},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (pairs); i++)
    if (fsconfig (fs_fd, FSCONFIG_SET_STRING, pairs[i][0], pairs[i][1], 0) < 0)
      return FALSE;
  if (fsconfig (fs_fd, FSCONFIG_SET_FLAG, "default_permissions", NULL, 0) < 0)
    return FALSE;
  if (options->allow_other && fsconfig (fs_fd, FSCONFIG_SET_FLAG, "allow_other", NULL, 0) < 0)
    return FALSE;
  return fsconfig (fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0;
}

static guint64
attributes_of (const VfMountFlags *flags)
{
  return (flags->suid ? 0 : MOUNT_ATTR_NOSUID) | (flags->dev ? 0 : MOUNT_ATTR_NODEV) |
         (flags->read_only ? MOUNT_ATTR_RDONLY : 0) | (flags->noexec ? MOUNT_ATTR_NOEXEC : 0) |
         (flags->noatime ? MOUNT_ATTR_NOATIME : 0) |
         (flags->nosymfollow ? MOUNT_ATTR_NOSYMFOLLOW : 0);
}

gboolean
vf_fuse_remount (const char *path, const VfMountFlags *flags, GError **error)
{
  struct mount_attr wanted = {
      .attr_set = attributes_of (flags),
      .attr_clr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                  MOUNT_ATTR__ATIME | MOUNT_ATTR_NOSYMFOLLOW,
  };
  if (mount_setattr (AT_FDCWD, path, 0, &wanted, sizeof wanted) == 0)
    return TRUE;
  if (errno == EBUSY)
    return vf_error_set (error, VF_ERROR_BUSY,
                         "%s: a file in it is open for writing; close it, and make it read-only "
                         "then",
                         path);
  return vf_error_errno (error, errno, "%s: cannot be remounted", path);
}

static gboolean
open_as_root (const VfMountPoint *point, const VfFuseOptions *options, VfFuseMount *mount,
              GError **error)
{
  mount->fuse_fd = open (DEVICE, O_RDWR | O_CLOEXEC);
  if (mount->fuse_fd < 0)
    return explain_no_device (errno, error);
  VF_AUTOFD fs_fd = fsopen ("fuse", FSOPEN_CLOEXEC);
  if (fs_fd < 0)
    return errno == ENODEV ? explain_no_device (errno, error)
                           : explain_no_mount (errno, point->path, error);
  if (!configure (fs_fd, mount->fuse_fd, options))
    return explain_no_mount (errno, point->path, error);
  mount->mount_fd = fsmount (fs_fd, FSMOUNT_CLOEXEC, (unsigned)attributes_of (&options->flags));
  if (mount->mount_fd < 0)
    return explain_no_mount (errno, point->path, error);
  mount->device = device_of (mount->mount_fd, "");
  return TRUE;
}

/* fusermount3's own words, made ours where the remedy is known. */
static gboolean
explain_fusermount (const char *path, char *words, GError **error)
{
  g_strstrip (words);
  const char *text = g_str_has_prefix (words, "fusermount3: ") ? words + 13 : words;
  if (strstr (text, "user_allow_other") != NULL)
    return vf_error_set (
        error, VF_ERROR_FAILED,
        "%s: --allow-other is not open to ordinary users here; root has to put the "
        "line user_allow_other into /etc/fuse.conf",
        path);
  if (strstr (text, "mount_max") != NULL)
    return vf_error_set (
        error, VF_ERROR_FAILED,
        "%s: there are as many FUSE mounts as /etc/fuse.conf allows; unmount some, "
        "or root has to raise mount_max there",
        path);
  if (strstr (text, "No space left") != NULL)
    return explain_no_mount (ENOSPC, path, error);
  if (strstr (text, DEVICE) != NULL || strstr (text, "device not found") != NULL)
    return explain_no_device (strstr (text, "ermi") != NULL ? EACCES : ENOENT, error);
  if (strstr (text, "not permitted") != NULL)
    return explain_no_mount (EPERM, path, error);
  return vf_error_set (error, VF_ERROR_FAILED, "%s: cannot be mounted: fusermount3: %s", path,
                       text[0] != '\0' ? text : "says nothing");
}

/* A child's stderr as far as it fits, its exit awaited. TRUE when it succeeded. */
static gboolean
wait_for_child (pid_t pid, int stderr_fd, char words[LINE_BYTES])
{
  gsize length = 0;
  ssize_t n;
  while (length + 1 < LINE_BYTES &&
         ((n = read (stderr_fd, words + length, LINE_BYTES - 1 - length)) > 0 ||
          (n < 0 && errno == EINTR)))
    length += n > 0 ? (gsize)n : 0;
  words[length] = '\0';
  int status;
  while (waitpid (pid, &status, 0) < 0)
    if (errno != EINTR)
      return FALSE;
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

/* Runs fusermount3 with @comm_fd as its CHILD_FD, if it is not negative; its stderr goes to a pipe,
 * whose reading end is *out_stderr. 0 or an errno. It leads a session of its own: a Ctrl-C on the
 * terminal must not end it halfway. */
static int
spawn_fusermount (const char *program, char *const arguments[], int comm_fd, pid_t *out_pid,
                  int *out_stderr)
{
  int ends[2];
  if (pipe2 (ends, O_CLOEXEC) < 0)
    return errno;
  g_auto (GStrv) environment = g_environ_setenv (g_get_environ (), "LC_ALL", "C", TRUE);
  environment = g_environ_setenv (environment, COMMFD, G_STRINGIFY (CHILD_FD), TRUE);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2 (&actions, STDIN_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2 (&actions, ends[1], STDERR_FILENO);
  if (comm_fd >= 0)
    posix_spawn_file_actions_adddup2 (&actions, comm_fd, CHILD_FD);
  posix_spawnattr_t attributes;
  posix_spawnattr_init (&attributes);
  posix_spawnattr_setflags (&attributes, POSIX_SPAWN_SETSID);
  int failure = posix_spawn (out_pid, program, &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy (&attributes);
  posix_spawn_file_actions_destroy (&actions);
  close (ends[1]);
  if (failure != 0)
    close (ends[0]);
  else
    *out_stderr = ends[0];
  return failure;
}

/* The descriptor that fusermount3 sends (SCM_RIGHTS), or -1. */
static int
receive_descriptor (int socket_fd)
{
  char byte;
  struct iovec iov = {.iov_base = &byte, .iov_len = 1};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE (sizeof (int))];
  } control;
  struct msghdr message = {
      .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do
    n = recvmsg (socket_fd, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR (&message) : NULL;
  if (header == NULL || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN (sizeof (int)))
    return -1;
  int fd;
  memcpy (&fd, CMSG_DATA (header), sizeof fd);
  return fd;
}

static gboolean
find_fusermount (char **out_program, GError **error)
{
  *out_program = vf_fuse_find_fusermount ();
  return *out_program != NULL ||
         vf_error_set (error, VF_ERROR_FAILED,
                       "fusermount3: is not installed, and without it only root can mount; install "
                       "the package fuse3");
}

/* A comma ends an option, but for one behind a backslash. */
static char *
fusermount_options (const VfFuseOptions *options)
{
  g_autoptr (GString) text = g_string_new ("fsname=");
  for (const char *at = options->source; *at != '\0'; at++)
    g_string_append_printf (text, "%s%c", *at == ',' || *at == '\\' ? "\\" : "", *at);
  g_string_append (text, ",subtype=venvfs,default_permissions,nosuid,nodev");
  g_string_append (text, options->allow_other ? ",allow_other" : "");
  g_string_append (text, options->flags.read_only ? ",ro" : "");
  g_string_append (text, options->flags.noexec ? ",noexec" : "");
  g_string_append (text, options->flags.noatime ? ",noatime" : "");
  g_string_append (text, options->flags.nosymfollow ? ",nosymfollow" : "");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static gboolean
open_as_user (const VfMountPoint *point, const VfFuseOptions *options, VfFuseMount *mount,
              GError **error)
{
  g_autofree char *program = NULL;
  if (access (DEVICE, F_OK) < 0)
    return explain_no_device (errno, error);
  if (!find_fusermount (&program, error))
    return FALSE;
  int ends[2];
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    return vf_error_errno (error, errno, "%s: cannot make a socket", point->path);
  VF_AUTOFD own_end = ends[0];
  VF_AUTOFD child_end = ends[1];
  g_autofree char *text = fusermount_options (options);
  char *const arguments[] = {program, (char *)"-o", text, (char *)"--", point->path, NULL};
  pid_t pid;
  VF_AUTOFD stderr_fd = -1;
  int failure = spawn_fusermount (program, arguments, child_end, &pid, &stderr_fd);
  if (failure != 0)
    return vf_error_errno (error, failure, "%s: cannot be started", program);
  vf_fd_clear (&child_end);
  mount->fuse_fd = receive_descriptor (own_end);
  char words[LINE_BYTES];
  gboolean done = wait_for_child (pid, stderr_fd, words);
  if (!done || mount->fuse_fd < 0)
    return explain_fusermount (point->path, words, error);
  mount->device = device_of (AT_FDCWD, point->path);
  return TRUE;
}

gboolean
vf_fuse_mount_open (const VfMountPoint *point, const VfFuseOptions *options, VfFuseMount *out_mount,
                    GError **error)
{
  out_mount->fuse_fd = out_mount->mount_fd = -1;
  out_mount->device = 0;
  gboolean done = geteuid () == 0 ? open_as_root (point, options, out_mount, error)
                                  : open_as_user (point, options, out_mount, error);
  if (!done)
    vf_fuse_mount_clear (out_mount, point, FALSE);
  return done;
}

gboolean
vf_fuse_mount_attach (VfFuseMount *mount, const VfMountPoint *point, GError **error)
{
  if (mount->mount_fd < 0)
    return TRUE;
  if (move_mount (mount->mount_fd, "", point->directory_fd, "",
                  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
    return explain_no_mount (errno, point->path, error);
  vf_fd_clear (&mount->mount_fd);
  return TRUE;
}

void
vf_fuse_mount_clear (VfFuseMount *mount, const VfMountPoint *point, gboolean undo)
{
  gboolean attached = mount->fuse_fd >= 0 && mount->mount_fd < 0;
  vf_fd_clear (&mount->mount_fd);
  vf_fd_clear (&mount->fuse_fd);
  if (undo && attached)
    vf_fuse_unmount (point->path, TRUE, NULL);
}

static gboolean
unmount_as_user (const char *path, gboolean lazy, GError **error)
{
  g_autofree char *program = NULL;
  if (!find_fusermount (&program, error))
    return FALSE;
  char *const arguments[] = {program, (char *)(lazy ? "-uz" : "-u"), (char *)"--", (char *)path,
                             NULL};
  pid_t pid;
  VF_AUTOFD stderr_fd = -1;
  int failure = spawn_fusermount (program, arguments, -1, &pid, &stderr_fd);
  if (failure != 0)
    return vf_error_errno (error, failure, "%s: cannot be started", program);
  char words[LINE_BYTES];
  if (wait_for_child (pid, stderr_fd, words))
    return TRUE;
  if (strstr (words, "busy") != NULL)
    return vf_error_errno (error, EBUSY, "%s", path);
  g_strstrip (words);
  return vf_error_set (error, VF_ERROR_FAILED, "%s: cannot be unmounted: %s", path, words);
}

gboolean
vf_fuse_unmount (const char *path, gboolean lazy, GError **error)
{
  if (umount2 (path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
    return TRUE;
  if (errno == EPERM && geteuid () != 0)
    return unmount_as_user (path, lazy, error);
  if (errno == EBUSY)
    return vf_error_errno (error, EBUSY, "%s", path);
  return vf_error_errno (error, errno, "%s: cannot be unmounted", path);
}

gboolean
vf_fuse_is_dead (const char *path)
{
  /* stat() is answered from what the kernel remembers, statfs() never. */
  struct statfs st;
  return statfs (path, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

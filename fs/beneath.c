#include "fs/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "layers/io.h"

/* RESOLVE_NO_MAGICLINKS is implied by NO_SYMLINKS. EAGAIN: a rename raced with the walk. */
static int
open_piece (int dir_fd, const char *path, int flags, mode_t mode)
{
  struct open_how how = {.flags = (guint64)(flags | O_CLOEXEC | O_NOFOLLOW),
                         .mode = (flags & O_CREAT) ? mode : 0,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
  /* O_PATH|O_NOFOLLOW is how a symlink itself is opened, which NO_SYMLINKS permits. */
  for (;;) {
    int fd = (int)syscall (SYS_openat2, dir_fd, path, &how, sizeof how);
    if (fd >= 0)
      return fd;
    if (errno != EAGAIN && errno != EINTR)
      return -errno;
  }
}

/* The last slash such that what stands before it fits into one system call. */
static const char *
last_slash_that_fits (const char *path)
{
  const char *slash = path + PATH_MAX - 2;
  while (slash > path && *slash != '/')
    slash--;
  return slash > path ? slash : NULL;
}

int
vf_beneath_open (int dir_fd, const char *path, int flags, mode_t mode)
{
  VF_AUTOFD walked_fd = -1;
  while (strlen (path) >= PATH_MAX) {
    const char *slash = last_slash_that_fits (path);
    if (!slash)
      return -ENAMETOOLONG;
    g_autofree char *piece = g_strndup (path, (gsize)(slash - path));
    int fd = open_piece (walked_fd >= 0 ? walked_fd : dir_fd, piece, O_PATH | O_DIRECTORY, 0);
    if (fd < 0)
      return fd;
    vf_fd_clear (&walked_fd);
    walked_fd = fd;
    path = slash + 1;
  }
  return open_piece (walked_fd >= 0 ? walked_fd : dir_fd, path, flags, mode);
}

/* Two at once would take each other's momentary mode for the real one. */
static GMutex forcing;
static gint n_forcings; /* odd while a mode is not what it was */

typedef struct {
  int fd; /* -1: nothing to put back */
  mode_t mode;
} Lifted;

static void
lift (Lifted *lifted, int fd)
{
  VfProcPath path;
  struct stat st;
  lifted->fd = -1;
  if (fd < 0 || fstat (fd, &st) < 0 || (!S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode)))
    return;
  mode_t all = S_ISDIR (st.st_mode) ? 0700 : 0600;
  lifted->mode = st.st_mode & 07777;
  if ((lifted->mode & all) != all &&
      chmod (vf_proc_path (&path, fd, NULL), lifted->mode | all) == 0)
    lifted->fd = fd;
}

static void
put_back (const Lifted *lifted)
{
  VfProcPath path;
  if (lifted->fd >= 0)
    chmod (vf_proc_path (&path, lifted->fd, NULL), lifted->mode);
}

static void
begin_forcing (void)
{
  g_mutex_lock (&forcing);
  g_atomic_int_inc (&n_forcings);
}

static void
end_forcing (void)
{
  g_atomic_int_inc (&n_forcings);
  g_mutex_unlock (&forcing);
}

int
vf_beneath_forced (int dir_fd, const char *name, VfBeneathFunc func, gpointer data)
{
  int result = func (data);
  if (result != -EACCES)
    return result;
  Lifted directory, object;
  begin_forcing ();
  lift (&directory, dir_fd);
  VF_AUTOFD fd = name ? vf_beneath_open (dir_fd, name, O_PATH, 0) : -1;
  lift (&object, fd);
  result = func (data);
  put_back (&object);
  put_back (&directory);
  end_forcing ();
  return result;
}

typedef struct {
  int dir_fd;
  const char *name;
  int flags;
  struct stat *st;
} Target;

static int
open_target (gpointer data)
{
  const Target *target = data;
  return vf_beneath_open (target->dir_fd, target->name, target->flags, 0);
}

int
vf_beneath_open_forced (int dir_fd, const char *name, int flags)
{
  Target target = {.dir_fd = dir_fd, .name = name, .flags = flags};
  return vf_beneath_forced (dir_fd, name, open_target, &target);
}

int
vf_beneath_open_directory (int dir_fd, const char *path)
{
  int opened = vf_beneath_open (dir_fd, path, O_PATH | O_DIRECTORY, 0);
  if (opened != -EACCES)
    return opened;
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  VF_AUTOFD walked_fd = -1;
  for (char **name = names; *name; name++) {
    int fd =
        vf_beneath_open_forced (walked_fd >= 0 ? walked_fd : dir_fd, *name, O_PATH | O_DIRECTORY);
    if (fd < 0)
      return fd;
    vf_fd_clear (&walked_fd);
    walked_fd = fd;
  }
  return vf_fd_steal (&walked_fd);
}

static int
stat_target (gpointer data)
{
  const Target *target = data;
  return fstatat (target->dir_fd, target->name, target->st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int
vf_beneath_stat (int dir_fd, const char *name, struct stat *out_st)
{
  Target target = {.dir_fd = dir_fd, .name = name, .st = out_st};
  for (;;) {
    gint before = g_atomic_int_get (&n_forcings);
    if (before % 2 != 0) {
      g_mutex_lock (&forcing);
      g_mutex_unlock (&forcing);
      continue;
    }
    int result = stat_target (&target);
    if (result == -EACCES)
      return vf_beneath_forced (dir_fd, NULL, stat_target, &target);
    if (g_atomic_int_get (&n_forcings) == before)
      return result;
  }
}

int
vf_beneath_rename (int from_fd, const char *from, int to_fd, const char *to, guint flags)
{
  if (renameat2 (from_fd, from, to_fd, to, flags) == 0)
    return 0;
  if (errno != EACCES)
    return -errno;
  Lifted lifted[4];
  begin_forcing ();
  lift (&lifted[0], from_fd);
  lift (&lifted[1], to_fd);
  VF_AUTOFD source_fd = vf_beneath_open (from_fd, from, O_PATH, 0);
  lift (&lifted[2], source_fd);
  VF_AUTOFD target_fd = (flags & RENAME_EXCHANGE) ? vf_beneath_open (to_fd, to, O_PATH, 0) : -1;
  lift (&lifted[3], target_fd);
  int result = renameat2 (from_fd, from, to_fd, to, flags) < 0 ? -errno : 0;
  for (gsize i = G_N_ELEMENTS (lifted); i-- > 0;)
    put_back (&lifted[i]);
  end_forcing ();
  return result;
}

typedef struct {
  int from_fd, to_fd;
  const char *from, *to;
} Link;

static int
link_target (gpointer data)
{
  const Link *link = data;
  return linkat (link->from_fd, link->from, link->to_fd, link->to, 0) < 0 ? -errno : 0;
}

int
vf_beneath_link (int from_fd, const char *from, int to_fd, const char *to)
{
  Link link = {.from_fd = from_fd, .to_fd = to_fd, .from = from, .to = to};
  return vf_beneath_forced (from_fd, NULL, link_target, &link);
}

/* Who looks into the directory or changes it has a lock on it (flock): shared for a look, and
 * exclusive from the claim until the point is freed. So nobody sees half a sentinel, and nobody
 * takes away what another one is about to mount on. */
#include "tools/mount-point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tools/interrupt.h"
#include "tools/mountinfo.h"
#include "tools/sentinel.h"

#define SEALED_MODE 0555
/* A mount takes milliseconds, on a busy machine a few seconds. */
#define LOCK_SECONDS   20
#define LOCK_POLL_USEC 2000
#define CLAIM_ATTEMPTS 100

void
vf_mount_point_free (VfMountPoint *point)
{
  g_free (point->path);
  g_free (point->name);
  vf_fd_clear (&point->parent_fd);
  vf_fd_clear (&point->directory_fd);
  g_free (point);
}

/* realpath() of as much of @path as exists, the rest as written. */
static char *
resolve_existing (const char *path)
{
  char resolved[PATH_MAX];
  if (realpath (path, resolved) != NULL)
    return g_strdup (resolved);
  if (errno != ENOENT)
    return NULL;
  g_autofree char *parent = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  /* ".." of what does not exist has no meaning. */
  if (g_str_equal (name, "..") || g_str_equal (name, ".")) {
    errno = ENOENT;
    return NULL;
  }
  g_autofree char *above = resolve_existing (parent);
  return above != NULL ? g_build_filename (above, name, NULL) : NULL;
}

char *
vf_mount_point_normalise (const char *path, GError **error)
{
  g_autofree char *directory = g_path_is_absolute (path) ? NULL : g_get_current_dir ();
  g_autofree char *absolute = g_build_filename (directory != NULL ? directory : "/", path, NULL);
  gsize length = strlen (absolute);
  while (length > 1 && absolute[length - 1] == '/')
    absolute[--length] = '\0';
  g_autofree char *name = g_path_get_basename (absolute);
  gboolean whole = g_str_equal (name, "..") || g_str_equal (name, ".") || length == 1;
  g_autofree char *parent = g_path_get_dirname (absolute);
  g_autofree char *above = resolve_existing (whole ? absolute : parent);
  if (above != NULL)
    return whole ? g_steal_pointer (&above) : g_build_filename (above, name, NULL);
  vf_error_errno (error, errno, "%s: is no place to mount at", path);
  return NULL;
}

/* The only thing in the directory may be a sentinel. */
static gboolean
check_empty (const VfMountPoint *point, GError **error)
{
  g_autoptr (DIR) dir = vf_dir_open (point->directory_fd, ".");
  gboolean ordinary = FALSE;
  guint n_entries = 0;
  const char *name;
  while (dir != NULL && (name = vf_dir_next (dir)) != NULL) {
    ordinary |= g_str_equal (name, "pyvenv.cfg");
    VfSentinel sentinel;
    n_entries += !(g_str_equal (name, VF_SENTINEL_NAME) &&
                   vf_sentinel_read (point->directory_fd, &sentinel));
  }
  if (errno != 0)
    return vf_error_errno (error, errno, "%s: cannot be read", point->path);
  if (n_entries == 0)
    return TRUE;
  return vf_error_set (error, VF_ERROR_INVALID, "%s: %s; move it away, or mount somewhere else",
                       point->path,
                       ordinary ? "holds an ordinary virtual environment" : "is not empty");
}

static gboolean
check_mounted (const char *path, GError **error)
{
  g_autoptr (GPtrArray) table = vf_mountinfo_read (error);
  if (table == NULL)
    return FALSE;
  const VfMountEntry *at = vf_mountinfo_at (table, path);
  if (at != NULL && g_str_equal (at->type, VF_MOUNT_TYPE))
    return vf_error_set (error, VF_ERROR_BUSY,
                         "%s: the environment '%s' is mounted here; venvfs umount %s unmounts it",
                         path, at->source, path);
  if (at != NULL)
    return vf_error_set (error, VF_ERROR_BUSY,
                         "%s: a file system (%s) is mounted here; mount somewhere else", path,
                         at->type);
  const VfMountEntry *around = vf_mountinfo_containing (table, path);
  return around == NULL ||
         vf_error_set (error, VF_ERROR_INVALID,
                       "%s: lies in %s, where the environment '%s' is mounted; mount outside of it",
                       path, around->path, around->source);
}

static gboolean
check_place (const char *path, const VfMountPointRules *rules, GError **error)
{
  if (strchr (path, ':') != NULL)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: has a ':' in it, which PATH cannot hold; mount somewhere else", path);
  if (strchr (path, '\n') != NULL)
    return vf_error_set (
        error, VF_ERROR_INVALID,
        "%s: has a line break in it, which pyvenv.cfg cannot hold; mount somewhere "
        "else",
        path);
  if (vf_path_is_within (rules->store, path))
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: a mount here would hide the store %s; mount somewhere else", path,
                         rules->store);
  if (vf_path_is_within (path, rules->store))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: lies in the store %s; mount outside of it",
                         path, rules->store);
  char real[PATH_MAX];
  gboolean hides_python =
      vf_path_is_within (rules->interpreter, path) ||
      (realpath (rules->interpreter, real) != NULL && vf_path_is_within (real, path));
  return !hides_python ||
         vf_error_set (error, VF_ERROR_INVALID,
                       "%s: a mount here would hide the interpreter %s; mount somewhere else", path,
                       rules->interpreter);
}

static gboolean
explain_taken (const VfMountPoint *point, GError **error)
{
  return vf_error_set (error, VF_ERROR_BUSY,
                       "%s: another venvfs command mounts something here; try again", point->path);
}

static gboolean
lock_directory (const VfMountPoint *point, int operation, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + LOCK_SECONDS * G_TIME_SPAN_SECOND;
  while (flock (point->directory_fd, operation | LOCK_NB) < 0) {
    /* A file system without locks: whoever mounts there at the same time has to look out. */
    if (errno != EWOULDBLOCK && errno != EINTR)
      return TRUE;
    if (g_get_monotonic_time () > deadline)
      return explain_taken (point, error);
    if (!vf_interrupt_check (error))
      return FALSE;
    g_usleep (LOCK_POLL_USEC);
  }
  return TRUE;
}

/* Locked: what is in the directory, and what it was before. */
static gboolean
examine (VfMountPoint *point, GError **error)
{
  struct stat st;
  if (fstat (point->directory_fd, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot be examined", point->path);
  VfSentinel sentinel;
  if (vf_sentinel_read (point->directory_fd, &sentinel)) {
    point->mode = sentinel.mode;
    point->n_made = sentinel.n_made;
    point->prepared = FALSE;
  } else
    point->mode = st.st_mode & 07777;
  if (geteuid () != 0 && st.st_uid != geteuid ())
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: is not yours; mount at a directory of your own", point->path);
  return check_empty (point, error);
}

/* The directory itself, if it is there. */
static gboolean
check_directory (VfMountPoint *point, GError **error)
{
  VF_AUTOFD fd = openat (point->parent_fd, point->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat st;
  if (fd < 0 && errno == ENOENT)
    return TRUE;
  if (fd < 0 || fstat (fd, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot be examined", point->path);
  if (S_ISLNK (st.st_mode))
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: is a symbolic link, and a mount point is a directory; remove it, or "
                         "mount where it points to",
                         point->path);
  if (!S_ISDIR (st.st_mode))
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: is not a directory; remove it, or mount somewhere else", point->path);
  point->directory_fd = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (point->directory_fd < 0)
    return vf_error_errno (error, errno, "%s: cannot be opened", point->path);
  if (!lock_directory (point, LOCK_SH, error))
    return FALSE;
  gboolean good = examine (point, error);
  flock (point->directory_fd, LOCK_UN);
  return good;
}

VfMountPoint *
vf_mount_point_check (const char *path, const VfMountPointRules *rules, GError **error)
{
  g_autofree char *normal = vf_mount_point_normalise (path, error);
  if (normal == NULL || !check_place (normal, rules, error) || !check_mounted (normal, error))
    return NULL;
  g_autoptr (VfMountPoint) point = g_new0 (VfMountPoint, 1);
  point->parent_fd = point->directory_fd = -1;
  point->mode = 0755;
  point->path = g_steal_pointer (&normal);
  point->name = g_path_get_basename (point->path);
  g_autofree char *parent = g_path_get_dirname (point->path);
  point->parent_fd = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (point->parent_fd < 0 && errno != ENOENT) {
    vf_error_errno (error, errno, "%s: cannot be opened", parent);
    return NULL;
  }
  g_autoptr (GError) cause = NULL;
  if (point->parent_fd < 0 || check_directory (point, &cause))
    return g_steal_pointer (&point);
  /* What was seen may have been a mount that came in this moment. */
  if (check_mounted (point->path, error))
    g_propagate_error (error, g_steal_pointer (&cause));
  return NULL;
}

/* mkdir -p; counts what it made. */
static gboolean
make_directories (const char *path, guint *n_made, GError **error)
{
  if (mkdir (path, 0777) == 0) {
    *n_made += 1;
    return TRUE;
  }
  if (errno == EEXIST)
    return TRUE;
  if (errno != ENOENT)
    return vf_error_errno (error, errno, "%s: cannot be made", path);
  g_autofree char *parent = g_path_get_dirname (path);
  if (!make_directories (parent, n_made, error))
    return FALSE;
  if (mkdir (path, 0777) == 0)
    *n_made += 1;
  else if (errno != EEXIST)
    return vf_error_errno (error, errno, "%s: cannot be made", path);
  return TRUE;
}

/* Removes @n directories from @path upwards, as far as they are empty. */
static void
remove_directories (const char *path, guint n)
{
  g_autofree char *next = g_strdup (path);
  while (n > 0 && next[1] != '\0') {
    if (rmdir (next) == 0)
      n--;
    else if (errno != ENOENT)
      return;
    char *parent = g_path_get_dirname (next);
    g_free (next);
    next = parent;
  }
}

/* Opens the directory, which is made if need be. TRUE without a descriptor: another command, whose
 * mount failed, has removed it in this moment. */
static gboolean
make_directory (VfMountPoint *point, GError **error)
{
  point->n_made = 0;
  point->prepared = TRUE;
  if (!make_directories (point->path, &point->n_made, error)) {
    remove_directories (point->path, point->n_made);
    return FALSE;
  }
  g_autofree char *parent = g_path_get_dirname (point->path);
  vf_fd_clear (&point->parent_fd);
  point->parent_fd = open (parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (point->parent_fd >= 0)
    point->directory_fd =
        openat (point->parent_fd, point->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return point->directory_fd >= 0 || errno == ENOENT ||
         vf_error_errno (error, errno, "%s: cannot be opened", point->path);
}

static gboolean
is_in_place (const VfMountPoint *point)
{
  struct stat mine, there;
  return fstat (point->directory_fd, &mine) == 0 &&
         fstatat (point->parent_fd, point->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

gboolean
vf_mount_point_claim (VfMountPoint *point, GError **error)
{
  for (guint attempt = 0; attempt < CLAIM_ATTEMPTS; attempt++) {
    if (point->directory_fd < 0 && !make_directory (point, error))
      return FALSE;
    if (point->directory_fd < 0)
      continue;
    if (!lock_directory (point, LOCK_EX, error) || !check_mounted (point->path, error))
      return FALSE;
    if (is_in_place (point))
      return examine (point, error);
    vf_fd_clear (&point->directory_fd);
  }
  return explain_taken (point, error);
}

gboolean
vf_mount_point_prepare (VfMountPoint *point, const VfMountPointRules *rules, GError **error)
{
  VfSentinel sentinel;
  if (!vf_sentinel_read (point->directory_fd, &sentinel))
    point->prepared = TRUE;
  sentinel = (VfSentinel){.n_made = point->n_made, .mode = point->mode};
  g_strlcpy (sentinel.name, rules->name, sizeof sentinel.name);
  g_autofree char *text = vf_sentinel_text (&sentinel, point->path, rules->store_given);
  gboolean same = vf_sentinel_is (point->directory_fd, text);
  if (same && geteuid () == 0)
    return TRUE;
  if (fchmod (point->directory_fd, 0755) < 0)
    return vf_error_errno (error, errno, "%s: cannot change its mode", point->path);
  return same || vf_sentinel_write (point->directory_fd, text, point->path, error);
}

void
vf_mount_point_seal (VfMountPoint *point)
{
  fchmod (point->directory_fd, SEALED_MODE);
}

void
vf_mount_point_reseal (const char *path, const char *former)
{
  VF_AUTOFD fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  VfSentinel sentinel;
  if (fd < 0 || !vf_sentinel_read (fd, &sentinel))
    return;
  if (former != NULL && !g_str_equal (former, path))
    vf_sentinel_move (fd, former, path);
  fchmod (fd, SEALED_MODE);
}

static void
give_back (const char *path, int directory_fd, guint n_made, guint mode)
{
  if (directory_fd >= 0) {
    fchmod (directory_fd, 0755);
    unlinkat (directory_fd, VF_SENTINEL_NAME, 0);
    fchmod (directory_fd, mode);
  }
  remove_directories (path, n_made);
}

void
vf_mount_point_abandon (VfMountPoint *point)
{
  if (point->prepared)
    give_back (point->path, point->directory_fd, point->n_made, point->mode);
  else if (point->directory_fd >= 0)
    vf_mount_point_seal (point);
}

gboolean
vf_mount_point_remove (const char *path, GError **error)
{
  VF_AUTOFD fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    return TRUE;
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot be opened", path);
  VfSentinel sentinel;
  if (vf_sentinel_read (fd, &sentinel))
    give_back (path, fd, sentinel.n_made, sentinel.mode & 07777);
  return TRUE;
}

char *
vf_mount_point_read_name (const char *path)
{
  VF_AUTOFD fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  VfSentinel sentinel;
  return fd >= 0 && vf_sentinel_read (fd, &sentinel) ? g_strdup (sentinel.name) : NULL;
}

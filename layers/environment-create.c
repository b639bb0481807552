/* Environments come by one rename and go by one rename.
 *
 * A new one is made whole in tmp/: upper/, work/, generations/1.ini, env.ini, lock; its files are
 * durable before it gets its name. Its directory is tried for what an upper needs, so that a file
 * system which cannot hold one says so here and not in the middle of somebody's pip install.
 *
 * Neither rename is waited for: on a busy disk each fsync of a directory takes ten milliseconds and
 * more. File systems put renames and unlinks to disk in the order in which they were made, so that
 * after a crash there is the state before or after it, as ever; and a sweep, which takes away what
 * a deleted environment needed, syncs envs/ first. */
#include "layers/environment-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/trash.h"

/* How long a deletion may spend on removing what it has moved into the trash. */
#define DELETE_USEC (10 * 1000)

static gboolean
is_there (VfStore *store, const char *folder, const VfDigest *digest, const char *name,
          GError **error)
{
  g_autofree char *relative = vf_digest_path (folder, digest);
  if (vf_store_reuse (store, relative))
    return TRUE;
  return vf_error_set (error, VF_ERROR_NOT_FOUND,
                       "%s: %s is not in the store (any more); try again", name, relative);
}

/* And they stay, for as long as the caller's write lease. */
static gboolean
check_references (VfStore *store, const char *name, const VfGeneration *generation, GError **error)
{
  if (!is_there (store, "images/", &generation->image, name, error))
    return FALSE;
  for (guint i = 0; i < generation->installed->len; i++) {
    const VfInstalled *installed = generation->installed->pdata[i];
    if (!is_there (store, "packages/", &installed->digest, name, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
try_upper (int upper_fd, const char *store_path, GError **error)
{
  const char *missing = NULL;
  int errnum = 0;
  if (fsetxattr (upper_fd, "user.overlay.probe", "y", 1, 0) < 0 ||
      fremovexattr (upper_fd, "user.overlay.probe") < 0) {
    missing = "extended attributes (user.*)";
    errnum = errno;
  } else if (mknodat (upper_fd, "probe", S_IFCHR, makedev (0, 0)) < 0 ||
             unlinkat (upper_fd, "probe", 0) < 0) {
    missing = "whiteouts (character devices 0:0)";
    errnum = errno;
  }
  if (missing && errnum != ENOSPC && errnum != EDQUOT)
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: its file system holds no %s (%s); put the store on ext4, xfs, btrfs "
                         "or tmpfs with --store",
                         store_path, missing, g_strerror (errnum));
  return missing ? vf_error_errno (error, errnum, "%s: cannot write", store_path) : TRUE;
}

static gboolean
write_part (int fd, const char *name, const char *text, gsize length, const char *what,
            GError **error)
{
  VF_AUTOFD file = openat (fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0)
    return vf_error_errno (error, errno, "%s: cannot create %s", what, name);
  if (!vf_write_all (file, text, length, what, error))
    return FALSE;
  sync_file_range (file, 0, 0, SYNC_FILE_RANGE_WRITE); /* begins what sync_parts() waits for */
  return TRUE;
}

static gboolean
write_parts (int fd, const char *prompt, const VfGeneration *first, const char *what,
             GError **error)
{
  gsize length;
  g_autofree char *generation = vf_generation_serialize (first, &length);
  if (!write_part (fd, "generations/1.ini", generation, length, what, error))
    return FALSE;
  g_autofree char *env = vf_environment_serialize (prompt, 1, &length);
  return write_part (fd, "env.ini", env, length, what, error) &&
         write_part (fd, "lock", "", 0, what, error);
}

/* After all has been written, so that the file system's journal is committed once. The lock is made
 * again by whoever takes it. */
static gboolean
sync_parts (int fd, const char *what, GError **error)
{
  static const char *const parts[] = {"generations/1.ini", "env.ini", "generations", "."};
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++) {
    VF_AUTOFD part = openat (fd, parts[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (part < 0 || fsync (part) < 0)
      return vf_error_errno (error, errno, "%s: cannot sync %s", what, parts[i]);
  }
  return TRUE;
}

static gboolean
build (int tmp_fd, VfStore *store, const char *prompt, const VfGeneration *first, const char *what,
       GError **error)
{
  static const struct {
    const char *name;
    mode_t mode;
  } directories[] = {
      {"env", 0700}, {"env/upper", 0755}, {"env/work", 0700}, {"env/generations", 0700}};
  for (gsize i = 0; i < G_N_ELEMENTS (directories); i++)
    if (mkdirat (tmp_fd, directories[i].name, directories[i].mode) < 0 ||
        fchmodat (tmp_fd, directories[i].name, directories[i].mode, 0) < 0)
      return vf_error_errno (error, errno, "%s: cannot make %s", what, directories[i].name);
  VF_AUTOFD fd = openat (tmp_fd, "env", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  VF_AUTOFD upper_fd = openat (tmp_fd, "env/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || upper_fd < 0)
    return vf_error_errno (error, errno, "%s: cannot open", what);
  return try_upper (upper_fd, vf_store_path (store), error) &&
         write_parts (fd, prompt, first, what, error) && sync_parts (fd, what, error);
}

static gboolean
report_taken (const char *name, GError **error)
{
  return vf_error_set (error, VF_ERROR_EXISTS,
                       "%s: there is an environment of this name; choose another, or delete it "
                       "first (venvfs delete %s)",
                       name, name);
}

VfEnvironment *
vf_environment_create (VfStore *store, const char *name, const char *prompt,
                       const VfGeneration *first, GError **error)
{
  if (!vf_environment_check_name (name, error))
    return NULL;
  g_autofree char *relative = g_strconcat ("envs/", name, NULL);
  if (faccessat (vf_store_fd (store), relative, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    report_taken (name, error);
    return NULL;
  }
  if (!check_references (store, name, first, error))
    return NULL;
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (store, error);
  if (!tmp || !build (vf_store_tmp_fd (tmp), store, prompt, first, vf_store_tmp_path (tmp), error))
    return NULL;
  /* Never over another environment: those are not empty. */
  if (renameat (vf_store_tmp_fd (tmp), "env", vf_store_fd (store), relative) < 0) {
    if (errno == EEXIST || errno == ENOTEMPTY)
      report_taken (name, error);
    else
      vf_error_errno (error, errno, "%s/%s: cannot put into place", vf_store_path (store),
                      relative);
    return NULL;
  }
  return vf_environment_open (store, name, error);
}

static void
empty (int dir_fd, const char *name)
{
  g_autoptr (DIR) dir = vf_dir_open (dir_fd, name);
  const char *child;
  while (dir && (child = vf_dir_next (dir)))
    vf_remove_tree (dirfd (dir), child, child, NULL);
}

/* A rename needs room on btrfs, and removing files makes some. The environment goes by a rename all
 * the same, since half of one could neither be opened nor deleted: what it holds goes first, so
 * that it is a new one when there still is no room. */
static gboolean
move_to_trash (VfEnvironment *environment, const char *trash, GError **error)
{
  static const char *const contents[] = {"upper", "work", "aside"};
  const char *path = vf_environment_path (environment);
  int fd = vf_environment_fd (environment),
      store_fd = vf_store_fd (vf_environment_store (environment));
  if (renameat (AT_FDCWD, path, store_fd, trash) == 0)
    return TRUE;
  if (errno != EDQUOT && errno != ENOSPC)
    return vf_error_errno (error, errno, "%s: cannot move to the trash", path);
  for (gsize i = 0; i < G_N_ELEMENTS (contents); i++)
    empty (fd, contents[i]);
  syncfs (fd);
  return renameat (AT_FDCWD, path, store_fd, trash) == 0 ||
         vf_error_errno (error, errno, "%s: was emptied, but cannot go; make room and try again",
                         path);
}

gboolean
vf_environment_delete (VfEnvironment *environment, gboolean *out_left, GError **error)
{
  VfStore *store = vf_environment_store (environment);
  const char *name = vf_environment_name (environment);
  g_autofree char *trash =
      g_strdup_printf ("trash/env-%s-%08x%08x", name, g_random_int (), g_random_int ());
  if (!move_to_trash (environment, trash, error))
    return FALSE;
  gboolean gone =
      vf_trash_remove (store, trash + strlen ("trash/"), g_get_monotonic_time () + DELETE_USEC);
  if (out_left)
    *out_left = !gone;
  return TRUE;
}

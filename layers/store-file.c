/* Single files of a store: put, publish, reuse, get.
 *
 * A file appears under its name by a rename, after its bytes are durable; the rename is durable
 * when the call returns, so whoever then writes something that refers to it keeps the order on
 * disk. What was found there and not put is settled first (unsettled.h). The temporary file lies in
 * tmp/ and is flocked, as the directories there are. */
#include "layers/store-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/trash.h"

#define GET_MAX_BYTES (256 * 1024 * 1024)

static gboolean
freshen (int fd, const char *path, const struct stat *st)
{
  if (st->st_mtime + VF_STORE_FRESHEN_SECONDS > time (NULL))
    return TRUE;
  struct timespec now[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
  return utimensat (fd, path, now, AT_SYMLINK_NOFOLLOW) == 0;
}

static gboolean
take_back (VfStore *store, const char *relative, struct stat *out_st)
{
  int fd = vf_store_fd (store);
  g_autofree char *trash = vf_trash_path (relative);
  if (!vf_trash_is_fresh (store, trash, out_st))
    return FALSE;
  if (renameat2 (fd, trash, fd, relative, RENAME_NOREPLACE) < 0 && errno != EEXIST)
    return FALSE;
  vf_unsettled_note (vf_store_unsettled (store), relative, G_MAXINT64);
  return TRUE;
}

gboolean
vf_store_reuse_stat (VfStore *store, const char *relative, struct stat *out_st)
{
  int fd = vf_store_fd (store);
  struct stat st;
  if (!out_st)
    out_st = &st;
  if (fstatat (fd, relative, out_st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG (out_st->st_mode))
      return FALSE;
    if (freshen (fd, relative, out_st)) {
      vf_unsettled_note (vf_store_unsettled (store), relative, out_st->st_ctime);
      return TRUE;
    }
  }
  if (errno != ENOENT)
    return FALSE;
  /* Renamed by a sweep before the freshening or between the two calls. */
  return take_back (store, relative, out_st);
}

gboolean
vf_store_reuse (VfStore *store, const char *relative)
{
  return vf_store_reuse_stat (store, relative, NULL);
}

gboolean
vf_store_settle (VfStore *store, GError **error)
{
  return vf_unsettled_sync (vf_store_unsettled (store), vf_store_fd (store), vf_store_path (store),
                            error);
}

gboolean
vf_store_sync_parent (VfStore *store, const char *relative, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (relative);
  VF_AUTOFD fd = openat (vf_store_fd (store), parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fsync (fd) < 0)
    return vf_error_errno (error, errno, "%s/%s: cannot sync", vf_store_path (store), parent);
  return TRUE;
}

/* Directories are made where the layout has some below its own (bytecode/<cache tag>). */
static gboolean
make_parent (VfStore *store, const char *relative, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (relative);
  if (faccessat (vf_store_fd (store), parent, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return TRUE;
  g_autofree char *what = vf_store_path_of (store, parent);
  return vf_make_path (vf_store_fd (store), parent, what, error) &&
         vf_store_sync_parent (store, parent, error);
}

gboolean
vf_store_has_content (VfStore *store, const char *relative, const void *data, gsize length)
{
  struct stat st;
  if (!vf_store_reuse_stat (store, relative, &st) || (guint64)st.st_size != length)
    return FALSE;
  g_autoptr (GBytes) bytes = vf_read_file (vf_store_fd (store), relative, length, relative, NULL);
  return bytes && g_bytes_get_size (bytes) == length &&
         (length == 0 || memcmp (g_bytes_get_data (bytes, NULL), data, length) == 0);
}

gboolean
vf_store_place (VfStore *store, int dir_fd, const char *name, const char *relative, GError **error)
{
  if (!make_parent (store, relative, error))
    return FALSE;
  if (renameat (dir_fd, name, vf_store_fd (store), relative) < 0)
    return vf_error_errno (error, errno, "%s/%s: cannot put into place", vf_store_path (store),
                           relative);
  return TRUE;
}

static gboolean
write_durably (int fd, const void *data, gsize length, const char *what, GError **error)
{
  if (!vf_write_all (fd, data, length, what, error))
    return FALSE;
  if (fchmod (fd, 0444) < 0 || fsync (fd) < 0)
    return vf_error_errno (error, errno, "%s: cannot write", what);
  return TRUE;
}

gboolean
vf_store_put (VfStore *store, const char *relative, const void *data, gsize length, GError **error)
{
  if (vf_store_has_content (store, relative, data, length))
    return TRUE;
  g_autofree char *what = vf_store_path_of (store, relative);
  g_autofree char *tmp =
      g_strdup_printf ("tmp/%d-%08x%08x", (int)getpid (), g_random_int (), g_random_int ());
  VF_AUTOFD fd =
      openat (vf_store_fd (store), tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) < 0)
    return vf_error_errno (error, errno, "%s/%s: cannot make", vf_store_path (store), tmp);
  if (!write_durably (fd, data, length, what, error) || !vf_store_settle (store, error) ||
      !vf_store_place (store, vf_store_fd (store), tmp, relative, error)) {
    unlinkat (vf_store_fd (store), tmp, 0);
    return FALSE;
  }
  return vf_store_sync_parent (store, relative, error);
}

gboolean
vf_store_publish (VfStore *store, int dir_fd, const char *name, const char *relative,
                  GError **error)
{
  g_autofree char *what = vf_store_path_of (store, relative);
  if (vf_store_reuse (store, relative)) {
    if (unlinkat (dir_fd, name, 0) < 0)
      return vf_error_errno (error, errno, "%s: cannot remove its copy in tmp", what);
    return TRUE;
  }
  if (fchmodat (dir_fd, name, 0444, 0) < 0)
    return vf_error_errno (error, errno, "%s: cannot set its mode", what);
  if (!vf_store_settle (store, error) || !vf_store_place (store, dir_fd, name, relative, error))
    return FALSE;
  return vf_store_sync_parent (store, relative, error);
}

GBytes *
vf_store_get (VfStore *store, const char *relative, GError **error)
{
  g_autofree char *what = vf_store_path_of (store, relative);
  g_autofree char *trash = vf_trash_path (relative);
  const char *const places[] = {relative, trash, relative};
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++) {
    g_autoptr (GError) failure = NULL;
    struct stat st;
    if (places[i] == trash && !vf_trash_is_fresh (store, trash, &st))
      continue;
    GBytes *bytes = vf_read_file (vf_store_fd (store), places[i], GET_MAX_BYTES, what, &failure);
    if (bytes)
      return bytes;
    if (!g_error_matches (failure, VF_SYSTEM_ERROR, ENOENT)) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return NULL;
    }
  }
  vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: not in the store", what);
  return NULL;
}

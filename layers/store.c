/* The store's directory: finding it, making it, recognising it.
 *
 * A store is what has a `format` file of a version that this program knows. It is made in place:
 * its directories first, `format` last, so that a half-made one (which has nothing but empty
 * directories of the layout) is completed by whoever opens it next, and two who make it at once
 * make the same. Everything else that is not empty is refused: nobody's directory gets a store
 * poured over it.
 *
 * The files in it are store-file.c's, its locks and temporary directories store-write.c's. */
#include "layers/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/store-file.h"

#define FORMAT_NAME      "format"
#define FORMAT_PREFIX    "venvfs store "
#define FORMAT_MAX_BYTES 64

struct VfStore {
  gatomicrefcount references;
  char *path;
  int fd; /* O_PATH */
  VfUnsettled *unsettled;
};

static const char *const directories[] = {
    "objects", "packages", "wheels", "bytecode", "images", "interpreters", "resolutions",
    "envs",    "uppers",   "trash",  "tmp",      "leases", "cache",
};

char *
vf_store_usual_path (void)
{
  if (geteuid () == 0)
    return g_strdup ("/var/lib/venvfs");
  return g_build_filename (g_get_user_data_dir (), "venvfs", NULL);
}

char *
vf_store_default_path (void)
{
  const char *path = g_getenv ("VENVFS_STORE");
  return path && *path ? g_strdup (path) : vf_store_usual_path ();
}

static gboolean
is_of_layout (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (directories); i++)
    if (strcmp (name, directories[i]) == 0)
      return TRUE;
  return strcmp (name, "lock") == 0;
}

/* Whether all that is in @fd is what a maker that was killed leaves. */
static gboolean
holds_nothing_else (int fd, const char *path, GError **error)
{
  g_autoptr (DIR) dir = vf_dir_open (fd, ".");
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    if (strcmp (name, "lost+found") != 0 && !is_of_layout (name))
      return vf_error_set (error, VF_ERROR_INVALID,
                           "%s: not a store, and not empty (%s is in it); name an empty or a new "
                           "directory with --store",
                           path, name);
  return (dir && errno == 0) || vf_error_errno (error, errno, "%s: cannot list", path);
}

/* Made in tmp/, where a sweep removes what a maker that was killed leaves. */
static gboolean
make_format (int fd, const char *path, GError **error)
{
  g_autofree char *text = g_strdup_printf (FORMAT_PREFIX "%d\n", VF_STORE_FORMAT);
  if (!vf_replace_file (fd, "tmp/" FORMAT_NAME, 0444, text, strlen (text), path, error))
    return FALSE;
  /* One who makes it at the same time may have been faster. */
  if (renameat (fd, "tmp/" FORMAT_NAME, fd, FORMAT_NAME) < 0 &&
      (errno != ENOENT || faccessat (fd, FORMAT_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0))
    return vf_error_errno (error, errno, "%s: cannot put " FORMAT_NAME " in it", path);
  VF_AUTOFD root_fd = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root_fd < 0 || fsync (root_fd) < 0)
    return vf_error_errno (error, errno, "%s: cannot sync", path);
  return TRUE;
}

static gboolean
make_layout (int fd, const char *path, GError **error)
{
  if (!holds_nothing_else (fd, path, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (directories); i++)
    if (mkdirat (fd, directories[i], 0700) < 0 && errno != EEXIST)
      return vf_error_errno (error, errno, "%s: cannot make %s in it", path, directories[i]);
  VF_AUTOFD lock_fd = openat (fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_fd < 0)
    return vf_error_errno (error, errno, "%s: cannot make lock in it", path);
  return make_format (fd, path, error);
}

static gboolean
check_format (int fd, const char *path, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (GBytes) bytes = vf_read_file (fd, FORMAT_NAME, FORMAT_MAX_BYTES, path, &failure);
  if (!bytes && g_error_matches (failure, VF_SYSTEM_ERROR, ENOENT))
    return make_layout (fd, path, error);
  if (!bytes && failure->domain == VF_SYSTEM_ERROR) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
  }
  g_autofree char *text =
      bytes ? g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes)) : g_strdup ("");
  const char *digits = text + strlen (FORMAT_PREFIX);
  char *end = NULL;
  guint64 version = g_str_has_prefix (text, FORMAT_PREFIX) && g_ascii_isdigit (*digits)
                        ? g_ascii_strtoull (digits, &end, 10)
                        : 0;
  if (version == 0 || strcmp (end, "\n") != 0)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: its file 'format' is not a store's; name another with --store", path);
  if (version > VF_STORE_FORMAT)
    return vf_error_set (error, VF_ERROR_NEWER,
                         "%s: a store of format %" G_GUINT64_FORMAT
                         ", newer than this program (which knows %d); upgrade venvfs",
                         path, version, VF_STORE_FORMAT);
  return TRUE;
}

static int
open_directory (const char *path, GError **error)
{
  if (*path == '\0') {
    vf_error_set (error, VF_ERROR_INVALID, "the store's path is empty");
    return -1;
  }
  int fd = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    if (g_mkdir_with_parents (path, 0700) < 0) {
      vf_error_errno (error, errno, "%s: cannot make the store", path);
      return -1;
    }
    fd = open (path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  if (fd < 0 && errno == ENOTDIR)
    vf_error_set (error, VF_ERROR_INVALID, "%s: not a directory, so not a store", path);
  else if (fd < 0)
    vf_error_errno (error, errno, "%s: cannot open the store", path);
  return fd;
}

VfStore *
vf_store_open (const char *path, GError **error)
{
  VF_AUTOFD fd = open_directory (path, error);
  if (fd < 0 || !check_format (fd, path, error))
    return NULL;
  char *resolved = realpath (path, NULL);
  if (!resolved) {
    vf_error_errno (error, errno, "%s: cannot resolve", path);
    return NULL;
  }
  VfStore *store = g_new0 (VfStore, 1);
  g_atomic_ref_count_init (&store->references);
  store->path = g_strdup (resolved);
  store->fd = vf_fd_steal (&fd);
  store->unsettled = vf_unsettled_new ();
  free (resolved);
  return store;
}

VfStore *
vf_store_ref (VfStore *store)
{
  g_atomic_ref_count_inc (&store->references);
  return store;
}

void
vf_store_unref (VfStore *store)
{
  if (!g_atomic_ref_count_dec (&store->references))
    return;
  vf_fd_clear (&store->fd);
  vf_unsettled_free (store->unsettled);
  g_free (store->path);
  g_free (store);
}

VfUnsettled *
vf_store_unsettled (VfStore *store)
{
  return store->unsettled;
}

const char *
vf_store_path (VfStore *store)
{
  return store->path;
}

char *
vf_store_path_of (VfStore *store, const char *relative)
{
  return g_build_filename (store->path, relative, NULL);
}

int
vf_store_fd (VfStore *store)
{
  return store->fd;
}

/* Leases: files in leases/ that are flocked as long as they count.
 *
 * A lease is written under another name, flocked, and renamed: one that is seen is whole and held.
 * `lock` is held shared meanwhile. So a sweep that has the store alone either ends before, then
 * what is asked for is found or found missing, or begins after, then it sees the lease. A sweep
 * that runs beside finds the things fresh. */
#include "layers/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/object-path.h"

struct VfLease {
  VfStore *store; /* owned reference */
  char *relative;
  int fd; /* flocked */
};

gboolean
vf_lease_parse_line (const char *line, char **out_path, VfDigest *out_digest)
{
  static const char *const kinds[][2] = {
      {"image ", "images/"}, {"package ", "packages/"}, {"object ", NULL}};
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++) {
    const char *hex = line + strlen (kinds[i][0]);
    if (!g_str_has_prefix (line, kinds[i][0]))
      continue;
    if (!vf_digest_from_hex (hex, strlen (hex), out_digest))
      return FALSE;
    char path[VF_OBJECT_PATH_BYTES];
    vf_object_path (out_digest, path);
    *out_path = kinds[i][1] ? vf_digest_path (kinds[i][1], out_digest) : g_strdup (path);
    return TRUE;
  }
  return FALSE;
}

static gboolean
check_lines (VfStore *store, const char *const *lines, GError **error)
{
  for (gsize i = 0; lines[i]; i++) {
    g_autofree char *path = NULL;
    VfDigest digest;
    if (!vf_lease_parse_line (lines[i], &path, &digest))
      return vf_error_set (error, VF_ERROR_INVALID, "%s: not a line of a lease", lines[i]);
    if (!vf_store_reuse (store, path))
      return vf_error_set (error, VF_ERROR_NOT_FOUND, "%s/%s: not in the store",
                           vf_store_path (store), path);
  }
  return TRUE;
}

static int
write_lease (VfStore *store, const char *tmp, const char *relative, const char *text,
             GError **error)
{
  int store_fd = vf_store_fd (store);
  g_autofree char *what = vf_store_path_of (store, relative);
  VF_AUTOFD fd = openat (store_fd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) < 0) {
    vf_error_errno (error, errno, "%s: cannot create", what);
    return -1;
  }
  gboolean ok = vf_write_all (fd, text, strlen (text), what, error);
  if (ok && renameat (store_fd, tmp, store_fd, relative) < 0)
    ok = vf_error_errno (error, errno, "%s: cannot put into place", what);
  if (ok)
    return vf_fd_steal (&fd);
  unlinkat (store_fd, tmp, 0);
  return -1;
}

VfLease *
vf_lease_new (VfStore *store, const char *const *lines, GError **error)
{
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, error);
  if (!write)
    return NULL;
  g_autofree char *name =
      g_strdup_printf ("%d-%08x%08x", (int)getpid (), g_random_int (), g_random_int ());
  g_autofree char *tmp = g_strconcat ("tmp/", name, NULL);
  g_autofree char *relative = g_strconcat ("leases/", name, NULL);
  g_autofree char *joined = g_strjoinv ("\n", (char **)lines);
  g_autofree char *text = g_strconcat (joined, "\n", NULL);
  VF_AUTOFD fd = write_lease (store, tmp, relative, text, error);
  if (fd < 0)
    return NULL;
  if (!check_lines (store, lines, error)) {
    unlinkat (vf_store_fd (store), relative, 0);
    return NULL;
  }
  VfLease *lease = g_new0 (VfLease, 1);
  lease->store = vf_store_ref (store);
  lease->relative = g_steal_pointer (&relative);
  lease->fd = vf_fd_steal (&fd);
  return lease;
}

void
vf_lease_free (VfLease *lease)
{
  unlinkat (vf_store_fd (lease->store), lease->relative, 0);
  vf_fd_clear (&lease->fd);
  vf_store_unref (lease->store);
  g_free (lease->relative);
  g_free (lease);
}

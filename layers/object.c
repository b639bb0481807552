/* Objects as one file each: objects/<first two hex digits>/<the other 62>.
 *
 * Reading only; writing is object-batch.c's. */
#include "layers/object.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/object-path.h"
#include "layers/trash.h"

void
vf_object_path (const VfDigest *digest, char out_path[VF_OBJECT_PATH_BYTES])
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (digest, hex);
  g_snprintf (out_path, VF_OBJECT_PATH_BYTES, "objects/%.2s/%s", hex, hex + 2);
}

static int
open_path (VfStore *store, const char *path)
{
  return openat (vf_store_fd (store), path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* A sweep may be about to put it back (trash.h). */
static int
open_from_trash (VfStore *store, const char *path)
{
  g_autofree char *trash = vf_trash_path (path);
  struct stat st;
  if (vf_trash_is_fresh (store, trash, &st)) {
    int fd = open_path (store, trash);
    if (fd >= 0 || errno != ENOENT)
      return fd;
  }
  return open_path (store, path);
}

int
vf_object_open (VfStore *store, const VfDigest *digest, VfExtent *out_extent)
{
  char path[VF_OBJECT_PATH_BYTES];
  vf_object_path (digest, path);
  VF_AUTOFD fd = open_path (store, path);
  if (fd < 0 && errno == ENOENT)
    fd = open_from_trash (store, path);
  struct stat st;
  if (fd < 0 || fstat (fd, &st) < 0)
    return -errno;
  if (!S_ISREG (st.st_mode))
    return -EIO;
  *out_extent = (VfExtent){.fd = vf_fd_steal (&fd), .offset = 0, .length = (guint64)st.st_size};
  return 0;
}

gint64
vf_object_size (VfStore *store, const VfDigest *digest)
{
  char path[VF_OBJECT_PATH_BYTES];
  vf_object_path (digest, path);
  struct stat st;
  if (fstatat (vf_store_fd (store), path, &st, AT_SYMLINK_NOFOLLOW) == 0)
    return S_ISREG (st.st_mode) ? st.st_size : -EIO;
  if (errno != ENOENT)
    return -errno;
  VfExtent extent;
  int result = vf_object_open (store, digest, &extent);
  if (result < 0)
    return result;
  vf_fd_clear (&extent.fd);
  return (gint64)extent.length;
}

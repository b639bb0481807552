#include "tools/copy-file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/marks.h"

#define COPY_CHUNK (1024 * 1024)

/* copy_file_range() shares blocks where it can; between file systems that it cannot serve, read and
 * write. */
int
vf_copy_range (int in_fd, goffset offset, guint64 length, int out_fd)
{
  g_autofree char *buffer = NULL;
  gboolean in_kernel = TRUE;
  while (length > 0) {
    ssize_t n;
    if (in_kernel) {
      loff_t from = offset;
      errno = 0;
      n = copy_file_range (in_fd, &from, out_fd, NULL, length, 0);
      in_kernel = n > 0 || errno == EINTR;
      if (n <= 0)
        continue;
    } else {
      if (!buffer)
        buffer = g_malloc (COPY_CHUNK);
      n = pread (in_fd, buffer, MIN (length, COPY_CHUNK), offset);
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        return n == 0 ? -EIO : -errno; /* shorter than it says: damage */
      g_autoptr (GError) error = NULL;
      if (!vf_write_all (out_fd, buffer, (gsize)n, "", &error))
        return -vf_errno_from_error (error);
    }
    offset += n;
    length -= (guint64)n;
  }
  return 0;
}

int
vf_copy_sparse (int in_fd, guint64 length, int out_fd)
{
  off_t end = (off_t)length;
  for (off_t hole = 0; hole < end;) {
    off_t data = lseek (in_fd, hole, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
      break;
    hole = data < 0 ? end : lseek (in_fd, data, SEEK_HOLE);
    data = MAX (data, 0);
    if (hole < 0 || lseek (out_fd, data, SEEK_SET) < 0)
      return -errno;
    int result = vf_copy_range (in_fd, data, (guint64)(MIN (hole, end) - MIN (data, end)), out_fd);
    if (result < 0)
      return result;
  }
  return ftruncate (out_fd, end) < 0 ? -errno : 0;
}

/* Everything but what is the overlay's own. What the target cannot hold is left out. */
static void
copy_attributes (int in_fd, int out_fd)
{
  char names[4096], value[4096];
  ssize_t length = flistxattr (in_fd, names, sizeof names);
  for (const char *name = names; length > 0 && name < names + length; name += strlen (name) + 1) {
    ssize_t size = vf_mark_is_own (name) ? -1 : fgetxattr (in_fd, name, value, sizeof value);
    if (size >= 0)
      fsetxattr (out_fd, name, value, (gsize)size, 0);
  }
}

int
vf_copy_identity (int in_fd, int out_fd)
{
  /* First, since it takes a file's capabilities away. */
  struct stat st;
  if (geteuid () == 0 && (fstat (in_fd, &st) < 0 || fchown (out_fd, st.st_uid, st.st_gid) < 0))
    return -errno;
  copy_attributes (in_fd, out_fd);
  return 0;
}

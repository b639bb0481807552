#include "tools/upper-usage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

#define BLOCK_BYTES 512

static gboolean
walk (int dir_fd, const char *name, guint depth, VfUpperUsage *usage, GError **error);

static gboolean
count (int dir_fd, const char *name, guint depth, VfUpperUsage *usage, GError **error)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
    return errno == ENOENT || vf_error_errno (error, errno, "upper: %s: cannot be examined", name);
  usage->disk_bytes += (guint64)st.st_blocks * BLOCK_BYTES;
  if (S_ISDIR (st.st_mode))
    return depth >= VF_DEPTH_MAX || walk (dir_fd, name, depth + 1, usage, error);
  if (S_ISCHR (st.st_mode) && st.st_rdev == 0)
    usage->n_removed++;
  else
    usage->n_files++;
  return TRUE;
}

static gboolean
walk (int dir_fd, const char *name, guint depth, VfUpperUsage *usage, GError **error)
{
  g_autoptr (DIR) dir = vf_dir_open (dir_fd, name);
  if (dir == NULL)
    return errno == ENOENT || vf_error_errno (error, errno, "%s: cannot be read", name);
  const char *child;
  while ((child = vf_dir_next (dir)) != NULL)
    if (!count (dirfd (dir), child, depth, usage, error))
      return FALSE;
  return errno == 0 || vf_error_errno (error, errno, "%s: cannot be read", name);
}

gboolean
vf_upper_usage (int environment_fd, VfUpperUsage *out_usage, GError **error)
{
  memset (out_usage, 0, sizeof *out_usage);
  return walk (environment_fd, "upper", 0, out_usage, error);
}

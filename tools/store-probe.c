#include "tools/store-probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/error.h"

#define XFS_MAGIC 0x58465342
#define ZFS_MAGIC 0x2fc12fc1

static void
name_type (const struct statfs *st, char type[16])
{
  static const struct {
    guint64 magic;
    const char *name;
  } known[] = {
      {EXT4_SUPER_MAGIC, "ext4"}, {BTRFS_SUPER_MAGIC, "btrfs"},
      {XFS_MAGIC, "xfs"},         {TMPFS_MAGIC, "tmpfs"},
      {F2FS_SUPER_MAGIC, "f2fs"}, {OVERLAYFS_SUPER_MAGIC, "overlayfs"},
      {NFS_SUPER_MAGIC, "nfs"},   {ZFS_MAGIC, "zfs"},
      {FUSE_SUPER_MAGIC, "fuse"}, {ECRYPTFS_SUPER_MAGIC, "ecryptfs"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (known[i].magic == (guint64)st->f_type) {
      g_strlcpy (type, known[i].name, 16);
      return;
    }
  g_snprintf (type, 16, "0x%lx", (unsigned long)st->f_type);
}

static gboolean
try_reflink (int dir_fd, int fd)
{
  VF_AUTOFD clone = openat (dir_fd, "clone", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return clone >= 0 && ioctl (clone, FICLONE, fd) == 0;
}

gboolean
vf_store_probe (VfStore *store, VfStoreProbe *out_probe, GError **error)
{
  memset (out_probe, 0, sizeof *out_probe);
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (store, error);
  if (tmp == NULL)
    return FALSE;
  int dir_fd = vf_store_tmp_fd (tmp);
  const char *what = vf_store_tmp_path (tmp);
  struct statfs st;
  if (fstatfs (dir_fd, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot be examined", what);
  name_type (&st, out_probe->type);
  out_probe->free_bytes = (guint64)st.f_bavail * (guint64)st.f_bsize;
  VF_AUTOFD fd = openat (dir_fd, "probe", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot be written to", what);
  if (!vf_write_all (fd, "venvfs", 6, what, error))
    return FALSE;
  out_probe->user_xattrs = fsetxattr (fd, "user.venvfs.probe", "y", 1, 0) == 0;
  out_probe->whiteouts = mknodat (dir_fd, "whiteout", S_IFCHR, makedev (0, 0)) == 0;
  out_probe->reflinks = try_reflink (dir_fd, fd);
  return TRUE;
}

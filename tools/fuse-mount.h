/* The kernel's side of a mount: a descriptor of /dev/fuse, attached to a directory.
 *
 * As root with mount system calls, in two steps: the file system is made first and is attached only
 * when the daemon serves it, so that a process killed in between leaves nothing. Others go through
 * fusermount3, which does it in one: killed in between leaves a dead mount, which the next mount
 * clears away. */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "tools/mount-flags.h"
#include "tools/mount-point.h"

G_BEGIN_DECLS

typedef struct {
  const char *source; /* what /proc/mounts shows: the environment's name */
  gboolean allow_other;
  VfMountFlags flags;
} VfFuseOptions;

typedef struct {
  int fuse_fd;  /* of /dev/fuse */
  int mount_fd; /* made but not attached yet; -1: attached already */
  dev_t device;
} VfFuseMount;

/* @point is prepared. Errors say what is missing: /dev/fuse, fusermount3, a permission, room. */
gboolean vf_fuse_mount_open (const VfMountPoint *point, const VfFuseOptions *options,
                             VfFuseMount *out_mount, GError **error);
gboolean vf_fuse_mount_attach (VfFuseMount *mount, const VfMountPoint *point, GError **error);
/* Closes the descriptors, and unmounts if it is attached and @undo. */
void vf_fuse_mount_clear (VfFuseMount *mount, const VfMountPoint *point, gboolean undo);

/* Gives a mount other flags; root only. */
gboolean vf_fuse_remount (const char *path, const VfMountFlags *flags, GError **error);

/* @lazy: at once, whoever uses it. VF_SYSTEM_ERROR with EBUSY when somebody does and not @lazy. */
gboolean vf_fuse_unmount (const char *path, gboolean lazy, GError **error);

/* TRUE when the mount at @path is dead: its daemon is gone. Asks only the kernel. */
gboolean vf_fuse_is_dead (const char *path);

/* $VENVFS_FUSERMOUNT, else fusermount3 of PATH or /usr/bin; NULL when there is none. */
char *vf_fuse_find_fusermount (void);

G_END_DECLS

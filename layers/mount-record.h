/* Where an environment is mounted or was last: envs/<name>/mount.ini.
 *
 * Apart from env.ini, because it changes with every mount: it is replaced by a rename without
 * waiting for the disk, which a mount in a few milliseconds cannot do. After a power cut it is
 * the former one, the new one, or on some file systems damaged, and a damaged one is none. */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

#define VF_MOUNT_RECORD "mount.ini"

typedef struct {
  char *point;     /* absolute; NULL: never mounted */
  dev_t device;    /* of the mount, by which it is known when it was moved; 0 when unmounted */
  gboolean wanted; /* `mount --all` mounts it */
} VfMountRecord;

/* @dir_fd: of envs/<name>. All zero when there is no record. */
void vf_mount_record_read (int dir_fd, VfMountRecord *out_record);
/* @what: path of envs/<name>, for errors. */
gboolean
vf_mount_record_write (int dir_fd, const VfMountRecord *record, const char *what, GError **error);
void vf_mount_record_clear (VfMountRecord *record);

G_END_DECLS

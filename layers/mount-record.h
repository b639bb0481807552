/* Where an environment is mounted or was last: envs/<name>/mount.ini.
 *
 * Apart from env.ini, because it changes with every mount: it is replaced by a rename without
 * waiting for the disk, which a mount in a few milliseconds cannot do. After a power cut it is
 * the former one, the new one, or on some file systems damaged, and a damaged one is none. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VF_MOUNT_RECORD "mount.ini"

/* *out_point (absolute; the caller frees) and whether `mount --all` mounts it; NULL and FALSE when
 * there is no record. @dir_fd: of envs/<name>. */
void vf_mount_record_read (int dir_fd, char **out_point, gboolean *out_wanted);
/* @what: path of envs/<name>, for errors. */
gboolean vf_mount_record_write (int dir_fd, const char *point, gboolean wanted, const char *what,
                                GError **error);

G_END_DECLS

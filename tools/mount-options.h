/* The options that mount(8) hands its helper: "rw,noexec,lowerdir=/a:/b,…". */
#pragma once

#include "tools/mount-flags.h"

G_BEGIN_DECLS

typedef struct {
  VfMountFlags flags;
  gboolean remount, allow_other;
  char *store;
  char **lower; /* NULL-terminated; NULL: none was given */
  char *upper, *work;
} VfMountOptions;
void vf_mount_options_clear (VfMountOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfMountOptions, vf_mount_options_clear)

/* Adds @text to @options; the later of two that contradict each other counts. What mount(8),
 * systemd and fstab use for themselves is passed over. A backslash takes a comma or, in lowerdir,
 * a colon its meaning, as for overlayfs. @sloppy: options that are not known are passed over, too;
 * else VF_ERROR_USAGE. */
gboolean
vf_mount_options_parse (VfMountOptions *options, const char *text, gboolean sloppy, GError **error);

G_END_DECLS

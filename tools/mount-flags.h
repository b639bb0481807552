/* How the kernel treats a mount, whatever is in it. All zero: as venvfs mounts by itself. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  gboolean read_only, noexec, noatime, nosymfollow;
  gboolean suid, dev; /* let setuid files and device nodes work; root's to say */
} VfMountFlags;

G_END_DECLS

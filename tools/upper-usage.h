/* What an environment's upper holds: what was written into it since it was created. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint64 n_files;    /* all that is no directory and no whiteout */
  guint64 n_removed;  /* whiteouts */
  guint64 disk_bytes; /* on the disk, directories included */
} VfUpperUsage;

/* Walks upper/ of @environment_fd, following no link and crossing no mount. */
gboolean vf_upper_usage (int environment_fd, VfUpperUsage *out_usage, GError **error);

G_END_DECLS

/* Writing out what a mount would show: image, upper and views as an ordinary directory.
 *
 * Contents are copied by copy_file_range, which shares blocks where the file system can; never by
 * hard links, through which the store could be written. Times are those of the mount, so that
 * bytecode stays valid. The overlay's marks are followed as the daemon follows them (marks.h):
 * whiteouts, opaque directories, contents that stand for an object, renamed directories. Nothing of
 * it is written through, and an upper that was tampered with leads nowhere: names are looked up in
 * open directories, symlinks are copied, never followed. */
#pragma once

#include "layers/environment.h"
#include "layers/image.h"
#include "tools/output.h"

G_BEGIN_DECLS

typedef struct {
  guint64 files, directories, symlinks;
  guint64 bytes;   /* of file contents */
  guint64 skipped; /* sockets and devices */
} VfExportResult;

/* @image: the environment's. @target_fd: an empty directory, open; @target: the path by which it
 * will be known, which views and scripts then say. Interruptible. Errors name the path below
 * @target. */
gboolean
vf_export_tree (VfStore *store, VfEnvironment *environment, VfImage *image, int target_fd,
                const char *target, VfOutput *output, VfExportResult *out_result, GError **error);

G_END_DECLS

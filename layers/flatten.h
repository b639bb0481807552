/* Flattening: an upper in plain overlay format, for the kernel's overlayfs (mounted with userxattr)
 * or anything else that knows no marks but overlayfs' own.
 *
 * What stands for bytes of the store gets these bytes; a directory that stands for one of an image
 * gets all that is in that one, and becomes opaque; venvfs' own marks go. Seen through a mount of
 * venvfs, nothing changes. */
#pragma once

#include "layers/error.h"
#include "layers/store.h"
#include "layers/view.h"

G_BEGIN_DECLS

typedef struct {
  guint64 files; /* that got their bytes, or were made */
  guint64 bytes;
  guint64 directories; /* that do not stand for an image's any more */
} VfFlattened;

/* @upper_fd: of the upper, which nobody has mounted (the caller holds its lock); @path: its path,
 * for errors. @view: for files that say where they are, or NULL where there are none. @is_to_stop:
 * or NULL. Ended at any point, by power loss too, the upper shows what it showed, and can be
 * flattened again. */
gboolean vf_flatten (VfStore *store, int upper_fd, const char *path, const VfViewContext *view,
                     VfStopFunc is_to_stop, VfFlattened *out_result, GError **error);

G_END_DECLS

/* Any stack of directories as one image, as the kernel's overlayfs would show it.
 *
 * Each may be in overlay format: whiteouts (character devices 0:0) hide what is below, opaque
 * directories (user.overlay.opaque or trusted.overlay.opaque) all of it. What an image does not
 * keep is lost: owners, times, attributes, holes, and that two names are one file. What it cannot
 * show (fifos, sockets, devices) is left out with a warning. What says that its content is
 * somewhere else (overlayfs' redirects and metacopy, directories that venvfs renamed) is an error.
 */
#pragma once

#include <glib.h>

#include "layers/error.h"
#include "layers/store.h"

G_BEGIN_DECLS

/* @paths: absolute, the uppermost first; NULL-terminated. Files that are known from the last time
 * (known-files.h) are not read. The image is in the store when this returns, and safe from a sweep
 * as long as the caller holds the write lease under which this was called. @is_to_stop: or NULL.
 * @warnings: array of char *, or NULL. VF_ERROR_INVALID, VF_ERROR_CANCELLED, VF_SYSTEM_ERROR, with
 * the path. */
gboolean vf_stack_build (VfStore *store, const char *const *paths, VfStopFunc is_to_stop,
                         GPtrArray *warnings, VfDigest *out_image, GError **error);

G_END_DECLS

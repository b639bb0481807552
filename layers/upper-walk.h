/* A walk over the marks (marks.h) of an upper, however deep it is.
 *
 * A mount may work on it meanwhile: what is gone when it is looked at is passed over. Further down
 * than VF_DEPTH_MAX the walk begins anew, from directories that are opened by their path; one that
 * is no more at that path may have been moved, so that is a failure. */
#pragma once

#include "layers/marks.h"

G_BEGIN_DECLS

typedef struct {
  /* A regular file or a directory, the top itself among them. FALSE with an error ends the walk. */
  gboolean (*found) (const char *path, const VfMarks *marks, gpointer user_data, GError **error);
  /* What cannot be read: @what, "cannot be listed". TRUE goes on with the rest. */
  gboolean (*failed) (const char *path, int errnum, const char *what, gpointer user_data,
                      GError **error);
  gpointer user_data;
} VfUpperVisitor;

/* Of @name in @dir_fd, whose path is @top. */
gboolean vf_upper_walk (int dir_fd, const char *name, const char *top,
                        const VfUpperVisitor *visitor, GError **error);

G_END_DECLS

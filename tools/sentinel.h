/* The sentinel: the file in an unmounted mount point that says to people what belongs here and what
 * to type, and remembers for venvfs what it made of the directory.
 *
 * Locking: none; who changes it has the mount point's (tools/mount-point.h). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VF_SENTINEL_NAME "NOT-MOUNTED.txt"

typedef struct {
  char name[129]; /* of the environment */
  guint n_made;   /* directories that were made for it, the point and those above it */
  guint mode;     /* of the directory before */
} VfSentinel;

/* FALSE if there is none, or none that is whole. */
gboolean vf_sentinel_read (int directory_fd, VfSentinel *out_sentinel);
/* Its content, for the point @path; @store_given: as it was named on the command line, or NULL. The
 * caller frees. */
char *vf_sentinel_text (const VfSentinel *sentinel, const char *path, const char *store_given);
gboolean vf_sentinel_is (int directory_fd, const char *text);
/* It is no place for an fsync: a torn one is just written again. @path: for messages. */
gboolean vf_sentinel_write (int directory_fd, const char *text, const char *path, GError **error);
/* What it says is to be typed at @former is now said of @path. Nothing is done where there is none.
 */
void vf_sentinel_move (int directory_fd, const char *former, const char *path);

G_END_DECLS

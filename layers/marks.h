/* The extended attributes by which the overlay marks objects in the upper.
 *
 *   user.overlay.opaque   "y": the directory hides what is below it (as the kernel's overlayfs,
 *                         mounted with userxattr, has it)
 *   user.venvfs.id        16 hexadecimal digits: the image's id of a copied-up file
 *   user.venvfs.digest    64 hexadecimal digits of an object: the file's bytes are the first
 *                         st_size bytes of that; the file itself is a hole
 *   user.venvfs.lower     "<image id in hex>:<path>": the directory of an image that this one,
 *                         which was renamed, stands for
 *   user.venvfs.aside     of the upper itself: something of it was set aside once
 *
 * They come from the disk and are checked: what is not of this form counts as absent. Symlinks and
 * special files cannot carry any (the kernel allows user.* on files and directories only). */
#pragma once

#include "layers/digest.h"

#include <sys/stat.h>

G_BEGIN_DECLS

typedef struct {
  gboolean opaque;
  guint64 id; /* 0: none */
  gboolean has_digest;
  VfDigest digest;
  gboolean has_lower;
  VfDigest lower_image;
  char *lower_path; /* owned */
} VfMarks;

void vf_marks_clear (VfMarks *marks);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfMarks, vf_marks_clear)

/* Of @name in @dir_fd, which @mode says to be a regular file or a directory (others have none).
 * 0 or -errno. */
int vf_marks_read (int dir_fd, const char *name, mode_t mode, VfMarks *out_marks);

/* On an open file or directory (not O_PATH); each 0 or -errno. */
int vf_mark_set_opaque (int fd);
int vf_mark_set_id (int fd, guint64 id);
int vf_mark_remove_id (int fd);
int vf_mark_set_digest (int fd, const VfDigest *digest);
int vf_mark_remove_digest (int fd);
int vf_mark_set_lower (int fd, const VfDigest *image, const char *path);
int vf_mark_remove_lower (int fd);
/* user.venvfs.aside: from then on an image's node may be seen at its place although an object
 * elsewhere has its id recorded. */
int vf_mark_set_aside (const char *path);
gboolean vf_mark_has_aside (const char *path);
/* Of a directory: it hides nothing of what is below any more. */
int vf_marks_remove_hiding (int fd);

/* Whether an attribute of this name is the overlay's own: never shown, never set for a caller. */
gboolean vf_mark_is_own (const char *attribute);

G_END_DECLS

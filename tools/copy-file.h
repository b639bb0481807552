/* What one file has into another, both open: its content, its attributes, whose it is.
 *
 * Each returns 0 or -errno. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* @length bytes at @offset of @in_fd, to where @out_fd stands. -EIO if there are fewer. */
int vf_copy_range (int in_fd, goffset offset, guint64 length, int out_fd);
/* The first @length bytes with their holes, into an empty file: one may say that it is larger than
 * any disk. */
int vf_copy_sparse (int in_fd, guint64 length, int out_fd);
/* Extended attributes but the overlay's own; for root also whose it is. Attributes that the target
 * cannot hold are left out. */
int vf_copy_identity (int in_fd, int out_fd);

G_END_DECLS

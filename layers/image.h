/* Images: the merged, immutable tree that one environment generation mounts, in one file.
 *
 * The file is mapped read-only; opening it maps it and validates the header (magic, version, header
 * checksum, bounds of the sections), nothing is scanned, parsed or allocated per file. It is
 * untrusted all the same: every index read from it is bounds-checked when used, names are checked
 * ('/' and NUL refused, 1..255 bytes), cycles cannot be followed (a child's index is greater than
 * its parent's). A truncated file or bad disk raises SIGBUS in the mapping: a handler marks that
 * image bad and puts zero pages under it, and every call on it answers -EIO from then on.
 *
 * Children of a directory stand together, sorted by (vf_name_hash(name), name): the order in which
 * a directory is listed, so a position in a listing is a name hash (fs/overlay.h).
 *
 * Identity. Node id = st_ino = 62 bits of SHA-256 over (path, type, digest of the content), over
 * the path alone for directories; never 0 or 1 but the root, which is 1; bits 62 and 63 are clear.
 * The writer re-salts a collision deterministically. So ids are the same in the next image and on
 * another machine.
 *
 * Times. A source's mtime is 1980-01-02 00:00 UTC plus 29 bits of its content's digest in seconds
 * (vf_content_mtime), a directory's the same of its listing (the ids of its children, which their
 * names go into). */
#pragma once

#include "layers/digest.h"

G_BEGIN_DECLS

#define VF_IMAGE_ROOT_ID 1u

typedef enum {
  VF_NODE_DIRECTORY = 1,
  VF_NODE_FILE = 2,    /* content is an object, or inline in the image */
  VF_NODE_SYMLINK = 3, /* target is inline */
  VF_NODE_VIEW = 4,    /* a regular file whose template is inline (view.h) */
} VfNodeType;

/* A decoded node. Strings are borrowed from the mapping and live as long as the image. */
typedef struct {
  guint32 index;  /* position in the image */
  guint32 parent; /* index of the directory that holds it; 0 for the root itself */
  guint64 id;
  VfNodeType type;
  guint32 mode;          /* permission bits only */
  guint32 n_directories; /* of a directory: subdirectories in it (nlink = 2 + this) */
  guint64 size;          /* bytes of the file or the link's target; of a view the template's */
  gint64 mtime;          /* seconds since the epoch */
  const char *name;      /* NUL-terminated */
  guint32 name_length;
  guint32 first_child, n_children; /* of a directory */
  gboolean has_digest;             /* content is an object of the store */
  VfDigest digest;                 /* of the content, object or inline; zeros for a directory */
  const char *data; /* inline content, target or template; NULL with an object. Not terminated.
                       Reading it may find the image bad: vf_image_status() after it tells */
} VfImageNode;

typedef struct VfImage VfImage;

/* Opens images/<id> or any image file. Errors: VF_ERROR_DAMAGED, VF_ERROR_NEWER, VF_SYSTEM_ERROR.
 */
VfImage *vf_image_open (int dir_fd, const char *path, GError **error);
VfImage *vf_image_ref (VfImage *image);
void vf_image_unref (VfImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfImage, vf_image_unref)
/* All below: thread-safe, lock-free, no allocation; 0 or -errno (-ENOENT, -EIO for damage). */
/* 0, or -EIO once a read of the mapping failed. */
int vf_image_status (const VfImage *image);
const VfDigest *vf_image_id (const VfImage *image);
guint32 vf_image_n_nodes (const VfImage *image);
int vf_image_get (VfImage *image, guint32 index, VfImageNode *out_node);
int vf_image_find (VfImage *image, guint64 id, VfImageNode *out_node);
/* -ENOTDIR when @directory is none. */
int vf_image_lookup (VfImage *image, guint32 directory, const char *name, gsize length,
                     VfImageNode *out_node);
/* Index of the first child of @directory whose name hash is greater than @after (0: of all); equals
 * first_child + n_children at the end. */
int vf_image_seek (VfImage *image, guint32 directory, guint64 after, guint32 *out_index);
/* By slash-separated path relative to the root; "" is the root. For tools and tests. */
int vf_image_lookup_path (VfImage *image, const char *path, VfImageNode *out_node);
/* The path of a node, relative to the root; owned by the caller, NULL if damaged. */
char *vf_image_path_of (VfImage *image, const VfImageNode *node);

/* Reads all of it: header, checksum of the body, order, bounds, ids. For fsck. */
gboolean vf_image_verify (VfImage *image, GError **error);

/* 63-bit, never less than 16: small values are free for "." and "..". Any two names may collide. */
guint64 vf_name_hash (const char *name, gsize length);
gint64 vf_content_mtime (const VfDigest *digest);

G_END_DECLS

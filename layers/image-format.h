/* The image file as it lies on the disk: shared by its writer and its readers, and by nobody else.
 *
 *   header    VfImageHeader
 *   nodes     n_nodes × VfImageRecord, breadth first: the root, then the children of one directory
 *             after another, each family sorted by (name_hash, name). So a child's index is always
 *             greater than its parent's, and siblings are neighbours.
 *   ids       n_nodes × u64, ascending: the node ids
 *   indexes   n_nodes × u32: indexes[i] is the node that has ids[i]
 *   digests   n_digests × 32 bytes: the objects of the files, in the order of the nodes
 *   strings   names, each followed by NUL
 *   data      inline contents: VfImageInline then the bytes, each beginning on 16 bytes
 *
 * Every section begins on 16 bytes; the gaps are zero. Integers are little-endian. A change of
 * anything here or in image-identity.c is a new VF_IMAGE_VERSION: the store keeps images of both
 * and makes anew what it needs. */
#pragma once

#include "layers/image.h"

G_BEGIN_DECLS

#define VF_IMAGE_MAGIC     "vfimage\n"
#define VF_IMAGE_VERSION   1u
#define VF_IMAGE_ALIGN     16u
#define VF_IMAGE_MAX_NODES (1u << 28)

/* Mtimes are stored as seconds since 1980-01-02 00:00 UTC. */
#define VF_IMAGE_EPOCH       G_GINT64_CONSTANT (315619200)
#define VF_IMAGE_MTIME_BITS  29
#define VF_IMAGE_ID_BITS     62
#define VF_IMAGE_MAX_NAME    255u
#define VF_IMAGE_MAX_SYMLINK 4095u

G_STATIC_ASSERT (G_BYTE_ORDER == G_LITTLE_ENDIAN); /* records are used in place */

typedef struct {
  guint64 offset; /* bytes from the start of the file */
  guint64 length; /* bytes */
} VfImageSection;

enum {
  VF_SECTION_NODES,
  VF_SECTION_IDS,
  VF_SECTION_INDEXES,
  VF_SECTION_DIGESTS,
  VF_SECTION_STRINGS,
  VF_SECTION_DATA,
  VF_N_SECTIONS,
};

typedef struct {
  char magic[8];
  guint32 version;
  guint32 header_bytes;
  guint64 file_bytes;
  guint32 n_nodes;
  guint32 n_digests;
  VfImageSection sections[VF_N_SECTIONS];
  VfDigest id;       /* what the image was made from (merge.h); its name in the store */
  VfDigest body;     /* SHA-256 of everything after the header */
  VfDigest checksum; /* SHA-256 of the header before this field */
} VfImageHeader;
G_STATIC_ASSERT (sizeof (VfImageHeader) == 224);

/* type: a VfNodeType, with VF_RECORD_OBJECT where content is an object */
#define VF_RECORD_OBJECT    0x80u
#define VF_RECORD_TYPE_MASK 0x0fu

typedef struct {
  guint64 name_hash; /* 0 for the root */
  guint64 id;
  guint64 size;    /* of the content; of a directory: children | subdirectories << 32 */
  guint32 content; /* directory: first child; object: index in digests; else data offset / 16 */
  guint32 parent;
  guint32 name;  /* offset in strings */
  guint32 mtime; /* seconds since VF_IMAGE_EPOCH */
  guint16 mode;  /* permission bits */
  guint8 name_length;
  guint8 type;
  guint32 zero;
} VfImageRecord;
G_STATIC_ASSERT (sizeof (VfImageRecord) == 48);

typedef struct {
  VfDigest digest; /* of the bytes that follow */
} VfImageInline;
G_STATIC_ASSERT (sizeof (VfImageInline) % VF_IMAGE_ALIGN == 0);

/* image-identity.c: what follows from a node's place and content alone. */

/* The id of the node at @path ("" is the root); @digest of its content, NULL for directories.
 * @salt: 0, and 1, 2, … for a node whose id was taken. Ids are VF_IMAGE_ID_BITS wide. */
guint64 vf_image_node_id (VfHasher *hasher, VfNodeType type, const char *path, gsize length,
                          const VfDigest *digest, guint8 salt);
/* Seconds since VF_IMAGE_EPOCH. */
guint32 vf_image_mtime_of (const VfDigest *digest);

/* image.c for image-verify.c: the mapping. Borrowed; read it only between vf_image_status() == 0
 * checks of one's own. */
const VfImageHeader *vf_image_header (const VfImage *image);
const void *vf_image_section (const VfImage *image, guint section);
const char *vf_image_what (const VfImage *image); /* path for messages */

G_END_DECLS

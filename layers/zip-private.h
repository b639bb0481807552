/* Between zip.c and zip-directory.c. */
#pragma once

#include <errno.h>
#include <string.h>

#include "layers/little-endian.h"
#include "layers/zip.h"

G_BEGIN_DECLS

#define VF_ZIP_STORED   0
#define VF_ZIP_DEFLATED 8

#define VF_ZIP_FLAG_ENCRYPTED  (1u << 0)
#define VF_ZIP_FLAG_DESCRIPTOR (1u << 3)
#define VF_ZIP_FLAG_PATCHED    (1u << 5)
#define VF_ZIP_FLAG_STRONG     (1u << 6)
#define VF_ZIP_FLAG_UTF8       (1u << 11)
#define VF_ZIP_FLAG_MASKED     (1u << 13)

struct VfZip {
  int fd;               /* borrowed */
  const VfRules *rules; /* borrowed */
  guint64 file_size;
  guint8 *tail; /* central directory and end records: the end of the file, as it was read */
  gsize tail_size;
  GArray *entries;     /* VfZipEntry, by offset */
  GStringChunk *names; /* owns the entries' names */
  struct libdeflate_decompressor *inflater;
  guint8 *buffer; /* of vf_zip_fetch(), grown as needed */
  gsize buffer_size;
  const guint8 *data; /* of the entry last fetched, in buffer */
};

/* Sizes and the like of a header: 32 bits of it, or 64 of a ZIP64 extra field. */
typedef struct {
  guint64 compressed, size, offset;
} VfZipSizes;

gboolean vf_zip_read_directory (VfZip *zip, GError **error);
gboolean vf_zip_read (VfZip *zip, void *out, guint64 length, guint64 offset, GError **error);
/* Replaces what of @sizes is 0xffffffff by the ZIP64 field's. FALSE for a malformed or ambiguous
 * field: one too short, a ZIP64 field twice, or needed and not there, and any Unicode path field,
 * which would be another name. @local: a local header has no offset. */
gboolean vf_zip_parse_extra (const guint8 *extra, gsize length, VfZipSizes *sizes, gboolean local,
                             gboolean *out_zip64);

G_END_DECLS

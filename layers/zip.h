/* A strict reader of zip files, for wheels.
 *
 * It takes only what every other reader would understand the same way (CVE-2025-54368): entries
 * that follow each other without gap or overlap from the first byte to the central directory, which
 * the end record follows, which ends the file; local headers, data descriptors and central
 * directory that agree. What it does not take is refused by rule (wheel-rules.h).
 *
 * The file is untrusted and may change or shrink while it is read: nothing is mapped, all is pread
 * into memory, so that there is an error and no SIGBUS, and each byte is parsed from the copy that
 * was hashed. Nothing is inflated before the sizes of all entries are known and possible.
 *
 * Structure: APPNOTE.TXT 6.3.10, sections 4.3 to 4.5. One thread per VfZip. */
#pragma once

#include "layers/wheel-rules.h"

G_BEGIN_DECLS

typedef enum {
  VF_ZIP_FILE,
  VF_ZIP_DIRECTORY, /* its name ends with '/'; empty */
  VF_ZIP_SYMLINK,   /* its content is the target */
} VfZipType;

typedef struct {
  const char *name; /* NUL-terminated UTF-8 without control characters; owned by the zip */
  guint32 name_length;
  VfZipType type;
  gboolean executable; /* any x bit of what is marked as a regular file */
  gboolean deflated;
  guint16 flags;           /* general purpose bit flag */
  guint32 crc;             /* of the content */
  guint64 compressed_size; /* bytes in the file */
  guint64 size;            /* bytes of the content; at most 1032 times compressed_size */
  guint64 offset, end;     /* of the local header; of what follows the data or its descriptor */
} VfZipEntry;

typedef struct VfZip VfZip;

/* Reads end record and central directory of the regular file @fd (borrowed). @rules is borrowed. */
VfZip *vf_zip_open (int fd, const VfRules *rules, GError **error);
void vf_zip_free (VfZip *zip);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfZip, vf_zip_free)

/* The entries, in the order in which they stand in the file. */
const VfZipEntry *vf_zip_entries (const VfZip *zip, gsize *out_n);

/* Reads the entry's part of the file and checks it against the central directory. The bytes stay
 * valid until the next call. @file_hasher (optional) gets the whole part: given all entries in
 * order and then vf_zip_hash_rest(), it has hashed the whole file. */
gboolean vf_zip_fetch (VfZip *zip, const VfZipEntry *entry, VfHasher *file_hasher, GError **error);
/* Unpacks the entry last fetched into @out, entry->size bytes, and checks its CRC. */
gboolean vf_zip_unpack (VfZip *zip, const VfZipEntry *entry, void *out, GError **error);
/* Central directory and end record. FALSE if the file has another length by now. */
gboolean vf_zip_hash_rest (VfZip *zip, VfHasher *file_hasher, GError **error);

G_END_DECLS

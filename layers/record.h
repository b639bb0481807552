/* RECORD: the list of an installed distribution's files (PEP 376, PEP 627, the specification
 * "Recording installed projects"): CSV of path, hash, size.
 *
 * Only the text is judged here; whether a path may be followed is the caller's to decide. */
#pragma once

#include "layers/digest.h"

G_BEGIN_DECLS

typedef struct {
  const char *path;      /* as written; never empty, no NUL */
  const char *algorithm; /* "sha256"; "" when there is no hash */
  const char *hash;      /* urlsafe base64, as written; "" when there is none */
  gboolean has_size;
  guint64 size; /* bytes */
} VfRecordRow;

typedef struct {
  GArray *rows; /* VfRecordRow, as they stand */
  char *text;   /* owns the strings */
} VfRecord;
void vf_record_free (VfRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfRecord, vf_record_free)

/* Reads all of it. VF_ERROR_INVALID, "@what: line N: …", for text that is no RECORD: not UTF-8, an
 * open quote, more or less than three fields (missing last ones count as empty), an empty path, a
 * hash without algorithm, a size that is no number. */
VfRecord *vf_record_parse (const char *data, gsize length, const char *what, GError **error);

/* Appends a row that ends in LF; without @digest hash and size stay blank. */
void vf_record_append (GString *out, const char *path, const VfDigest *digest, guint64 size);

G_END_DECLS

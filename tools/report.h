/* What a resolver answered: pip's installation report (`--report`, version 1), and pylock.py's
 * output, which has the same form. */
#pragma once

#include <json-glib/json-glib.h>

#include "layers/digest.h"

G_BEGIN_DECLS

typedef struct {
  char *name, *version; /* as the metadata spells them; a lock's version may be "" */
  char *url;            /* where the archive or project is, credentials redacted */
  gboolean has_sha256;
  VfDigest sha256;     /* of the archive */
  char **hashes;       /* "sha256:hex", …; NULL-terminated */
  gint64 size;         /* bytes the archive must have, or -1 */
  gboolean is_wheel;   /* the archive is a wheel */
  gboolean is_project; /* a directory, whose files may change */
  gboolean editable;
  gboolean requested;
  char *build; /* what `pip wheel` is to be given for it: a requirement, a path; NULL of a wheel */
  char *direct_url; /* direct_url.json's text, or NULL (PEP 610) */
} VfReportItem;
void vf_report_item_free (VfReportItem *item);

/* Array of VfReportItem, in the order of the report. VF_ERROR_INVALID for anything else than a
 * report. @what: for messages. */
GPtrArray *vf_report_parse (const char *text, gssize length, const char *what, GError **error);

/* The path of a file: URL, NULL for any other. */
char *vf_report_local_path (const VfReportItem *item);

G_END_DECLS

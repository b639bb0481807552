/* Header blocks as in METADATA and WHEEL: "Key: value" lines up to the first empty line (the core
 * metadata specification; the e-mail format it is derived from). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The first value of @key (case does not matter), without white space around it; continuation lines
 * are joined with one LF. NULL when it is absent. Malformed lines are passed over, as by Python's
 * reader. @data need not end in NUL; a NUL in it ends the block. */
char *vf_metadata_get (const char *data, gsize length, const char *key);

G_END_DECLS

/* GKeyFile for text that is not always UTF-8: paths and prompts are bytes.
 *
 * A value is what g_strescape() makes of it, in which valid UTF-8 and quotes stand for themselves;
 * so ordinary values read as they are, and any bytes survive. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

void vf_keyfile_set_bytes (GKeyFile *file, const char *group, const char *key, const char *value);
/* NULL if it is not there or is no such value. */
char *vf_keyfile_get_bytes (GKeyFile *file, const char *group, const char *key);
/* Loads a text of an untrusted file; VF_ERROR_DAMAGED, @what names it. */
GKeyFile *vf_keyfile_parse (GBytes *bytes, const char *what, GError **error);
/* A required boolean or number; FALSE if it is not there or is none. */
gboolean
vf_keyfile_get_flag (GKeyFile *file, const char *group, const char *key, gboolean *out_value);
gboolean
vf_keyfile_get_number (GKeyFile *file, const char *group, const char *key, gint64 *out_value);

G_END_DECLS

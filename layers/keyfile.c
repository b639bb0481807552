#include "layers/keyfile.h"

#include <string.h>

#include "layers/error.h"

void
vf_keyfile_set_bytes (GKeyFile *file, const char *group, const char *key, const char *value)
{
  char plain[130] = "\"";
  for (guint i = 0; i < 128; i++)
    plain[1 + i] = (char)(0x80 + i);
  plain[129] = '\0';
  g_autofree char *escaped = g_strescape (value, g_utf8_validate (value, -1, NULL) ? plain : "\"");
  g_key_file_set_string (file, group, key, escaped);
}

char *
vf_keyfile_get_bytes (GKeyFile *file, const char *group, const char *key)
{
  /* A bad escape of GKeyFile's own is an error and a value at once. */
  g_autoptr (GError) failure = NULL;
  g_autofree char *escaped = g_key_file_get_string (file, group, key, &failure);
  gsize length = escaped ? strlen (escaped) : 0;
  gsize backslashes = 0;
  while (backslashes < length && escaped[length - 1 - backslashes] == '\\')
    backslashes++;
  /* g_strcompress() warns about an unfinished escape: this text may come from anywhere. */
  return !failure && escaped && backslashes % 2 == 0 ? g_strcompress (escaped) : NULL;
}

GKeyFile *
vf_keyfile_parse (GBytes *bytes, const char *what, GError **error)
{
  gsize length;
  const char *text = g_bytes_get_data (bytes, &length);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) failure = NULL;
  if (length > 0 && memchr (text, '\0', length)) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: holds a NUL; run venvfs fsck", what);
    return NULL;
  }
  if (!g_key_file_load_from_data (file, length > 0 ? text : "", length, G_KEY_FILE_NONE,
                                  &failure)) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: %s; run venvfs fsck", what, failure->message);
    return NULL;
  }
  return g_steal_pointer (&file);
}

gboolean
vf_keyfile_get_flag (GKeyFile *file, const char *group, const char *key, gboolean *out_value)
{
  g_autoptr (GError) failure = NULL;
  *out_value = g_key_file_get_boolean (file, group, key, &failure);
  return failure == NULL;
}

gboolean
vf_keyfile_get_number (GKeyFile *file, const char *group, const char *key, gint64 *out_value)
{
  g_autofree char *text = g_key_file_get_value (file, group, key, NULL);
  return text && g_ascii_string_to_signed (text, 10, 0, G_MAXINT64, out_value, NULL);
}

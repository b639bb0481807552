#include "layers/metadata.h"

#include <string.h>

/* The length of the line at @at without its ending; @out_next is where the next one begins. */
static gsize
line_length (const char *at, gsize length, gsize *out_next)
{
  const char *end = memchr (at, '\n', length);
  gsize n = end ? (gsize)(end - at) : length;
  *out_next = end ? n + 1 : n;
  return n > 0 && at[n - 1] == '\r' ? n - 1 : n;
}

static gboolean
is_key (const char *line, gsize length, const char *key)
{
  gsize key_length = strlen (key);
  return length > key_length && line[key_length] == ':' &&
         g_ascii_strncasecmp (line, key, key_length) == 0;
}

char *
vf_metadata_get (const char *data, gsize length, const char *key)
{
  const char *nul = memchr (data, '\0', length);
  length = nul ? (gsize)(nul - data) : length;
  GString *value = NULL;
  while (length > 0) {
    gsize next, n = line_length (data, length, &next);
    gboolean continues = n > 0 && (data[0] == ' ' || data[0] == '\t');
    if (n == 0 || (value && !continues))
      break;
    if (value) {
      g_string_append_c (value, '\n');
      g_string_append_len (value, data, (gssize)n);
    } else if (is_key (data, n, key)) {
      gsize skip = strlen (key) + 1;
      value = g_string_new_len (data + skip, (gssize)(n - skip));
    }
    data += next;
    length -= next;
  }
  return value ? g_strstrip (g_string_free (value, FALSE)) : NULL;
}

/* RECORD: CSV as Python's csv module writes it (RFC 4180 with any line ending). The parser unquotes
 * in place, in one copy of the text that the record keeps. */
#include "layers/record.h"

#include <string.h>

#include "layers/error.h"

#define FIELDS 3

typedef struct {
  char *next;
  char *end;  /* NUL at the end of the text */
  guint line; /* of the row that is read, from 1 */
  guint next_line;
} Cursor;

void
vf_record_free (VfRecord *record)
{
  g_array_unref (record->rows);
  g_free (record->text);
  g_free (record);
}

/* Reads a quoted field, its text moved to the front. FALSE when the quote stays open or something
 * other than a separator follows it. */
static gboolean
read_quoted (Cursor *cursor, char **out_field, char *out_end)
{
  char *from = cursor->next + 1, *to = from;
  *out_field = from;
  while (*from != '"' || from[1] == '"') {
    if (*from == '\0')
      return FALSE;
    if (*from == '\n')
      cursor->next_line++;
    from += *from == '"';
    *to++ = *from++;
  }
  from++;
  *to = '\0';
  *out_end = *from;
  cursor->next = *from ? from + 1 : from;
  return *out_end == ',' || *out_end == '\n' || *out_end == '\r' || *out_end == '\0';
}

/* One field; @out_end: the character that ended it. */
static gboolean
read_field (Cursor *cursor, char **out_field, char *out_end)
{
  if (*cursor->next == '"')
    return read_quoted (cursor, out_field, out_end);
  char *end = cursor->next + strcspn (cursor->next, ",\r\n\"");
  if (*end == '"')
    return FALSE;
  *out_field = cursor->next;
  *out_end = *end;
  cursor->next = *end ? end + 1 : end;
  *end = '\0';
  return TRUE;
}

/* NULL, or what is wrong. @out_fields: absent ones are "". */
static const char *
read_row (Cursor *cursor, char *out_fields[FIELDS])
{
  char end = ',';
  guint n = 0;
  for (; end == ','; n++) {
    char *field;
    if (!read_field (cursor, &field, &end))
      return "a quote that is not closed or not at the ends of its field";
    if (n == FIELDS)
      return "more than three fields";
    out_fields[n] = field;
  }
  if (end == '\r' && *cursor->next == '\n')
    cursor->next++;
  cursor->next_line++;
  for (; n < FIELDS; n++)
    out_fields[n] = cursor->end;
  return NULL;
}

/* @fields: path, hash, size. */
static const char *
take_row (VfRecord *record, char *fields[FIELDS])
{
  VfRecordRow row = {.path = fields[0], .algorithm = "", .hash = ""};
  if (!*row.path)
    return "an empty path";
  if (*fields[1]) {
    char *equals = strchr (fields[1], '=');
    if (!equals || equals == fields[1] || !equals[1])
      return "a hash that is not ALGORITHM=DIGEST";
    *equals = '\0';
    row.algorithm = fields[1];
    row.hash = equals + 1;
  }
  if (*fields[2]) {
    if (!g_ascii_string_to_unsigned (fields[2], 10, 0, G_MAXINT64, &row.size, NULL))
      return "a size that is no number";
    row.has_size = TRUE;
  }
  g_array_append_val (record->rows, row);
  return NULL;
}

static const char *
parse_rows (VfRecord *record, Cursor *cursor)
{
  while (*cursor->next) {
    cursor->line = cursor->next_line;
    if (*cursor->next == '\n' || *cursor->next == '\r') {
      cursor->next_line += *cursor->next == '\n';
      cursor->next++;
      continue;
    }
    char *fields[FIELDS];
    const char *wrong = read_row (cursor, fields);
    if (!wrong)
      wrong = take_row (record, fields);
    if (wrong)
      return wrong;
  }
  return NULL;
}

VfRecord *
vf_record_parse (const char *data, gsize length, const char *what, GError **error)
{
  if (!g_utf8_validate (data, (gssize)length, NULL)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: not UTF-8", what);
    return NULL;
  }
  g_autoptr (VfRecord) record = g_new0 (VfRecord, 1);
  record->rows = g_array_new (FALSE, FALSE, sizeof (VfRecordRow));
  record->text = g_strndup (data, length);
  Cursor cursor = {.next = record->text, .end = record->text + length, .next_line = 1};
  const char *wrong = parse_rows (record, &cursor);
  if (wrong) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: line %u: %s", what, cursor.line, wrong);
    return NULL;
  }
  return g_steal_pointer (&record);
}

/* Quoted where Python's csv.QUOTE_MINIMAL does. */
static void
append_path (GString *out, const char *path)
{
  if (!strpbrk (path, ",\"\r\n")) {
    g_string_append (out, path);
    return;
  }
  g_string_append_c (out, '"');
  for (; *path; path++) {
    if (*path == '"')
      g_string_append_c (out, '"');
    g_string_append_c (out, *path);
  }
  g_string_append_c (out, '"');
}

void
vf_record_append (GString *out, const char *path, const VfDigest *digest, guint64 size)
{
  append_path (out, path);
  if (!digest) {
    g_string_append (out, ",,\n");
    return;
  }
  char text[44], number[24];
  vf_digest_to_base64 (digest, text);
  g_snprintf (number, sizeof number, ",%" G_GUINT64_FORMAT "\n", size);
  g_string_append (out, ",sha256=");
  g_string_append_len (out, text, 43);
  g_string_append (out, number);
}

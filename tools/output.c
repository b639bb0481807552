#include "tools/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"

/* Erases the progress bar that may stand on the line. */
#define CLEAR_LINE "\r\033[K"

struct VfOutput {
  gboolean json, quiet, colour, terminal;
  JsonObject *result; /* owned; NULL until asked for */
  GMutex lock;        /* of warnings */
  GPtrArray *warnings;
};

VfOutput *
vf_output_new (gboolean json, gboolean quiet)
{
  VfOutput *output = g_new0 (VfOutput, 1);
  const char *term = g_getenv ("TERM");
  output->json = json;
  output->quiet = quiet;
  output->terminal = isatty (STDERR_FILENO) && g_strcmp0 (term, "dumb") != 0;
  output->colour = output->terminal && !g_getenv ("NO_COLOR");
  output->warnings = g_ptr_array_new_with_free_func (g_free);
  g_mutex_init (&output->lock);
  return output;
}

void
vf_output_free (VfOutput *output)
{
  g_clear_pointer (&output->result, json_object_unref);
  g_ptr_array_unref (output->warnings);
  g_mutex_clear (&output->lock);
  g_free (output);
}

gboolean
vf_output_is_json (const VfOutput *output)
{
  return output->json;
}

gboolean
vf_output_is_quiet (const VfOutput *output)
{
  return output->quiet;
}

char *
vf_output_printable (const char *text)
{
  GString *printable = g_string_new (NULL);
  for (const char *p = text; *p;) {
    gunichar character = g_utf8_get_char_validated (p, -1);
    gboolean valid = character != (gunichar)-1 && character != (gunichar)-2;
    if (valid && !g_unichar_iscntrl (character)) {
      const char *next = g_utf8_next_char (p);
      g_string_append_len (printable, p, next - p);
      p = next;
    } else {
      g_string_append_printf (printable, "\\%03o", (guchar)*p++);
    }
  }
  return g_string_free (printable, FALSE);
}

static void
put_line (FILE *stream, const char *prefix, const char *text)
{
  g_autofree char *printable = vf_output_printable (text);
  fprintf (stream, "%s%s\n", prefix, printable);
}

G_GNUC_PRINTF (1, 0)
static void
put_formatted (const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf (format, args);
  put_line (stdout, "", text);
}

void
vf_output_line (VfOutput *output, const char *format, ...)
{
  if (output->json || output->quiet)
    return;
  va_list args;
  va_start (args, format);
  put_formatted (format, args);
  va_end (args);
}

void
vf_output_data (VfOutput *output, const char *format, ...)
{
  if (output->json)
    return;
  va_list args;
  va_start (args, format);
  put_formatted (format, args);
  va_end (args);
}

void
vf_output_warning (VfOutput *output, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_mutex_lock (&output->lock);
  g_ptr_array_add (output->warnings, text);
  if (!output->quiet) {
    fputs (output->terminal ? CLEAR_LINE : "", stderr);
    put_line (stderr,
              output->colour ? "venvfs: \033[33mwarning:\033[0m " : "venvfs: warning: ", text);
  }
  g_mutex_unlock (&output->lock);
}

JsonObject *
vf_output_result (VfOutput *output)
{
  if (output->json && !output->result)
    output->result = json_object_new ();
  return output->result;
}

const char *
vf_output_error_code (const GError *error)
{
  if (error->domain == VF_SYSTEM_ERROR)
    return "system";
  if (error->domain != VF_ERROR)
    return "failed";
  switch ((VfErrorCode)error->code) {
  case VF_ERROR_FAILED:
    return "failed";
  case VF_ERROR_NOT_FOUND:
    return "not-found";
  case VF_ERROR_EXISTS:
    return "exists";
  case VF_ERROR_BUSY:
    return "busy";
  case VF_ERROR_INVALID:
    return "invalid";
  case VF_ERROR_RULE:
    return "rule";
  case VF_ERROR_DAMAGED:
    return "damaged";
  case VF_ERROR_NEWER:
    return "newer";
  case VF_ERROR_CANCELLED:
    return "cancelled";
  case VF_ERROR_USAGE:
    return "usage";
  }
  return "failed";
}

static JsonObject *
make_error_object (const GError *error)
{
  JsonObject *object = json_object_new ();
  json_object_set_string_member (object, "code", vf_output_error_code (error));
  json_object_set_string_member (object, "message", error->message);
  if (error->domain == VF_SYSTEM_ERROR && strerrorname_np (error->code))
    json_object_set_string_member (object, "errno", strerrorname_np (error->code));
  return object;
}

static void
put_envelope (VfOutput *output, const char *verb, const GError *error)
{
  g_autoptr (JsonObject) envelope = json_object_new ();
  json_object_set_int_member (envelope, "venvfs", VF_OUTPUT_VERSION);
  if (verb)
    json_object_set_string_member (envelope, "verb", verb);
  else
    json_object_set_null_member (envelope, "verb");
  json_object_set_boolean_member (envelope, "ok", !error);
  if (error)
    json_object_set_object_member (envelope, "error", make_error_object (error));
  if (!error || output->result)
    json_object_set_object_member (envelope, "result", json_object_ref (vf_output_result (output)));
  if (output->warnings->len > 0) {
    JsonArray *warnings = json_array_new ();
    for (guint i = 0; i < output->warnings->len; i++)
      json_array_add_string_element (warnings, output->warnings->pdata[i]);
    json_object_set_array_member (envelope, "warnings", warnings);
  }
  g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), envelope);
  g_autofree char *text = json_to_string (node, FALSE);
  /* Paths in it may have any bytes, JSON may not. */
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  puts (valid);
}

gboolean
vf_output_finish (VfOutput *output, const char *verb, const GError *error)
{
  if (output->json)
    put_envelope (output, verb, error);
  gboolean written = fflush (stdout) == 0 && !ferror (stdout);
  int reason = errno;
  /* A reader that has enough is no failure to talk about. */
  if (!written && !error && reason != EPIPE)
    fprintf (stderr, "venvfs: standard output: cannot be written: %s\n", g_strerror (reason));
  if (error)
    put_line (stderr, output->colour ? "\033[1;31mvenvfs:\033[0m " : "venvfs: ", error->message);
  return written;
}

char *
vf_output_bytes (guint64 bytes)
{
  static const char *const units[] = {"KB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000)
    return vf_output_count (bytes, "byte");
  double value = (double)bytes / 1000;
  gsize unit = 0;
  for (; value >= 999.95 && unit + 1 < G_N_ELEMENTS (units); unit++)
    value /= 1000;
  return g_strdup_printf ("%.1f %s", value, units[unit]);
}

char *
vf_output_duration (gint64 usec)
{
  if (usec < 999500)
    return g_strdup_printf ("%" G_GINT64_FORMAT " ms", (usec + 500) / 1000);
  if (usec < 59995000)
    return g_strdup_printf ("%.2f s", (double)usec / 1e6);
  gint64 seconds = (usec + 500000) / 1000000;
  return g_strdup_printf ("%" G_GINT64_FORMAT " min %" G_GINT64_FORMAT " s", seconds / 60,
                          seconds % 60);
}

char *
vf_output_count (guint64 n, const char *singular)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT " %s%s", n, singular, n == 1 ? "" : "s");
}

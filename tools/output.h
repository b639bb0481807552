/* What a verb says: lines for people, one JSON envelope for programs, errors.
 *
 * stdout carries results, stderr everything else. With --json stdout carries one line,
 *
 *   {"venvfs":1,"verb":"create","ok":true,"result":{…},"warnings":["…"]}
 *   {"venvfs":1,"verb":"create","ok":false,"error":{"code":"not-found","message":"…"}}
 *
 * ("warnings" only when there are any; "result" beside an error as far as there is one), and the
 * lines for people are left out. An error is one line on stderr, `venvfs: PATH: what is wrong; what
 * to do`, in either case. Text that came from files is shown without control characters, so that no
 * wheel can drive the terminal. Colour only where stderr is a terminal, NO_COLOR is not set and
 * TERM is not "dumb".
 *
 * Locking: warnings and progress may come from any thread, everything else from the main one. */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>

G_BEGIN_DECLS

#define VF_OUTPUT_VERSION 1

typedef struct VfOutput VfOutput;
VfOutput *vf_output_new (gboolean json, gboolean quiet);
void vf_output_free (VfOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfOutput, vf_output_free)

gboolean vf_output_is_json (const VfOutput *output);
gboolean vf_output_is_quiet (const VfOutput *output);

/* A line that tells what was done: on stdout, unless --quiet or --json. */
void vf_output_line (VfOutput *output, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* A line that is what the user asked for (a path, a row of a list): on stdout, unless --json. */
void vf_output_data (VfOutput *output, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* A warning: `venvfs: warning: …` on stderr, unless --quiet; in the envelope too. */
void vf_output_warning (VfOutput *output, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* What goes into "result": an object to fill, borrowed, or NULL without --json. */
JsonObject *vf_output_result (VfOutput *output);

/* Ends the output of @verb (NULL: none was recognised): prints the envelope, and @error's line if
 * there is one. To be called once. FALSE when stdout could not be written. */
gboolean vf_output_finish (VfOutput *output, const char *verb, const GError *error);

/* The "code" of an error: "not-found", "exists", "busy", "invalid", "rule", "damaged", "newer",
 * "cancelled", "usage", "failed", or "system" for a failed system call. Borrowed. */
const char *vf_output_error_code (const GError *error);

/* @text with every control character and every byte that is not UTF-8 written as \ooo. */
char *vf_output_printable (const char *text);
/* "0 bytes", "1 byte", "64.0 KB", "600.1 MB" (powers of 1000). */
char *vf_output_bytes (guint64 bytes);
/* "12 ms", "1.25 s", "2 min 5 s". */
char *vf_output_duration (gint64 usec);
/* "1 package", "2 packages": @plural NULL adds an s. */
char *vf_output_count (guint64 n, const char *singular);

G_END_DECLS

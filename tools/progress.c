#include "tools/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define QUIET_USEC    500000
#define REDRAW_USEC   100000
#define PLAIN_USEC    10000000 /* without a terminal: to the first line, and from line to line */
#define MAX_COLUMNS   80
#define BAR_WIDTH     24
#define MIN_BAR_WIDTH 8

struct VfProgress {
  char *label, *items;
  VfProgressUnit unit;
  gboolean enabled, terminal;
  gint64 start_usec;
  GMutex lock; /* of what follows */
  gint64 next_usec;
  guint64 bytes;
  gboolean drawn;
};

VfProgress *
vf_progress_new (VfOutput *output, const char *label, VfProgressUnit unit, const char *items)
{
  VfProgress *progress = g_new0 (VfProgress, 1);
  progress->label = g_strdup (label);
  progress->items = g_strdup (items);
  progress->unit = unit;
  progress->enabled = !vf_output_is_json (output) && !vf_output_is_quiet (output);
  progress->terminal = isatty (STDERR_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
  progress->start_usec = g_get_monotonic_time ();
  progress->next_usec = progress->start_usec + (progress->terminal ? QUIET_USEC : PLAIN_USEC);
  g_mutex_init (&progress->lock);
  return progress;
}

void
vf_progress_erase (VfProgress *progress)
{
  g_mutex_lock (&progress->lock);
  if (progress->drawn && progress->terminal)
    fputs ("\r\033[K", stderr);
  progress->drawn = FALSE;
  g_mutex_unlock (&progress->lock);
}

void
vf_progress_free (VfProgress *progress)
{
  vf_progress_erase (progress);
  g_mutex_clear (&progress->lock);
  g_free (progress->label);
  g_free (progress->items);
  g_free (progress);
}

static char *
render_figures (const VfProgressState *state)
{
  guint64 done = state->total ? MIN (state->done, state->total) : state->done;
  if (state->unit == VF_PROGRESS_BYTES) {
    g_autofree char *done_text = vf_output_bytes (done);
    g_autofree char *total_text = vf_output_bytes (state->total);
    return state->total ? g_strdup_printf ("%s of %s", done_text, total_text)
                        : g_steal_pointer (&done_text);
  }
  if (!done && !state->total)
    return g_strdup ("…");
  g_autofree char *count = vf_output_count (state->total ? state->total : done, state->items);
  g_autofree char *bytes = vf_output_bytes (state->bytes);
  g_autofree char *of =
      state->total ? g_strdup_printf ("%" G_GUINT64_FORMAT " of ", done) : g_strdup ("");
  return g_strconcat (of, count, state->bytes ? ", " : NULL, bytes, NULL);
}

char *
vf_progress_render (const VfProgressState *state, guint columns)
{
  g_autofree char *figures = render_figures (state);
  g_autofree char *seconds =
      g_strdup_printf ("%" G_GINT64_FORMAT " s", state->elapsed_usec / 1000000);
  GString *line = g_string_new (state->label);
  gsize text = strlen (state->label) + strlen (figures) + strlen (seconds) + 6;
  if (state->bar && state->total && text + MIN_BAR_WIDTH < columns) {
    guint width = MIN (BAR_WIDTH, columns - (guint)text - 1);
    guint filled = (guint)((double)MIN (state->done, state->total) / (double)state->total * width);
    g_string_append (line, " [");
    for (guint i = 0; i < width; i++)
      g_string_append_c (line, i < filled ? '#' : '.');
    g_string_append_c (line, ']');
  }
  g_string_append_printf (line, " %s, %s", figures, seconds);
  if (line->len > columns)
    g_string_truncate (line, columns);
  return g_string_free (line, FALSE);
}

static guint
terminal_columns (void)
{
  struct winsize size;
  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
    return MAX_COLUMNS - 1;
  return MIN (size.ws_col, MAX_COLUMNS) - 1u; /* a full last column would wrap */
}

void
vf_progress_set_bytes (VfProgress *progress, guint64 bytes)
{
  g_mutex_lock (&progress->lock);
  progress->bytes = bytes;
  g_mutex_unlock (&progress->lock);
}

void
vf_progress_update (VfProgress *progress, guint64 done, guint64 total)
{
  if (!progress->enabled)
    return;
  gint64 now = g_get_monotonic_time ();
  g_mutex_lock (&progress->lock);
  if (now >= progress->next_usec) {
    VfProgressState state = {
        .label = progress->label,
        .items = progress->items,
        .unit = progress->unit,
        .done = done,
        .total = total,
        .bytes = progress->bytes,
        .elapsed_usec = now - progress->start_usec,
        .bar = progress->terminal,
    };
    g_autofree char *line =
        vf_progress_render (&state, progress->terminal ? terminal_columns () : MAX_COLUMNS - 1);
    fprintf (stderr, progress->terminal ? "\r\033[K%s" : "%s\n", line);
    fflush (stderr);
    progress->drawn = TRUE;
    progress->next_usec = now + (progress->terminal ? REDRAW_USEC : PLAIN_USEC);
  }
  g_mutex_unlock (&progress->lock);
}

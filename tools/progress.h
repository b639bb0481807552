/* Progress of one long step: a bar on a terminal, plain lines elsewhere, on stderr.
 *
 * Nothing shows in the first half second, since most steps end before it; nothing with --quiet or
 * --json. A bar is redrawn at most ten times a second and erased at the end, or by a warning that
 * comes meanwhile (output.c); without a terminal a line is printed every ten seconds, so that a log
 * tells that something happens. 80 columns. */
#pragma once

#include "tools/output.h"

G_BEGIN_DECLS

typedef enum {
  VF_PROGRESS_ITEMS, /* done and total are numbers of things */
  VF_PROGRESS_BYTES,
} VfProgressUnit;

typedef struct VfProgress VfProgress;
/* @label: what is going on, "Downloading"; @items: one of what is counted, "wheel" (NULL with
 * BYTES). */
VfProgress *
vf_progress_new (VfOutput *output, const char *label, VfProgressUnit unit, const char *items);
/* @total 0: not known yet. Cheap; from any thread. */
void vf_progress_update (VfProgress *progress, guint64 done, guint64 total);
/* How much has come of what @total counts otherwise; shown from the next update on. */
void vf_progress_set_bytes (VfProgress *progress, guint64 bytes);
/* Takes a bar off the line, so that something else can be printed there. */
void vf_progress_erase (VfProgress *progress);
void vf_progress_free (VfProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfProgress, vf_progress_free)

/* What a line says. */
typedef struct {
  const char *label, *items;
  VfProgressUnit unit;
  guint64 done, total; /* total 0: not known */
  guint64 bytes;       /* 0: not known, or what is counted already */
  gint64 elapsed_usec;
  gboolean bar; /* if it fits */
} VfProgressState;
/* The line for @state, at most @columns wide; pure, for the tests. The caller frees. */
char *vf_progress_render (const VfProgressState *state, guint columns);

G_END_DECLS

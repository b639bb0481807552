/* Progress of one long step: a bar on a terminal, plain lines elsewhere, on stderr.
 *
 * Nothing shows in the first half second, since most steps end before it; nothing with --quiet or
 * --json. A bar is redrawn at most ten times a second and erased at the end; without a terminal a
 * line is printed every ten seconds, so that a log tells that something happens. 80 columns. */
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
void vf_progress_free (VfProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfProgress, vf_progress_free)

/* The line for @done of @total, at most @columns wide; pure, for the tests. The caller frees. */
char *vf_progress_render (const char *label, VfProgressUnit unit, const char *items, guint64 done,
                          guint64 total, gint64 elapsed_usec, guint columns);

G_END_DECLS

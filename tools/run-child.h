/* A child process that stands in for this one: its signals are ours, its end is our status. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Runs @arguments with this process's environment and waits for its end. Signals that somebody
 * sends to this process are sent on to the child; those of the terminal's keys reach it by
 * themselves. *out_status: its exit status, 128 + n when signal n ended it, 127 when there is no
 * such program and 126 when it cannot be run (then with @error set, and FALSE). */
gboolean vf_child_run (char *const *arguments, int *out_status, GError **error);

G_END_DECLS

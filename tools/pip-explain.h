/* What pip meant: one line out of its many. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Sets @error from the text that a failed pip printed: VF_ERROR_NOT_FOUND (no such package or
 * version), VF_ERROR_INVALID (wrong hash, wrong platform, conflict, bad requirement),
 * (VF_SYSTEM_ERROR, ENOSPC), VF_ERROR_FAILED (network, a build that failed, anything else). The
 * message begins with the requirement concerned where pip named one.
 * @python: "Python 3.13.0", for messages. Returns FALSE. */
gboolean vf_pip_explain (const char *text, const char *python, GError **error);

/* Whether an error of vf_pip_explain() says that no index could be reached. */
gboolean vf_pip_error_is_offline (const GError *error);

G_END_DECLS

/* The base interpreter of an environment, as it is now: it may have been removed or replaced since.
 */
#pragma once

#include "layers/environment.h"
#include "tools/output.h"

G_BEGIN_DECLS

/* "ok", "gone", "broken" (it does not start any more) or "replaced by 3.13.1". The caller frees. An
 * interpreter that did not change is not started. */
char *vf_base_python_state (VfStore *store, VfEnvironment *environment);

/* Warns of anything but "ok". */
void vf_base_python_warn (VfOutput *output, VfEnvironment *environment, const char *state);

G_END_DECLS

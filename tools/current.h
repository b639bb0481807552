/* Which environment a verb is about when none is named: that of the current directory. */
#pragma once

#include "layers/environment.h"
#include "tools/verb.h"

G_BEGIN_DECLS

/* The mount point of the current directory, normalised, mounted or not; the caller frees. It is the
 * mount that contains the directory, else the first .venv in it or above it. A .venv that is no
 * environment of ours ends the search as any other does: whoever works beside it means that one.
 * VF_ERROR_NOT_FOUND says what to do. */
char *vf_current_place (VfStore *store, GError **error);

/* The environment named with -n, else the one of vf_current_place(). VF_ERROR_INVALID when that is
 * one of another store. */
VfEnvironment *
vf_current_environment (const VfInvocation *invocation, VfStore *store, GError **error);

G_END_DECLS

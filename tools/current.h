/* Which environment a verb is about when none is named: that of the current directory. */
#pragma once

#include "layers/environment.h"
#include "tools/verb.h"

G_BEGIN_DECLS

/* -n NAME; else the environment whose mount contains the current directory; else the one that is
 * mounted or recorded at ./.venv. VF_ERROR_NOT_FOUND says what to do. */
VfEnvironment *
vf_current_environment (const VfInvocation *invocation, VfStore *store, GError **error);

/* The name of the environment of @store that is mounted or recorded at @path (normalised), or NULL.
 * VF_ERROR_INVALID when one of another store is mounted there. */
char *vf_environment_name_at (VfStore *store, const char *path, GError **error);

G_END_DECLS

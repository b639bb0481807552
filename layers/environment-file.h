/* What making and opening an environment share. */
#pragma once

#include "layers/environment.h"

G_BEGIN_DECLS

/* The text of env.ini. */
char *vf_environment_serialize (const char *prompt, guint generation, gsize *out_length);
VfStore *vf_environment_store (VfEnvironment *environment); /* borrowed */

G_END_DECLS

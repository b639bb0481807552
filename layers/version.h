/* Versions of distributions (PEP 440), as far as telling whether two texts mean the same one. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The normal form of @version: "v1.0-Alpha_1" is "1a1", "1.0.0" is "1". '_' counts as '-', so that
 * the escaped form in a wheel's file name gives the same. NULL if it is no version of PEP 440. */
char *vf_version_normalize (const char *version);

/* Whether they mean the same version; those that are none of PEP 440 are compared as text, but for
 * case and for '-' and '_'. */
gboolean vf_version_equal (const char *a, const char *b);

G_END_DECLS

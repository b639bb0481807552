/* entry_points.txt: the scripts that a distribution wants in bin/ (the "Entry points
 * specification"), read as importlib.metadata reads it: line by line, '=' the only delimiter,
 * case-sensitive, the last of several lines with one name counts, gui_scripts after
 * console_scripts. */
#pragma once

#include "layers/package.h"
#include "layers/wheel-rules.h"

G_BEGIN_DECLS

/* Adds what [console_scripts] and [gui_scripts] name to @package. Rules: entry-point (where the
 * user accepts it, the line is left out), entry-point-name, reserved-name. */
gboolean vf_entry_points_parse (const char *data, gsize length, const VfRules *rules,
                                VfPackage *package, GError **error);

/* Whether a file of this name in bin/ would take the place of an interpreter: python, python3,
 * python3.13t, pypy3.10, graalpy, also with a 'w', ".py" or ".exe" behind it, in any case. */
gboolean vf_script_name_is_reserved (const char *name);

G_END_DECLS

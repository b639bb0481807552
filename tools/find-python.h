/* Finding the base Python that a user means: `--python`.
 *
 *   "3.13", "3.13.0", "3.13t"     pythonX.Y on PATH, then python3 and python on PATH, pyenv's
 *                                 versions, uv's managed ones, /usr/local/bin, /usr/bin,
 *                                 /opt/python
 *   "pypy3.10", "my-python"       a name on PATH, or a version of pyenv
 *   "/usr/bin/python3", "./x/"    an executable, or a directory with bin/python in it (a virtual
 *                                 environment or an installation prefix)
 *   ".venv"                       a directory of that name here, if nothing above is
 *   NULL                          .python-version in this directory or one above, else python3,
 *                                 else python, on PATH
 *
 * A virtual environment's python stands for its base (interpreter.h). pyenv's shims are resolved
 * by pyenv's rules (PYENV_VERSION, .python-version, $PYENV_ROOT/version): what a shim runs depends
 * on the directory, so it can be neither probed nor remembered itself. */
#pragma once

#include "layers/interpreter.h"

G_BEGIN_DECLS

/* Finds and probes. Errors: VF_ERROR_NOT_FOUND with the versions that are here, those of
 * vf_interpreter_probe() for a path or name that was meant. */
VfInterpreter *vf_find_python (VfStore *store, const char *request, GError **error);

/* What vf_find_python() tries, in order: absolute paths of executables; may be empty. NULL: without
 * a .python-version. */
GPtrArray *vf_find_python_candidates (const char *request);

/* Whether @request is a version ("3", "3.13", "3.13.0", "3.13t"); such a one has to match what the
 * probe says. */
gboolean vf_find_python_is_version (const char *request);
/* Whether a Python of @version ("3.13.0", @free_threaded) is one that the version @request means.
 */
gboolean vf_find_python_matches (const char *request, const char *version, gboolean free_threaded);

G_END_DECLS

/* Interpreters: base Pythons, probed once.
 *
 * A probe runs the interpreter with -I and asks it for everything the rest needs: paths, tags,
 * cache tag. The answer is cached in interpreters/ under the executable's path, inode, size, mtime
 * and ctime, so a replaced interpreter is probed again. A virtual environment's python is resolved
 * to its base. Finding a python by version or name is the tools' (tools/find-python.h). */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct {
  char
      *executable; /* the base interpreter as found, absolute, not resolved through its last link */
  char *real_executable; /* realpath of it */
  char *home;            /* directory of executable: pyvenv.cfg's `home` */
  char *implementation;  /* "cpython", "pypy" */
  int major, minor, micro;
  char *version;      /* "3.13.0" */
  char *version_info; /* "3.13.0.final.0" */
  char *cache_tag;    /* "cpython-313"; "cpython-313t" free-threaded as sys.implementation says */
  char *lib_name;     /* "python3.13", "python3.13t", "pypy3.9": the directory below lib/ */
  char *purelib;      /* relative to the environment: "lib/python3.13/site-packages" */
  char *platlib;      /* the same as purelib, or below lib64 resolved to lib */
  char *scripts;      /* "bin" */
  char *data;         /* "" */
  char *headers;      /* "include/site/python3.13": <dist name> is appended */
  gboolean lib64;     /* venv makes lib64 -> lib here */
  char *
      *names; /* links of bin/ as this version's venv makes them: python, python3, python3.13, … */
  char **tags; /* wheel tags, most specific first: "cp313-cp313-manylinux_2_36_x86_64"; may be empty
                  where the probe had no `packaging` */
  char *ensurepip_dir; /* directory of the wheels that ensurepip carries, or NULL */
  char *
      probe_id; /* hex: identity of this probe: what the image id and remembered resolutions hash */
} VfInterpreter;

/* Probes @executable, or reads the cached probe. Errors: VF_ERROR_NOT_FOUND (no such file),
 * VF_ERROR_INVALID (not a Python, does not start, older than 3.8, a broken virtual environment). */
VfInterpreter *vf_interpreter_probe (VfStore *store, const char *executable, GError **error);
void vf_interpreter_free (VfInterpreter *interpreter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfInterpreter, vf_interpreter_free)

G_END_DECLS

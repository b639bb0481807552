/* Interpreters: base Pythons, probed once.
 *
 * A probe runs the interpreter isolated and asks it for everything the rest needs: paths, tags,
 * cache tag. The answer is cached in interpreters/ under the executable's path, inode, size, mtime
 * and ctime, so a replaced interpreter is probed again. A virtual environment's python is resolved
 * to its base, a script that starts a Python (pyenv's shims) to what it starts. One interpreter has
 * one name, whichever way it was found. Finding a python by version or name is the tools'
 * (tools/find-python.h). */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct {
  char *executable; /* the base interpreter, absolute: <prefix>/bin/python3.13 where that is it */
  char *real_executable; /* realpath of it */
  char *home;            /* directory of executable: pyvenv.cfg's `home` */
  char *stdlib;          /* directory of the standard library, absolute */
  char *implementation;  /* "cpython", "pypy" */
  int major, minor, micro;
  char *version;        /* "3.13.0" */
  char *version_info;   /* "3.13.0.final.0" */
  char *cache_tag;      /* "cpython-313"; "cpython-313t" free-threaded as sys.implementation says */
  char *bytecode_magic; /* the first four bytes of its .pyc files, as 8 hexadecimal digits */
  char *lib_name;       /* "python3.13", "python3.13t", "pypy3.9": the directory below lib/ */
  char *purelib;        /* relative to the environment: "lib/python3.13/site-packages" */
  char *platlib; /* the same as purelib; from 3.15 on maybe "lib64/…", before resolved to "lib/…" */
  char *scripts;  /* "bin" */
  char *data;     /* "" */
  char *headers;  /* "include/site/python3.13": <dist name> is appended */
  gboolean lib64; /* venv makes lib64 -> lib here */
  char **names;   /* links of bin/ as this version's venv makes them: python, python3, … */
  char **tags;    /* wheel tags, most specific first: "cp313-cp313-manylinux_2_36_x86_64"; empty
                     where the probe found no `packaging` */
  char *ensurepip_dir; /* directory of the wheels that ensurepip carries, or NULL */
  char *probe_id;      /* hex: a hash of all above; what image ids and resolutions depend on */
} VfInterpreter;

/* Probes @executable, or reads the cached probe. Errors: VF_ERROR_NOT_FOUND (no such file),
 * VF_ERROR_INVALID (not a Python, does not start, older than 3.8, a broken virtual environment). */
VfInterpreter *vf_interpreter_probe (VfStore *store, const char *executable, GError **error);
void vf_interpreter_free (VfInterpreter *interpreter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfInterpreter, vf_interpreter_free)

G_END_DECLS

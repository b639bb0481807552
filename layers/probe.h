/* The probe behind interpreter.h: starts a Python, asks, and reads its answer.
 *
 * What is started may be anything: it is given a time and 4 MiB of output, and is killed with all
 * it started. Used by interpreter.c; the environment by compiler.c too. */
#pragma once

#include "layers/interpreter.h"

G_BEGIN_DECLS

#define VF_PROBE_TIMEOUT_USEC (30 * G_USEC_PER_SEC)

/* Runs the probe script (probe.py) on @path. NULL with VF_ERROR_INVALID, the message beginning with
 * @path. Blocks. The result's probe_id is not set. */
VfInterpreter *vf_probe_run (const char *path, gint64 timeout_usec, GError **error);
/* The variables an interpreter of ours starts with: the caller's without those that change what
 * Python does. The caller frees. */
char **vf_probe_environment (void);
/* Changes with the script: cached answers of another script are not used. */
const char *vf_probe_script_id (void);

/* The string fields of a VfInterpreter, for who reads and writes it field by field. */
typedef struct {
  const char *name;
  gsize offset;
  gboolean optional;
} VfInterpreterField;
extern const VfInterpreterField vf_interpreter_fields[];
extern const gsize vf_interpreter_n_fields;
static inline char **
vf_interpreter_string (VfInterpreter *interpreter, const VfInterpreterField *field)
{
  return (char **)(void *)((char *)interpreter + field->offset);
}

G_END_DECLS

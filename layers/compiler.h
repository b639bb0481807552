/* One worker process of an interpreter that compiles one module after another.
 *
 * A worker serves one thread, and dies with it. A module that crashes or wedges the interpreter
 * costs a worker, never the caller. Used by bytecode.c. */
#pragma once

#include <gio/gio.h>

#include "layers/interpreter.h"

G_BEGIN_DECLS

typedef enum {
  VF_COMPILED,      /* there is code */
  VF_NOT_COMPILED,  /* the module has a syntax error or the like */
  VF_COMPILER_DIED, /* the module crashed the interpreter or took a minute of CPU time; the worker
                       is gone and is started again by the next send */
} VfCompileResult;

typedef struct VfCompiler VfCompiler;
/* Nothing is started before the first send. @interpreter and @cancellable (optional) are borrowed:
 * once that is cancelled, what waits for the worker ends it, with VF_ERROR_CANCELLED. */
VfCompiler *vf_compiler_new (const VfInterpreter *interpreter, GCancellable *cancellable);
void vf_compiler_free (VfCompiler *compiler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfCompiler, vf_compiler_free)

/* Hands over one module; each send is followed by one receive. @name becomes co_filename. */
gboolean vf_compiler_send (VfCompiler *compiler, const char *name, GBytes *source, GError **error);
/* Waits for the module that was sent. @out_code: for VF_COMPILED the marshalled code, normalised.
 * FALSE: the worker was killed by somebody else, or is no such interpreter. */
gboolean vf_compiler_receive (VfCompiler *compiler, VfCompileResult *out_result,
                              GByteArray **out_code, GError **error);

G_END_DECLS

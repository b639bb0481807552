/* Bytecode: the modules of one package compiled for one interpreter, once.
 *
 * Compiled by worker processes of that interpreter (-I, PYTHONHASHSEED=0, timestamp mode,
 * SOURCE_DATE_EPOCH unset), on all cores. A .pyc names the mtime and size of its source; the mtime
 * is the content-derived one of image.h, so the .pyc is valid in every environment and a changed
 * source is always seen (PEP 3147, PEP 552). Contents are objects; bytecode/<cache tag>/<package
 * digest> lists them. A module that does not compile has no entry, as with compileall. */
#pragma once

#include "layers/interpreter.h"
#include "layers/object.h"
#include "layers/package.h"

G_BEGIN_DECLS

typedef struct {
  guint32 source;  /* index into package->files, as serialised */
  guint32 size;    /* bytes of the .pyc */
  VfDigest digest; /* object of the .pyc */
} VfBytecodeEntry;

typedef struct {
  VfDigest digest; /* of the serialised listing: goes into the image id */
  GArray *entries; /* VfBytecodeEntry, sorted by source */
} VfBytecode;
void vf_bytecode_free (VfBytecode *bytecode);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfBytecode, vf_bytecode_free)

/* What is known already; NULL without error when it was never compiled. Freshens. */
VfBytecode *vf_bytecode_load (VfStore *store, const VfInterpreter *interpreter,
                              const VfPackage *package, GError **error);

typedef void (*VfBytecodeProgress) (gsize done_files, gsize total_files, gpointer user_data);
/* Compiles all @packages that lack it, together, on @n_workers processes (0: one per core). Holds:
 * a write lease of the caller's. Killed workers are an error; nothing half-done stays. */
gboolean vf_bytecode_compile (VfStore *store, const VfInterpreter *interpreter,
                              VfPackage *const *packages, gsize n_packages, guint n_workers,
                              VfBytecodeProgress progress, gpointer user_data, GError **error);

G_END_DECLS

/* Bytecode: the modules of one package compiled for one interpreter, once.
 *
 * Compiled by worker processes of that interpreter (compiler.h), on all cores. A .pyc names the
 * mtime and size of its source; the mtime is the content-derived one of image.h, so the .pyc is
 * valid in every environment and a changed source is always seen (PEP 3147, PEP 552). co_filename
 * is the module's base name: an import replaces it by the path it imports from, and so a .pyc
 * depends on nothing but its source, its base name and the interpreter, and is one object however
 * many packages have that file.
 *
 * Contents are objects; bytecode/<cache tag>.<magic number>/<package digest> lists them. A module
 * that does not compile has no entry, as with compileall. */
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

/* Where the listing of @package is, relative to the store. */
char *vf_bytecode_path (const VfInterpreter *interpreter, const VfDigest *package);
/* The canonical bytes: docs/store-format.md, "Bytecode". @entries is sorted. */
GBytes *vf_bytecode_serialize (const GArray *entries);
/* VF_ERROR_DAMAGED for anything vf_bytecode_serialize() would not have written. @package: NULL, or
 * what it lists the modules of; then each source must be a module of it. */
VfBytecode *
vf_bytecode_parse (GBytes *bytes, const VfPackage *package, const char *what, GError **error);

/* TRUE for a file that is compiled: *.py that goes into site-packages. */
gboolean vf_bytecode_is_module (const VfPackageFile *file);

/* What is known already; NULL without error when it was never compiled. Freshens. */
VfBytecode *vf_bytecode_load (VfStore *store, const VfInterpreter *interpreter,
                              const VfPackage *package, GError **error);

/* Called some times a second. FALSE: stop at once, VF_ERROR_CANCELLED. */
typedef gboolean (*VfBytecodeProgress) (gsize done_files, gsize total_files, gpointer user_data);
/* Compiles all @packages that lack it, together, on @n_workers processes (0: one per core). Holds:
 * a write lease of the caller's. The packages are in the store (their digests are set). A killed
 * worker is an error that names the module; nothing half-done stays. A module that crashes the
 * interpreter twice, or takes a minute, has no entry. @progress is called by this thread; it counts
 * different modules. Blocks. */
gboolean vf_bytecode_compile (VfStore *store, const VfInterpreter *interpreter,
                              VfPackage *const *packages, gsize n_packages, guint n_workers,
                              VfBytecodeProgress progress, gpointer user_data, GError **error);

G_END_DECLS

/* Wheels into packages: the rules of the binary distribution format, kept strictly.
 *
 * A wheel file is untrusted. Each rule has a name; a wheel that breaks one is refused with
 * VF_ERROR_RULE, "FILE: rule NAME: what is wrong", and leaves nothing in the store. The list of
 * names is vf_wheel_rules(). `--accept RULE` overrides one by name. */
#pragma once

#include <gio/gio.h>

#include "layers/object.h"
#include "layers/package.h"

G_BEGIN_DECLS

typedef struct {
  const char *name;    /* "zip-local" */
  const char *summary; /* one line for --help and the documents */
  gboolean acceptable; /* whether --accept may override it */
} VfWheelRule;
const VfWheelRule *vf_wheel_rules (gsize *out_n);

/* All may be NULL or left out. Borrowed. */
typedef struct {
  const char *const *accept; /* names of rules that are overridden; NULL-terminated */
  const VfDigest *expected;  /* the wheel file's SHA-256 as an index gave it; a mismatch is
                                VF_ERROR_INVALID */
  GCancellable *cancellable; /* VF_ERROR_CANCELLED */
  guint64 *done_bytes;       /* bytes of the file read so far are added, atomically */
  GPtrArray *warnings;       /* of char *, owned by it: what the user should hear of */
} VfWheelOptions;

/* Unpacks @wheel_path into the store. Holds: a write lease of the caller's. Safe against another
 * process doing the same. Blocks; thread-safe (several wheels at once, each with its own warnings).
 * @batch: where the objects go, NULL to judge the wheel only; the caller adds
 * vf_package_put() and vf_wheel_remember() to it and commits. @out_new_bytes (optional): bytes that
 * were not in the store before. @out_sha256 (optional): of the file. To ingest wheels, call
 * vf_ingest_wheels(). */
VfPackage *
vf_wheel_ingest (VfObjectBatch *batch, const char *wheel_path, const VfWheelOptions *options,
                 VfDigest *out_sha256, guint64 *out_new_bytes, GError **error);

/* wheels/<sha256> → package digest, once @batch is committed, which holds or knows the package. */
gboolean vf_wheel_remember (VfObjectBatch *batch, const VfDigest *wheel_sha256,
                            const VfDigest *package, GError **error);
/* FALSE when the wheel is not known or its package is gone. Freshens what it finds. */
gboolean vf_wheel_lookup (VfStore *store, const VfDigest *wheel_sha256, VfDigest *out_package);

G_END_DECLS

/* Ingest: several wheels into the store at once. */
#pragma once

#include "layers/wheel.h"

G_BEGIN_DECLS

typedef struct {
  const char *path;         /* of the wheel file; borrowed */
  const VfDigest *expected; /* its SHA-256 as an index or a lock file gave it, or NULL; borrowed */
} VfIngestWheel;

typedef struct {
  VfDigest wheel;   /* SHA-256 of the file */
  VfDigest package; /* what it became */
  gboolean known;   /* it was in the store already */
} VfIngestResult;

/* @done_bytes of @total_bytes of the wheel files. Called on the caller's thread, some times a
 * second, and once at the end. */
typedef void (*VfIngestProgress) (guint64 done_bytes, guint64 total_bytes, gpointer user_data);

/* All may be left out. Borrowed. */
typedef struct {
  const char *const *accept; /* rules that are overridden; NULL-terminated */
  guint n_workers;           /* threads; 0: one per core */
  GCancellable *cancellable; /* VF_ERROR_CANCELLED */
  GPtrArray *warnings;       /* of char *, owned by it */
  VfIngestProgress progress;
  gpointer user_data;
} VfIngestOptions;

/* An ingest that begins before it is known what is wanted. Used by one thread. */
typedef struct VfIngest VfIngest;
/* @accept: borrowed for its life, as is @store. */
VfIngest *vf_ingest_new (VfStore *store, const char *const *accept, GError **error);
/* Drops what is not finished. */
void vf_ingest_free (VfIngest *ingest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfIngest, vf_ingest_free)

/* The wheel file @path (absolute) will probably be wanted: begins to unpack it, on other threads.
 * That it cannot be unpacked matters only if it is wanted in the end. */
void vf_ingest_ahead (VfIngest *ingest, const char *path);

/* As vf_ingest_wheels(), but for options->accept; once. */
gboolean vf_ingest_finish (VfIngest *ingest, const VfIngestWheel *wheels, gsize n_wheels,
                           const VfIngestOptions *options, VfIngestResult *out_results,
                           guint64 *out_new_bytes, GError **error);

/* Unpacks all of @wheels and remembers them; those that the store knows already are not opened if
 * they come with @expected, else only hashed. All or nothing: when one is refused or the caller
 * cancels, none is in the store that was not before. Holds: a write lease of the caller's, until
 * the packages are reachable. Blocks.
 * @out_results: @n_wheels, in the order of @wheels. @out_new_bytes (optional): bytes of contents
 * that were not in the store before. */
gboolean vf_ingest_wheels (VfStore *store, const VfIngestWheel *wheels, gsize n_wheels,
                           const VfIngestOptions *options, VfIngestResult *out_results,
                           guint64 *out_new_bytes, GError **error);

G_END_DECLS

/* Remembered resolutions: what a resolver answered to exactly these inputs.
 *
 * resolutions/<name> is a text: a first line with a version, `time`, `pinned`, then one line for
 * each package: the SHA-256 of its wheel, the digest of what it became, whether it was requested,
 * name, version, and direct_url.json or "-". It is a cache: one that is damaged, of another version
 * or names what is no longer in the store is as good as none. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

/* A package as it is to be installed; it is in the store. */
typedef struct {
  char *name, *version;
  VfDigest wheel;   /* SHA-256 of the wheel file */
  VfDigest package; /* what it became */
  gboolean requested;
  char *direct_url; /* one line of JSON, or NULL */
} VfResolved;
VfResolved *vf_resolved_new (const char *name, const char *version, const VfDigest *wheel,
                             const VfDigest *package, gboolean requested, const char *direct_url);
void vf_resolved_free (VfResolved *resolved);

typedef struct {
  gint64 time;         /* of the answer: seconds since the epoch */
  gboolean pinned;     /* the inputs fix every version: the answer is good for ever */
  GPtrArray *packages; /* of VfResolved */
} VfResolution;
VfResolution *vf_resolution_new (gint64 time, gboolean pinned);
void vf_resolution_free (VfResolution *resolution);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfResolution, vf_resolution_free)

/* NULL when there is none that can be used. Freshens the packages; the caller holds a write lease.
 */
VfResolution *vf_resolution_load (VfStore *store, const char *name);
gboolean vf_resolution_save (VfStore *store, const char *name, const VfResolution *resolution,
                             GError **error);

/* The text form, for vf_resolution_load() and _save(). NULL for anything that _format() would not
 * have written. */
char *vf_resolution_format (const VfResolution *resolution);
VfResolution *vf_resolution_parse (const char *text);

G_END_DECLS

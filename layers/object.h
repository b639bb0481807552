/* Objects: the contents of files, named by their SHA-256, each kept once.
 *
 * Nobody but this module knows where a content lies. Readers ask for a digest and get a descriptor,
 * an offset and a length; that it is one file an object today is this file's secret, so that small
 * objects may be packed together later.
 *
 * Writing is by batch. An object of a batch waits in tmp/; vf_object_batch_commit() makes all of
 * them durable (one syncfs) and only then renames them to their names, so an object under its final
 * name is always whole. Objects are 0444, never hard-linked out, never written in place. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

/* Where a content lies: @length bytes at @offset of @fd. The descriptor is the caller's. */
typedef struct {
  int fd;
  goffset offset;
  guint64 length;
} VfExtent;

/* Opens an object read-only. 0, or -errno (-ENOENT when it is not in the store). Thread-safe. */
int vf_object_open (VfStore *store, const VfDigest *digest, VfExtent *out_extent);
/* Its length in bytes, or -errno. */
gint64 vf_object_size (VfStore *store, const VfDigest *digest);

typedef struct VfObjectBatch VfObjectBatch;
/* Locking: a batch may be added to by several threads at once. The caller holds a write lease. */
VfObjectBatch *vf_object_batch_new (VfStore *store, GError **error);
void vf_object_batch_free (VfObjectBatch *batch); /* what was not committed vanishes */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfObjectBatch, vf_object_batch_free)

/* Adds a content that lies in memory, whose digest the caller has computed. Known contents (in the
 * store or in the batch) cost no write. @out_new_bytes (optional): bytes written, 0 when known. */
gboolean vf_object_batch_add (VfObjectBatch *batch, const VfDigest *digest, const void *data,
                              gsize length, guint64 *out_new_bytes, GError **error);
/* TRUE if the store or the batch has that content, of @length bytes, already; it is then freshened,
 * as if added. */
gboolean vf_object_batch_use (VfObjectBatch *batch, const VfDigest *digest, gsize length);
/* Large contents: a temporary file of @length bytes mapped writable, to be filled and handed to
 * vf_object_batch_add_map(), which takes it over (also on failure). */
typedef struct VfObjectMap VfObjectMap;
VfObjectMap *vf_object_batch_map (VfObjectBatch *batch, gsize length, GError **error);
void *vf_object_map_data (VfObjectMap *map);
void vf_object_map_free (VfObjectMap *map); /* one that is not handed over after all */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfObjectMap, vf_object_map_free)
gboolean vf_object_batch_add_map (VfObjectBatch *batch, const VfDigest *digest, VfObjectMap *map,
                                  guint64 *out_new_bytes, GError **error);
/* A small file that refers to objects (or to one that does), for vf_store_put() together with them:
 * commit puts it in its place after all objects are durable; wheels/ come last, when everything
 * else is. So many packages cost one sync in all. */
gboolean vf_object_batch_put (VfObjectBatch *batch, const char *relative, const void *data,
                              gsize length, GError **error);
/* Makes everything added durable and visible. A batch can be committed once. */
gboolean vf_object_batch_commit (VfObjectBatch *batch, GError **error);

G_END_DECLS

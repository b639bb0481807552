/* Warming: brings contents of the store into the page cache, several at a time.
 *
 * Who reads thousands of small files one after the other waits for the disk at each of them, and a
 * disk has answered many questions in the time of one. After a boot that is most of an import; when
 * the contents are in the page cache already, nothing is done. */
#pragma once

#include "layers/object.h"

G_BEGIN_DECLS

/* @length bytes at @offset of an object. */
typedef struct {
  VfDigest digest;
  guint64 offset;
  guint64 length;
} VfWarmingPiece;

/* Begins to read @pieces (of VfWarmingPiece, taken over), unless the first and the last are there
 * already. Returns at once; what cannot be read is left out. From any thread. */
void vf_warming_begin (VfStore *store, GArray *pieces);

G_END_DECLS

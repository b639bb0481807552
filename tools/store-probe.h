/* What the file system under a store can do, by trying it. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct {
  gboolean user_xattrs; /* needed: the upper's marks */
  gboolean whiteouts;   /* needed: character devices 0:0, which anybody may make since Linux 5.8 */
  gboolean reflinks;    /* makes copy-up and export free */
  char type[16];        /* "ext4", "btrfs", … or a number */
  guint64 free_bytes;
} VfStoreProbe;

/* Works in a temporary directory of the store, which it removes. */
gboolean vf_store_probe (VfStore *store, VfStoreProbe *out_probe, GError **error);

G_END_DECLS

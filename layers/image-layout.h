/* The order and the identity of an image's nodes: between the tree and the bytes. Used by
 * image-write.c alone. */
#pragma once

#include "layers/tree-node.h"

G_BEGIN_DECLS

typedef struct {
  guint64 id;
  guint32 index;
} VfIdEntry;

typedef struct {
  VfTree *tree; /* borrowed */
  guint32 n;
  /* All by index in the image; owned. */
  const VfTreeNode **nodes;
  guint32 *parents;
  guint32 *first_children;
  guint32 *n_children;
  guint32 *n_directories;
  guint64 *ids;
  guint8 *salts;
  gsize *path_starts; /* of a directory: where its path begins in paths; it ends in NUL */
  GString *paths;
  VfIdEntry *sorted; /* by id */
} VfLayout;

/* Arranges the nodes of @tree and gives them their ids. @what: for the message. */
gboolean vf_layout_init (VfLayout *layout, VfTree *tree, const char *what, GError **error);
void vf_layout_clear (VfLayout *layout);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfLayout, vf_layout_clear)

G_END_DECLS

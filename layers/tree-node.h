/* The nodes of a tree in memory: shared by tree.c, which makes them, and image-write.c. */
#pragma once

#include "layers/tree.h"

G_BEGIN_DECLS

typedef struct {
  guint64 name_hash;
  guint32 parent; /* index in nodes; of the root 0 */
  guint16 mode;
  guint8 type; /* VfNodeType */
  guint8 name_length;
  gboolean object; /* content is an object; else `data` has it */
  char *name;      /* NUL-terminated, in the tree's names */
  guint64 size;
  char *data; /* owned; inline content, target or template */
  VfDigest digest;
} VfTreeNode;

/* A place in the table of names. */
typedef struct {
  guint32 index; /* of the node, plus 1; 0: free */
  guint32 tag;   /* high half of the hash of (parent, name): most others are told without a look at
                    their nodes */
} VfTreeSlot;

struct VfTree {
  GArray *nodes;       /* of VfTreeNode, in the order of adding; the root first */
  GStringChunk *names; /* owns the names */
  VfHasher *hasher;
  VfTreeSlot *slots; /* open addressing */
  guint32 n_slots;
  /* The directory that the last path lay in: paths come sorted, mostly. */
  GString *last_directory;
  guint32 last_index;
  guint id_bits; /* of the ids that the writer gives: VF_IMAGE_ID_BITS; fewer to test collisions */
};

static inline VfTreeNode *
vf_tree_node (const VfTree *tree, guint32 index)
{
  return &g_array_index (tree->nodes, VfTreeNode, index);
}

G_END_DECLS

/* A tree in memory: what an image is written from.
 *
 * Paths are relative, '/'-separated, without "." and ".." segments; parents are made as needed
 * (mode 0755). Adding a path again replaces what was there (of the same kind; a file in the place
 * of a directory or the reverse is VF_ERROR_INVALID): whoever merges decides before adding, with
 * vf_tree_find(). One thread. */
#pragma once

#include "layers/image.h"

G_BEGIN_DECLS

typedef struct VfTree VfTree;
VfTree *vf_tree_new (void);
void vf_tree_free (VfTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfTree, vf_tree_free)

gboolean vf_tree_add_directory (VfTree *tree, const char *path, guint32 mode, GError **error);
gboolean vf_tree_add_file (VfTree *tree, const char *path, guint32 mode, guint64 size,
                           const VfDigest *object, GError **error);
/* Adds the file unless something is there. @out_taken: whether @path has this content now. */
gboolean vf_tree_offer_file (VfTree *tree, const char *path, guint32 mode, guint64 size,
                             const VfDigest *object, gboolean *out_taken, GError **error);
/* Content kept inside the image: RECORD and the like, which differ by environment. */
gboolean vf_tree_add_inline (VfTree *tree, const char *path, guint32 mode, const void *data,
                             gsize length, GError **error);
/* The same; @data is g_free()d by the tree, on failure too. */
gboolean vf_tree_take_inline (VfTree *tree, const char *path, guint32 mode, char *data,
                              gsize length, GError **error);
gboolean vf_tree_add_view (VfTree *tree, const char *path, guint32 mode, const char *template_text,
                           gsize length, GError **error);
gboolean vf_tree_add_symlink (VfTree *tree, const char *path, const char *target, GError **error);
/* The type of what is at @path, 0 if nothing; @out_digest of its content (optional). */
VfNodeType vf_tree_find (VfTree *tree, const char *path, VfDigest *out_digest);
/* The root included. */
gsize vf_tree_n_nodes (VfTree *tree);

/* Writes the image file: bit for bit the same for the same tree and @id. Computes ids and mtimes.
 * The file is fsynced; the caller renames it into place. Errors begin with @name: whose directory
 * it is, the caller knows. */
gboolean vf_tree_write_image (VfTree *tree, const VfDigest *id, int dir_fd, const char *name,
                              GError **error);

G_END_DECLS

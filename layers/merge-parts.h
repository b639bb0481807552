/* The parts of a merge: what merge.c, which knows the order, and those that make one part of an
 * environment each (skeleton.c, scripts.c, dist-info.c) share. All paths are relative to the
 * environment. */
#pragma once

#include "layers/merge.h"
#include "layers/tree.h"

G_BEGIN_DECLS

typedef struct {
  VfStore *store;
  const VfInterpreter *interpreter;
  gboolean system_site_packages;
  VfTree *tree;
} VfMerge;

/* One distribution being merged. */
typedef struct {
  const VfInstalled *installed; /* borrowed */
  VfPackage *package;
  VfBytecode *bytecode; /* NULL where none is wanted */
  char *normalized_name;
  GString *record;  /* the rows so far */
  guint n_lost;     /* files whose place another package has, with other contents */
  char *first_lost; /* the first such path */
} VfMergeItem;

/* --- skeleton.c: what an environment is without packages --- */

gboolean vf_skeleton_add (const VfMerge *merge, GError **error);
/* Mixes in what vf_skeleton_add() takes from this program rather than from its input. */
void vf_skeleton_hash (VfHasher *hasher);

/* --- scripts.c: what goes to bin/ as a view --- */

/* The scripts of the package's entry points. */
gboolean vf_scripts_add_entry_points (const VfMerge *merge, VfMergeItem *item, GError **error);
/* A script that the wheel ships and whose first line names python. */
gboolean vf_scripts_add_shipped (const VfMerge *merge, VfMergeItem *item, const VfPackageFile *file,
                                 const char *path, GError **error);

/* --- dist-info.c: RECORD and its neighbours, which belong to the environment --- */

/* Adds a row. @digest NULL: hash and size stay blank, as for views, whose bytes differ from mount
 * to mount, and for bytecode, as pip does it. */
void vf_dist_info_record (const VfMerge *merge, VfMergeItem *item, const char *path,
                          const VfDigest *digest, guint64 size);
/* Writes RECORD, INSTALLER, REQUESTED and direct_url.json. Call it last. */
gboolean vf_dist_info_add (const VfMerge *merge, VfMergeItem *item, GError **error);

/* --- merge.c --- */

/* A script, whose row in RECORD is added here. Who comes first has the place. FALSE with an error
 * only when the tree cannot be built at all; a place that is taken by something else is counted in
 * @item. */
gboolean vf_merge_place_script (const VfMerge *merge, VfMergeItem *item, const char *path,
                                const GString *template_text, GError **error);

G_END_DECLS

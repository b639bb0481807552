/* What is known of the files of a directory tree since it was read last: which content they have.
 *
 * A file is known if its device, inode, size, mtime and ctime are what they were; nobody can change
 * a file without its ctime changing. One whose ctime was so young when it was read that a later
 * change could have the same is not remembered. Kept in cache/ of the store, so it may vanish at
 * any time, and is only believed as far as the store has the objects. */
#pragma once

#include <sys/stat.h>

#include "layers/store.h"

G_BEGIN_DECLS

typedef struct VfKnownFiles VfKnownFiles;

/* Of the tree at @root, an absolute path. Never fails: nothing is known then. */
VfKnownFiles *vf_known_files_load (VfStore *store, const char *root);
void vf_known_files_free (VfKnownFiles *known);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfKnownFiles, vf_known_files_free)

/* @path: relative to the root. FALSE when its content is not known. */
gboolean vf_known_files_find (VfKnownFiles *known, const char *path, const struct stat *st,
                              VfDigest *out_digest);
/* To be remembered; @st: from before it was read. */
void vf_known_files_add (VfKnownFiles *known, const char *path, const struct stat *st,
                         const VfDigest *digest);
/* Writes what was added since it was loaded, and nothing else. Holds: a write lease of the
 * caller's. */
gboolean vf_known_files_save (VfKnownFiles *known, GError **error);

G_END_DECLS

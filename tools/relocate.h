/* What programs wrote into an environment that says where it is mounted.
 *
 * The image's own files follow the mount by themselves (layers/view.h). What pip and others wrote
 * into the upper does not: first lines of scripts in bin/, and activation scripts and pyvenv.cfg
 * that were changed and so copied up. Before an environment is mounted somewhere else, those are
 * rewritten. Each environment keeps a list of all places it was ever mounted at, so that a script
 * that was written at any of them is found again. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Adds @place to the list in the environment's directory @environment_fd. */
gboolean vf_places_add (int environment_fd, const char *place, GError **error);
/* NULL-terminated, in the order in which they were added. */
char **vf_places_read (int environment_fd);

/* Rewrites what names one of @former in upper/ of @environment_fd to @place. Each file is replaced
 * whole, by a rename, with its mode, times and attributes. The caller holds the environment's
 * lock, and nothing is mounted. */
gboolean
vf_relocate (int environment_fd, const char *const *former, const char *place, GError **error);

/* The same for the tree in the directory @tree_fd, not followed out of it. @scratch_fd: a directory
 * of the same file system where a file may be made for a moment. */
gboolean vf_relocate_tree (int scratch_fd, int tree_fd, const char *const *former,
                           const char *place, GError **error);

/* The text of one script or one other file after the move, or NULL when nothing changes. @name: of
 * the file, which tells its language. */
GString *vf_relocate_script (const char *text, gsize length, const char *former, const char *place);
GString *vf_relocate_text (const char *name, const char *text, gsize length, const char *former,
                           const char *place);

G_END_DECLS

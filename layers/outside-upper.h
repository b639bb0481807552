/* Uppers that are no environment's: where a user has put one, the store has to remember it, since
 * what it stands for (files of an image that were renamed, or changed in mode only) is in the
 * store.
 *
 *   uppers/<SHA-256 of the path>   the path, a NUL, 16 hex digits: f_fsid of its file system
 *
 * One that was deleted is forgotten by the next sweep. One that is not there because its disk is
 * not mounted is not: what is to be seen at its place then is of another file system. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

/* @path: absolute, resolved. Holds: a write lease of the caller's. */
gboolean vf_outside_upper_record (VfStore *store, const char *path, GError **error);
/* As if it had not been recorded: it has nothing in it, and was not mounted after all. */
void vf_outside_upper_forget (VfStore *store, const char *path);
/* Calls @func for each that is there; forgets those that are gone. VF_ERROR_FAILED when it cannot
 * be told: the directory that held it is gone as well, or of another file system, so a disk may not
 * be mounted. */
typedef gboolean (*VfOutsideUpperFunc) (int parent_fd, const char *name, const char *parent,
                                        gpointer user_data, GError **error);
gboolean vf_outside_upper_foreach (VfStore *store, VfOutsideUpperFunc func, gpointer user_data,
                                   GError **error);

G_END_DECLS

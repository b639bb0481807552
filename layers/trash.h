/* The trash: where a sweep and a deletion put things in one rename, to be removed after.
 *
 *   trash/sweep/<relative, '/' as ':'>   what a sweep beside writers has renamed, until it is sure
 *   trash/dead-<random>/<the same>       what is surely unused: removed after the locks are gone
 *   trash/quarantine/<the same>-<random> what the check found damaged; removed after a week
 *   trash/env-<name>-<random>            deleted environments
 *
 * A sweep that runs beside writers may rename something in the very moment in which a writer
 * freshens it; it looks again after the rename and puts it back. In between, and if it is killed in
 * between, the thing is found in trash/sweep by its predictable name: readers look at it in place,
 * writers take it back if it is fresh. (Were it old, its own references may be in the trash too.)
 * When it is done, trash/sweep becomes a trash/dead by one rename. So a trash/sweep that a sweep
 * finds is the work of one that was killed, nothing of it is removed yet, and it is put back. */
#pragma once

#include <sys/stat.h>

#include "layers/store.h"

G_BEGIN_DECLS

#define VF_TRASH_SWEEP      "trash/sweep"
#define VF_TRASH_QUARANTINE "trash/quarantine"

/* "objects/ab/cd" → "trash/sweep/objects:ab:cd" */
char *vf_trash_path (const char *relative);
/* Whether the regular file @trash_path is there and was freshened within the time of grace: then a
 * sweep that lives puts it back, and the next one does so for one that was killed. */
gboolean vf_trash_is_fresh (VfStore *store, const char *trash_path, struct stat *out_st);
/* The reverse, of the last component; NULL if it is no such name. */
char *vf_trash_origin (const char *name);

/* Disk (st_blocks) that removing the file or tree @name would give back. */
guint64 vf_trash_measure (int dir_fd, const char *name);
/* Removes the file or tree trash/@name, across no mount point; stops at @deadline_usec of the
 * monotonic clock (0: never). TRUE when all of it is gone. */
gboolean vf_trash_remove (VfStore *store, const char *name, gint64 deadline_usec);

/* --- For the sweep, which holds the flock of "trash" --- */

/* Renames @trash_path, relative to the store as are all, back to @relative. That a writer has taken
 * it back or has made another meanwhile is success. */
gboolean
vf_trash_put_back (VfStore *store, const char *trash_path, const char *relative, GError **error);
/* Puts back all that is in trash/sweep. */
gboolean vf_trash_recover (VfStore *store, GError **error);
/* Removes what is in the trash, but what has not been in quarantine for a week; @dry_run: only
 * counts. Adds to *@bytes and *@entries what that is, but for the entry @counted ("trash/…", or
 * NULL), which the caller has counted already. */
gboolean vf_trash_empty (VfStore *store, gboolean dry_run, const char *counted, guint64 *bytes,
                         guint64 *entries, GError **error);

G_END_DECLS

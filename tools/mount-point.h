/* Mount points: where an environment may be mounted, and what is there while none is.
 *
 * While nothing is mounted, a mount point is a directory of mode 0555 that holds one file, the
 * sentinel NOT-MOUNTED.txt: no tool takes that for an environment, none can fill it by mistake, and
 * a person reads in it what to type. The sentinel also remembers whether venvfs made the directory,
 * so that nothing stays behind when the mount point is given up. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  char *path;        /* absolute, normalised, no symlink in it */
  char *name;        /* its last component */
  int parent_fd;     /* O_PATH, of the directory that holds it */
  int directory_fd;  /* of the directory itself, below any mount; -1 before it is made */
  guint mode;        /* of the directory before it became a mount point */
  guint n_made;      /* how many directories were made for it, itself included */
  gboolean prepared; /* by this process: to be taken back when the mount fails */
} VfMountPoint;

void vf_mount_point_free (VfMountPoint *point);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfMountPoint, vf_mount_point_free)

/* @path made absolute, with "." and "..", and links above the last component, resolved. What does
 * not exist yet is kept as it is written. NULL with an error. */
char *vf_mount_point_normalise (const char *path, GError **error);

/* What a mount point must stay clear of. */
typedef struct {
  const char *name;        /* the environment's */
  const char *store;       /* path of the store */
  const char *store_given; /* NULL when it is the default, else what --store was */
  const char *interpreter; /* executable of the base interpreter */
} VfMountPointRules;

/* Checks @path against the rules and the mount table, changing nothing. Errors: VF_ERROR_INVALID,
 * VF_ERROR_BUSY (something is mounted there), each with what to do. */
VfMountPoint *
vf_mount_point_check (const char *path, const VfMountPointRules *rules, GError **error);
/* Makes the directory if need be, and keeps out all others who would mount there until @point is
 * freed. One who came first is waited for, and what that one did is an error as in the check. */
gboolean vf_mount_point_claim (VfMountPoint *point, GError **error);
/* Writes the sentinel into a point that is claimed. It is left writable for its owner, which
 * fusermount3 asks for, until vf_mount_point_seal(). */
gboolean
vf_mount_point_prepare (VfMountPoint *point, const VfMountPointRules *rules, GError **error);
/* Mode 0555; works while something is mounted over it. */
void vf_mount_point_seal (VfMountPoint *point);
/* The same for an unmounted mount point that was left open: a mount was killed on its way. If the
 * sentinel still says @former (or NULL), from where it was moved while mounted, it then says @path.
 */
void vf_mount_point_reseal (const char *path, const char *former);
/* Undoes claim() and prepare(), unless there was a sentinel before. */
void vf_mount_point_abandon (VfMountPoint *point);

/* Takes the sentinel of an unmounted mount point away, and the directories that were made for it as
 * far as they are empty. Nothing there, or no sentinel: nothing is done. */
gboolean vf_mount_point_remove (const char *path, GError **error);
/* The environment that the sentinel in directory @path names; NULL if there is none. */
char *vf_mount_point_read_name (const char *path);

G_END_DECLS

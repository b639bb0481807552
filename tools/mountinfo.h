/* The mount table of this process's mount namespace: /proc/self/mountinfo, see proc(5).
 *
 * A venvfs mount is known by its device number: directories above it may be renamed and bind
 * mounts made of it while it lives. */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

#define VF_MOUNT_TYPE "fuse.venvfs"

typedef struct {
  int id;
  dev_t device;
  char *root;   /* what of the file system is shown here: "/" unless it is a bind mount of a part */
  char *path;   /* where */
  char *type;   /* "ext4", "fuse.venvfs" */
  char *source; /* of a venvfs mount the environment's name */
  uid_t owner;  /* option user_id of a FUSE mount, else (uid_t)-1 */
} VfMountEntry;

/* Array of VfMountEntry in the order of the table: what hides comes after what is hidden. */
GPtrArray *vf_mountinfo_read (GError **error);
/* @text: the table as the kernel writes it; lines that cannot be read are left out. */
GPtrArray *vf_mountinfo_parse (const char *text);

/* All borrowed from @table; NULL if there is none. */
/* What is visible exactly at @path. */
const VfMountEntry *vf_mountinfo_at (GPtrArray *table, const char *path);
/* The venvfs mount that @path lies in, or that is mounted there. */
const VfMountEntry *vf_mountinfo_containing (GPtrArray *table, const char *path);
/* A place where the whole of @device is seen: @preferred if it is one. */
const VfMountEntry *vf_mountinfo_of_device (GPtrArray *table, dev_t device, const char *preferred);

/* TRUE if @path is @ancestor or below it; both absolute and normalised. */
gboolean vf_path_is_within (const char *path, const char *ancestor);

G_END_DECLS

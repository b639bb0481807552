/* Taking names away: whiteouts, and what becomes of objects whose name is gone.
 *
 * An object that the kernel still remembers (it may be open, mapped, or somebody's working
 * directory) moves to work/ and is deleted when the kernel forgets it. Every step here
 * leaves the tree seen through the mount either as before or as after, whenever the daemon is
 * killed: a whiteout is made in work/ and exchanged with what it replaces.
 *
 * The whiteouts of a mount are names of one inode, as in the kernel's overlayfs, or of a few, where
 * a file system permits it no more names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/internal.h"

/* In work/: what the next whiteout is made a name of. */
#define SHARED_NAME "whiteout"

int
vf_whiteout_prepare (VfOverlay *overlay)
{
  struct stat st;
  if (mknodat (overlay->work_fd, SHARED_NAME, S_IFCHR, 0) < 0 ||
      fstatat (overlay->work_fd, SHARED_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  overlay->whiteout_ino = st.st_ino;
  return 0;
}

/* A name more costs far less than an inode, of which a removed package would take thousands. If
 * there can be none, for whatever reason, it is an inode all the same, and the next ones are names
 * of that. */
int
vf_whiteout_make (VfOverlay *overlay, int dir_fd, const char *name)
{
  if (linkat (overlay->work_fd, SHARED_NAME, dir_fd, name, 0) == 0)
    return 0;
  if (errno == EEXIST || mknodat (dir_fd, name, S_IFCHR, 0) < 0)
    return -errno;
  unlinkat (overlay->work_fd, SHARED_NAME, 0);
  struct stat st;
  gboolean shared = linkat (dir_fd, name, overlay->work_fd, SHARED_NAME, 0) == 0 &&
                    fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  overlay->whiteout_ino = shared ? st.st_ino : 0;
  return 0;
}

static int
unlink_whiteouts (gpointer stream)
{
  struct dirent *entry;
  rewinddir (stream);
  while ((entry = readdir (stream)))
    if ((entry->d_type == DT_CHR || entry->d_type == DT_UNKNOWN) &&
        unlinkat (dirfd (stream), entry->d_name, 0) < 0 && errno == EACCES)
      return -EACCES;
  return 0;
}

/* A removed directory holds nothing but whiteouts. */
static void
delete_whiteouts (int dir_fd, const char *name)
{
  g_autoptr (DIR) stream =
      vf_dir_of_fd (vf_beneath_open_forced (dir_fd, name, O_RDONLY | O_DIRECTORY));
  if (stream)
    vf_beneath_forced (dirfd (stream), NULL, unlink_whiteouts, stream);
}

void
vf_work_delete (VfOverlay *overlay, const char *name, gboolean directory)
{
  if (!directory) {
    unlinkat (overlay->work_fd, name, 0);
    return;
  }
  if (unlinkat (overlay->work_fd, name, AT_REMOVEDIR) == 0)
    return;
  delete_whiteouts (overlay->work_fd, name);
  unlinkat (overlay->work_fd, name, AT_REMOVEDIR);
}

/* Moves @name to work/ as @work_name, leaving a whiteout if asked to. */
static int
move_to_work (VfOverlay *overlay, int dir_fd, const char *name, const char *work_name,
              gboolean whiteout)
{
  if (!whiteout)
    return vf_beneath_rename (dir_fd, name, overlay->work_fd, work_name, 0);
  int result = vf_whiteout_make (overlay, overlay->work_fd, work_name);
  if (result < 0)
    return result;
  result = vf_beneath_rename (dir_fd, name, overlay->work_fd, work_name, RENAME_EXCHANGE);
  if (result == 0)
    return 0;
  unlinkat (overlay->work_fd, work_name, 0);
  return result;
}

int
vf_take_away (VfOverlay *overlay, guint64 parent, int dir_fd, const char *name,
              const VfChild *child, gboolean whiteout)
{
  char work_name[VF_NAME_BYTES];
  gboolean stands_here = vf_upper_stands_at (overlay->upper, child->id, parent, name);
  gboolean keep = stands_here && vf_upper_is_remembered (overlay->upper, child->id);
  if (!keep && !whiteout && !child->directory) {
    if (unlinkat (dir_fd, name, 0) < 0)
      return -errno;
  } else {
    vf_temporary_name (overlay, work_name);
    int result = move_to_work (overlay, dir_fd, name, work_name, whiteout);
    if (result < 0)
      return result;
  }
  /* With the whiteouts in it: nobody waits for it to be forgotten. */
  if (keep) {
    vf_upper_orphan (overlay->upper, child->id, work_name);
    return 0;
  }
  if (whiteout || child->directory)
    vf_work_delete (overlay, work_name, child->directory);
  /* Another name of the same file may be the one that is remembered. */
  if (stands_here || !vf_upper_is_remembered (overlay->upper, child->id)) {
    vf_descriptors_drop (overlay->descriptors, child->id);
    vf_upper_remove (overlay->upper, child->id);
  }
  return 0;
}

void
vf_lower_removed (VfOverlay *overlay, const VfChild *child)
{
  VfUpperNode removed = {.id = child->id,
                         .flags = VF_UPPER_ORPHAN | VF_UPPER_UNCOUNTED |
                                  (child->directory ? VF_UPPER_DIRECTORY : 0)};
  vf_upper_take (overlay->upper, &removed, "", 0);
}

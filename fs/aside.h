/* Setting parts of the upper aside, and bringing them back.
 *
 * aside/<n>/ of the environment holds what was taken out of the upper when generation n was left,
 * at the same paths: files, whiteouts, and directories with the marks by which they hid the image.
 * To bring it back is the same the other way round. Nothing is copied: every step is one rename,
 * and whenever the daemon is killed in the middle, each thing is in one of the two places; the next
 * mount of generation n brings back whatever lies in aside/<n>/.
 *
 * What is set aside does not cease to be: whoever has such a file open goes on reading and writing
 * it. Its record in the table moves along, to a directory that no name in the mount leads to
 * (overlay->asides). All of this holds the tree writing. */
#pragma once

#include "fs/internal.h"

G_BEGIN_DECLS

typedef struct {
  VfOverlay *overlay;
  guint number;         /* of the folder in aside/ that takes things; 0: there is none */
  VfImage *next;        /* what will be shown */
  gboolean mounted;     /* the kernel may know nodes by what they are now */
  guint depth;          /* of directories, one in the other, that are being brought back */
  GHashTable *mirrored; /* path → guint64: the directories in it so far */
  GHashTable *touched;  /* set of paths: directories that something was taken out of */
  const VfAsideWatch *watch;
} VfAside;

void vf_aside_init (VfAside *aside, VfOverlay *overlay, guint number, const VfAsideWatch *watch);
void vf_aside_clear (VfAside *aside);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfAside, vf_aside_clear)

/* To be called before what is seen at @path changes; @child is what is seen there. */
void
vf_aside_tell (const VfAside *aside, guint64 directory, const char *path, const VfChild *child);
/* A directory outside of what is seen, as a place in the table; its id. */
guint64 vf_aside_record (VfOverlay *overlay, guint64 parent, const char *name, ino_t ino);
/* aside/<number>; -ENOENT if it is not there and not to be made. */
int vf_aside_open (VfOverlay *overlay, guint number, gboolean make, guint64 *out_id);
/* Renames, and lets the table know; @child is what stands at the old place, or a whiteout. */
int vf_aside_move (VfOverlay *overlay, const VfChild *child, guint64 from, int from_fd, guint64 to,
                   int to_fd, const char *name);
/* Moves what the upper has at @path to the folder. */
int vf_aside_take_path (VfAside *aside, const char *path);
/* Records that nothing needs as a place any more go. */
void vf_aside_settle (VfAside *aside);

G_END_DECLS

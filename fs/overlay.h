/* The overlay: which side wins, without a line of FUSE in it.
 *
 * One VfOverlay is one mounted environment: a stack of images (newest first; one, until a switch)
 * below, an upper directory above. It answers by node id, with 0 or -errno; the session
 * (fs/session.h) turns the answers into replies. It can be driven from a test without a mount.
 *
 * Node ids
 *   below 2^62   image nodes. No state: the id is looked up in the images.
 *   bit 62 set   nodes born in the upper: 2^62 | st_ino of the upper's file system.
 *   bit 63 set   image nodes whose own id is another node's, since a switch (fs/lower.c).
 *   A copied-up node keeps its image id (recorded in user.venvfs.id of the upper file), so
 * descriptors and maps that are open already see the new data.
 *
 * Upper nodes stand in one table (fs/upper.h) that names each by (parent id, name).
 *
 * In the upper, as overlayfs has it: whiteout = character device 0:0, opaque directory =
 * user.overlay.opaque "y". Ours, for what copied no data: user.venvfs.digest (the content of a file
 * whose mode, owner, times or name changed), user.venvfs.lower (image id and path that a renamed
 * directory stands for).
 *
 * Locking: every call may come from any worker at any time. See internal.h for the locks and their
 * order. No lock is held while a caller's buffer is filled from a slow disk, nor during a copy-up
 * of data but the node's own. */
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "layers/image.h"
#include "layers/object.h"

G_BEGIN_DECLS

typedef struct VfOverlay VfOverlay;

typedef struct {
  VfStore *store;          /* for objects; referenced */
  int environment_fd;      /* directory that holds upper/ and work/, or the upper; duplicated */
  int work_fd;             /* the work directory, if that is the upper; else 0; duplicated */
  const char *prompt;      /* for views; copied */
  const char *mount_point; /* for views, as long as vf_overlay_set_mount_point() has not been
                              called; copied */
  guint generation;        /* of the image, whose aside/<n>/ is brought back; 0: none */
} VfOverlayOptions;

/* Who asks: for ownership of what is created. */
typedef struct {
  uid_t uid;
  gid_t gid;
  mode_t umask;
} VfCaller;

typedef struct {
  guint64 id; /* 0: listed, but could not be examined: of st, only type (or 0) and number are set */
  struct stat st;
  gboolean view;       /* attributes may change without a request: no attribute caching */
  guint32 lower_index; /* where the image that the mount began with has it, if it is all and only
                          that image's; 0 otherwise */
} VfEntry;

VfOverlay *vf_overlay_new (VfImage *image, const VfOverlayOptions *options, GError **error);
void vf_overlay_free (VfOverlay *overlay);
/* The image that the mount began with, and the store; borrowed. */
VfImage *vf_overlay_image (VfOverlay *overlay);
VfStore *vf_overlay_store (VfOverlay *overlay);

/* The mount point as it is now; TRUE when it differs from the former: the session then invalidates
 * what vf_overlay_foreach_view() names: the views that were looked at so far. Cheap. */
gboolean vf_overlay_set_mount_point (VfOverlay *overlay, const char *path);
typedef void (*VfOverlayNodeFunc) (guint64 id, gpointer user_data);
void vf_overlay_foreach_view (VfOverlay *overlay, VfOverlayNodeFunc func, gpointer user_data);

/* @func is called for every directory whose ctime a copy-up moves: taken up, or given a copy of
 * what it has already. Nobody asked for that, so no reply tells the kernel. It is called with the
 * overlay locked, by any worker. To be set before the first call. */
void vf_overlay_on_touched (VfOverlay *overlay, VfOverlayNodeFunc func, gpointer user_data);

/* Goes over to another image (fs/switch.c). */
typedef struct {
  VfImage *image;               /* to be shown from now on; referenced */
  guint aside;                  /* aside/<n>/ takes what is set aside; 0: nothing is */
  const char *const *set_aside; /* paths whose objects in the upper, if any, are set aside;
                                   NULL-terminated, or NULL */
  guint bring_back;             /* then all of aside/<n>/ comes back; 0: nothing does */
} VfSwitch;

typedef struct {
  guint64 directory;
  char *name;
} VfSwitchEntry;

typedef struct {
  GPtrArray *entries; /* of VfSwitchEntry: names at which another node is seen, or none any more */
  GArray *nodes;      /* of guint64: nodes whose attributes, and directories whose list, changed */
  GPtrArray *hidden;  /* of char *: what the image has new or changed and the upper hides */
} VfSwitchEffect;

/* The effect, with which the kernel is told before anybody is told that it is done, also when
 * *@out_result is -errno: parts of the upper may then have been set aside, the image is the former
 * one. -EINVAL: there is something to set aside, but no place. */
VfSwitchEffect *vf_overlay_switch (VfOverlay *overlay, const VfSwitch *wanted, int *out_result);
void vf_switch_effect_free (VfSwitchEffect *effect);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfSwitchEffect, vf_switch_effect_free)

/* Counts: a lookup that is answered to the kernel adds one reference to an upper node;
 * vf_overlay_forget() takes @n. Free for image nodes. */
int vf_overlay_lookup (VfOverlay *overlay, guint64 parent, const char *name, VfEntry *out_entry);
void vf_overlay_forget (VfOverlay *overlay, guint64 id, guint64 n);

int vf_overlay_getattr (VfOverlay *overlay, guint64 id, VfEntry *out_entry);
/* @mask: bits of VF_SET_*; @times as for utimensat (UTIME_NOW allowed). */
enum {
  VF_SET_MODE = 1 << 0,
  VF_SET_UID = 1 << 1,
  VF_SET_GID = 1 << 2,
  VF_SET_SIZE = 1 << 3,
  VF_SET_ATIME = 1 << 4,
  VF_SET_MTIME = 1 << 5,
  VF_TAKE_SETID = 1 << 6, /* setuid goes, and setgid where the group may execute */
};
int vf_overlay_setattr (VfOverlay *overlay, guint64 id, guint mask, const struct stat *values,
                        const struct timespec times[2], VfEntry *out_entry);
/* NUL-terminated, allocated. */
int vf_overlay_readlink (VfOverlay *overlay, guint64 id, char **out_target);

int vf_overlay_mknod (VfOverlay *overlay, const VfCaller *caller, guint64 parent, const char *name,
                      mode_t mode, dev_t rdev, VfEntry *out_entry); /* regular files too */
int vf_overlay_mkdir (VfOverlay *overlay, const VfCaller *caller, guint64 parent, const char *name,
                      mode_t mode, VfEntry *out_entry);
int vf_overlay_symlink (VfOverlay *overlay, const VfCaller *caller, const char *target,
                        guint64 parent, const char *name, VfEntry *out_entry);
/* O_TMPFILE: a regular file without a name. */
int vf_overlay_tmpfile (VfOverlay *overlay, const VfCaller *caller, guint64 parent, mode_t mode,
                        VfEntry *out_entry);
int vf_overlay_link (VfOverlay *overlay, guint64 id, guint64 new_parent, const char *new_name,
                     VfEntry *out_entry);
int vf_overlay_unlink (VfOverlay *overlay, guint64 parent, const char *name);
int vf_overlay_rmdir (VfOverlay *overlay, guint64 parent, const char *name);
int vf_overlay_rename (VfOverlay *overlay, guint64 parent, const char *name, guint64 new_parent,
                       const char *new_name, guint flags);

/* Lets @func, of which NULL is none, end this thread's next calls with -EINTR: it is asked again
 * and again while the bytes of a large file are copied, which is all that takes long. */
typedef gboolean (*VfInterruptedFunc) (gpointer user_data);
void vf_overlay_interrupt_by (VfInterruptedFunc func, gpointer user_data);

/* Reading answers where the bytes are: either @out_extent (the descriptor stays the overlay's and
 * is valid until vf_overlay_read_done()) or @out_bytes (a view's). Exactly one is set. */
typedef struct {
  VfExtent extent; /* fd -1 when bytes is set */
  GBytes *bytes;
  gpointer hold;
} VfRead;
int vf_overlay_read (VfOverlay *overlay, guint64 id, guint64 offset, gsize size, VfRead *out_read);
void vf_overlay_read_done (VfOverlay *overlay, VfRead *read);
/* Copies up first where need be; @out_written may be short. @takes_setid: as VF_TAKE_SETID. */
int vf_overlay_write (VfOverlay *overlay, guint64 id, guint64 offset, const void *data, gsize size,
                      gboolean takes_setid, gsize *out_written);
int vf_overlay_fallocate (VfOverlay *overlay, guint64 id, int mode, guint64 offset, guint64 length);
int
vf_overlay_lseek (VfOverlay *overlay, guint64 id, gint64 offset, int whence, gint64 *out_offset);
int vf_overlay_copy_range (VfOverlay *overlay, guint64 in_id, guint64 in_offset, guint64 out_id,
                           guint64 out_offset, gsize size, gsize *out_copied);
int vf_overlay_fsync (VfOverlay *overlay, guint64 id, gboolean data_only);

/* Lists @directory from the entry whose position is greater than @after (0: from the start), in the
 * order of name hashes; "." and ".." first. @func returns FALSE to stop (that entry was not taken).
 * Each entry but "." and ".." that it takes counts as looked up. */
typedef gboolean (*VfOverlayListFunc) (const char *name, const VfEntry *entry, guint64 position,
                                       gpointer user_data);
int vf_overlay_list (VfOverlay *overlay, guint64 directory, guint64 after, VfOverlayListFunc func,
                     gpointer user_data);

/* Whether the upper keeps POSIX ACLs. If so, the umask of a caller counts where no default ACL
 * does. */
gboolean vf_overlay_has_acls (VfOverlay *overlay);
int vf_overlay_statfs (VfOverlay *overlay, struct statvfs *out_statvfs);
/* Size 0 asks for the length. The overlay's own attributes are neither visible nor settable. */
gssize
vf_overlay_getxattr (VfOverlay *overlay, guint64 id, const char *name, void *value, gsize size);
gssize vf_overlay_listxattr (VfOverlay *overlay, guint64 id, char *list, gsize size);
int vf_overlay_setxattr (VfOverlay *overlay, guint64 id, const char *name, const void *value,
                         gsize size, int flags);
int vf_overlay_removexattr (VfOverlay *overlay, guint64 id, const char *name);

G_END_DECLS

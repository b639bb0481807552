/* What the parts of the overlay share. Nothing outside fs/overlay_lib includes it.
 *
 * Locks, in the order in which they may be taken:
 *
 *   1. a node's turn (vf_overlay_begin_turn): held by who makes or fills the upper copy of a file,
 *      for as long as copying its bytes takes. Two at once are never taken.
 *   2. overlay->tree, readers and one writer: that names and places are what they are. Held reading
 *      from resolving a node until a descriptor of it is there; held writing by whatever changes a
 *      name, a place or which bytes a node has. Never held while a file's bytes are read, written
 * or copied.
 *   3. the mutexes inside the table, the descriptors, the listings, the views and the ids, and that
 *      of the images: for one call each.
 *
 * So a rename of a directory waits for whoever walks through it, a copy-up of a gigabyte makes
 * nobody wait but those who want that file, and nobody waits for a lock with an inner one held.
 *
 * Names of functions: vf_overlay_* are calls of the contract (overlay.h) and take the locks they
 * need; the others say what their caller holds. */
#pragma once

#include <string.h>

#include "fs/beneath.h"
#include "fs/descriptors.h"
#include "fs/overlay.h"
#include "fs/upper.h"
#include "layers/io.h"
#include "layers/marks.h"

G_BEGIN_DECLS

typedef struct VfListings VfListings;
typedef struct VfLowers VfLowers;
typedef struct VfViews VfViews;

struct VfOverlay {
  GMutex images_lock; /* innermost, as those inside the table and the caches */
  GPtrArray *images;  /* of VfImage: all that this mount has shown or has a renamed directory of;
                         none is taken out before the end, so a borrowed one stays [lock: images] */
  VfImage *first;     /* what was shown at the beginning; one of images; constant */
  VfImage *newest;    /* what is shown; one of images [lock: tree] */
  GArray *shown;      /* of guint: numbers in images of all that were shown, the newest last; an
                         image that was shown again stands here twice [lock: tree] */
  VfStore *store;     /* referenced; constant as all below */
  int environment_fd; /* holds aside/; -1: nothing can be set aside */
  GHashTable *asides; /* id → descriptor, O_PATH: folders in aside/ [lock: tree] */
  int upper_fd;       /* O_PATH */
  int work_fd;        /* O_PATH */
  uid_t uid;          /* who owns image nodes */
  gid_t gid;
  gboolean privileged;    /* may give files away */
  gboolean forgets_sizes; /* what a power cut takes from the upper's new files: see copyup.c */
  gboolean has_aside;     /* something was set aside once, now or in former mounts [lock: tree] */

  GRWLock tree;
  GMutex turns_lock;
  GCond turns_changed;
  GHashTable *turns; /* set of node ids that have their turn; [lock: turns_lock] */
  gint last_temporary;
  guint64 whiteout_ino; /* of what whiteouts are names of; 0: not known [lock: tree] */

  VfOverlayNodeFunc on_touched; /* or NULL */
  gpointer on_touched_data;

  VfUpper *upper;
  VfLowers *lowers;
  VfDescriptors *descriptors;
  VfListings *listings;
  VfViews *views;
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfOverlay, vf_overlay_free)

/* ---- paths below the root, which is "" */

static inline const char *
vf_path_last (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash ? slash + 1 : path;
}

static inline char *
vf_path_join (const char *path, const char *name)
{
  return *path ? g_strconcat (path, "/", name, NULL) : g_strdup (name);
}

/* ---- node.c: from a node id to what it is and where it stands */

typedef struct {
  VfUpperNode upper; /* its record; flags 0 when it has none */
  gboolean present;  /* an object of the upper stands for it */
  VfImage *image;    /* what is below: NULL if nothing; borrowed */
  VfImageNode lower; /* valid if image is set */
  gboolean directory;
  gboolean removed; /* its name is gone */
} VfNode;

/* Holds: tree. -ESTALE when nobody knows @id. */
int vf_node_resolve (VfOverlay *overlay, guint64 id, VfNode *out_node);
/* The same, and -ENOTDIR or -ENOENT unless it is a directory that can have entries. */
int vf_node_resolve_directory (VfOverlay *overlay, guint64 id, VfNode *out_node);

/* Where the object of a present node stands. */
typedef struct {
  VfDescriptor *directory; /* NULL: dir_fd is the overlay's own */
  int dir_fd;
  char name[VF_NAME_BYTES];
} VfPlace;
/* Holds: tree, until the place has been used. */
int vf_place_find (VfOverlay *overlay, const VfNode *node, VfPlace *out_place);
/* The same of @id, which is resolved. -ESTALE when nothing in the upper stands for it. */
int vf_place_resolve (VfOverlay *overlay, guint64 id, VfNode *out_node, VfPlace *out_place);
void vf_place_clear (VfPlace *place);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfPlace, vf_place_clear)

/* A reference to an O_PATH descriptor of a present directory. Holds: tree. */
int vf_directory_open (VfOverlay *overlay, guint64 id, VfDescriptor **out_descriptor);
/* A name in work/ that nothing has. */
void vf_temporary_name (VfOverlay *overlay, char out_name[VF_NAME_BYTES]);

/* The number in overlay->images of the image called @id, which is opened from the store if this
 * mount has not used it yet; or -errno. */
int vf_image_number (VfOverlay *overlay, const VfDigest *id);
/* The same of an image that is open: if it is new there, it is referenced. */
int vf_image_enter (VfOverlay *overlay, VfImage *image);
VfImage *vf_image_numbered (VfOverlay *overlay, guint number);

/* ---- lower.c: image nodes by the ids that this mount gives them. All hold: tree */

typedef struct {
  VfImage *image; /* borrowed */
  VfImageNode lower;
  gboolean retired; /* what is shown has it no more, but for a renamed directory's sake */
} VfLowerNode;

VfLowers *vf_lowers_new (void);
void vf_lowers_free (VfLowers *lowers);
/* 0, -ENOENT when no image has it, or -EIO. */
int vf_lower_find (VfOverlay *overlay, guint64 id, VfLowerNode *out_node);
/* What @image has of that id. */
int vf_lower_find_in (VfOverlay *overlay, VfImage *image, guint64 id, VfImageNode *out_lower);
/* The id of the directory that holds @lower, whose id is this mount's. */
int vf_lower_parent (VfOverlay *overlay, VfImage *image, const VfImageNode *lower, guint64 *out_id);
/* Turns the id that @image gives @child into the one by which it is seen in @parent. */
void vf_lower_number_child (VfOverlay *overlay, guint64 parent, VfImage *image, VfImageNode *child);
/* The id of a renamed directory, @ino in the upper, when @plain is another's; @image by number. */
guint64 vf_lower_number_renamed (VfOverlay *overlay, guint image, guint64 plain, guint64 ino);
/* Whether that was done before. */
gboolean vf_lower_is_numbered (VfOverlay *overlay, guint64 ino);
/* The image's own id. */
guint64 vf_lower_plain_id (VfOverlay *overlay, guint64 id);
/* 1 if the upper hides what @image has there, 0 if it is seen, -errno. */
int vf_lower_is_covered (VfOverlay *overlay, VfImage *image, const VfImageNode *lower);
/* Whether the kernel may know a node of an image by @plain, or get to know one, although nothing in
 * the table has that id. 1, 0 or -errno. */
int vf_lower_is_possible (VfOverlay *overlay, guint64 plain);
/* Whether it is seen in a directory of an image that was renamed. */
gboolean vf_lower_is_below_renamed (VfOverlay *overlay, guint64 id);
/* After a switch: what stands elsewhere than where the newest image shows its id, or nowhere, keeps
 * it; the image's node gets another. Holds: tree writing. */
void vf_lowers_retire (VfOverlay *overlay);

/* ---- marking.c: marks, whatever the modes of what carries them */

int vf_marking_read (int dir_fd, const char *name, mode_t mode, VfMarks *out_marks);
int vf_marking_set_opaque (int fd);
int vf_marking_set_lower (int fd, const VfDigest *image, const char *path);
int vf_marking_remove_digest (int fd);
int vf_marking_remove_id (int fd);

/* ---- child.c: which side a name in a directory is on */

typedef struct {
  VfUpperNode upper; /* as it would be recorded; flags 0 when the upper has nothing */
  struct stat st;    /* of the upper's object */
  gboolean whiteout; /* the upper has a whiteout there */
  VfImage *image;    /* of lower */
  VfImageNode lower; /* the image's child, or what a present directory stands for */
  gboolean below;    /* the image beneath the parent has an entry of this name, visible or not */
  gboolean directory;
  guint64 id;
} VfChild;

/* 0, -ENOENT (the fields whiteout and below are valid then), or another error.
 * @dir_fd: the parent's object in the upper, -1 if it has none. Holds: tree. */
int vf_child_find (VfOverlay *overlay, const VfNode *parent, int dir_fd, const char *name,
                   VfChild *out_child);
/* Opens the parent's directory as needed. */
int
vf_child_find_in (VfOverlay *overlay, const VfNode *parent, const char *name, VfChild *out_child);
/* The child itself as a node. */
VfNode vf_node_of_child (const VfChild *child);
/* Checks a name that a caller gave: -EINVAL, -ENAMETOOLONG or 0. */
int vf_name_check (const char *name);

/* ---- attributes.c */

void vf_entry_of_lower (VfOverlay *overlay, VfImage *image, const VfImageNode *lower,
                        gboolean removed, VfEntry *out_entry);
/* @st: what the upper says. Holds: tree. */
int vf_entry_of_upper (VfOverlay *overlay, const VfUpperNode *upper, VfImage *image,
                       const VfImageNode *lower, const struct stat *st, VfEntry *out_entry);
/* As the answer to a lookup, which puts a node of the upper into the table. Holds: tree. */
int
vf_entry_of_child (VfOverlay *overlay, const VfChild *child, const char *name, VfEntry *out_entry);
/* Takes back a lookup that nobody was told of. An orphan whose last it was stays in work/ until the
 * mount ends. Holds: tree. */
void vf_forget_untold (VfOverlay *overlay, guint64 id);
/* The attributes of what was just made at @name, counting a lookup of it. Holds: tree writing. */
int vf_entry_of_new (VfOverlay *overlay, guint64 parent, int dir_fd, const char *name,
                     VfEntry *out_entry);

/* ---- copyup.c */

/* Makes sure that @id, a directory, has an object in the upper. Holds: tree writing. */
int vf_copyup_directory (VfOverlay *overlay, guint64 id);

/* The same for one whose name is gone: it gets one in work/. */
int vf_copyup_orphan (VfOverlay *overlay, guint64 id);

typedef enum {
  VF_COPYUP_STUB,  /* mode, owner, times and name of its own; the bytes stay the store's */
  VF_COPYUP_BYTES, /* its own bytes too */
} VfCopyupDepth;
/* Makes sure that @id, not a directory, has an object in the upper. Holds: nothing. */
int vf_copyup_file (VfOverlay *overlay, guint64 id, VfCopyupDepth depth);
/* The same. Holds: the node's turn. */
int vf_copyup_file_in_turn (VfOverlay *overlay, guint64 id, VfCopyupDepth depth);

void vf_overlay_begin_turn (VfOverlay *overlay, guint64 id);
void vf_overlay_end_turn (VfOverlay *overlay, guint64 id);

/* ---- whiteout.c: taking things away. All hold: tree writing. */

/* Puts into work/ what whiteouts will be names of; once, before the first. */
int vf_whiteout_prepare (VfOverlay *overlay);
int vf_whiteout_make (VfOverlay *overlay, int dir_fd, const char *name);
gboolean vf_stat_is_whiteout (const struct stat *st);
/* Takes the upper's object @name away from @dir_fd, leaving a whiteout there if @whiteout. What the
 * kernel remembers moves to work/ and becomes an orphan, the rest is deleted. */
int vf_take_away (VfOverlay *overlay, guint64 parent, int dir_fd, const char *name,
                  const VfChild *child, gboolean whiteout);
/* The name of a node that is only the image's is gone: remembered until the kernel forgets it. */
void vf_lower_removed (VfOverlay *overlay, const VfChild *child);
/* Deletes an object of work/, with the whiteouts in it if it is a directory. Nobody else may know
 * it any more, so no lock is needed. */
void vf_work_delete (VfOverlay *overlay, const char *name, gboolean directory);

/* ---- aside.c and bring-back.c. Both hold: tree writing */

typedef struct {
  /* Called before what is seen at @path changes; @id: the node that is seen there now, 0 if none.
   */
  void (*about_to_change) (guint64 directory, const char *path, guint64 id, gpointer user_data);
  gpointer user_data;
} VfAsideWatch;
/* Moves what the upper has at @paths to aside/<number>/. @next: what is going to be shown. */
int vf_aside_take (VfOverlay *overlay, guint number, const char *const *paths, VfImage *next,
                   const VfAsideWatch *watch);
/* Moves all of aside/<number>/ back, and what stands in its place to aside/<into>/; if that is 0,
 * what has no place stays where it is. @mounted: the kernel may know nodes. @watch: optional. */
int vf_aside_bring_back (VfOverlay *overlay, guint number, guint into, gboolean mounted,
                         const VfAsideWatch *watch);

/* ---- listing.c */

VfListings *vf_listings_new (void);
void vf_listings_free (VfListings *listings);
/* An entry has come into a directory or gone. @below: the image has that name there, too. */
void vf_directory_gained (VfOverlay *overlay, guint64 directory, const char *name, gboolean below,
                          gboolean is_directory);
void vf_directory_lost (VfOverlay *overlay, guint64 directory, const char *name, gboolean below,
                        gboolean is_directory);
/* The directory itself is gone. */
void vf_listings_drop (VfListings *listings, guint64 directory);
/* Another image is shown. */
void vf_listings_clear (VfListings *listings);
/* 1 if nothing is visible in it, 0 if something is, -errno. Holds: tree. */
int vf_directory_is_empty (VfOverlay *overlay, const VfNode *node);
int vf_child_is_empty (VfOverlay *overlay, const VfChild *child, const char *name);
/* How many directories are in a present directory that is merged. Holds: tree. */
int vf_directory_count (VfOverlay *overlay, guint64 id, VfImage *image, const VfImageNode *lower);

/* ---- views.c */

VfViews *vf_views_new (const char *prompt, const char *mount_point);
void vf_views_free (VfViews *views);
/* The bytes of a view as of now, or NULL if its template is damaged; owned by the caller. */
GBytes *vf_views_render (VfViews *views, const VfImageNode *node);

/* ---- data.c */

/* A descriptor to write to, copying up first where need be. Holds: nothing, or the node's turn as
 * @in_turn says. */
int vf_node_open_writable (VfOverlay *overlay, guint64 id, gboolean in_turn,
                           VfDescriptor **out_descriptor);

/* Where the bytes of a node are; a view's or inline ones in @out_bytes. Holds: tree. */
int vf_node_open_bytes (VfOverlay *overlay, const VfNode *node, VfDescriptor **out_descriptor,
                        GBytes **out_bytes);

G_END_DECLS

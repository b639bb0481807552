/* The table of upper nodes: what the overlay has to remember.
 *
 * A node is here when the kernel knows it and something of it stands in the upper (or did, until it
 * was unlinked). It is named by (parent id, name); a record holds no pointer and no descriptor, so
 * that the table can be handed to a successor process. Nodes of the image that nobody changed are
 * never here: whoever is not in the table is what the image says.
 *
 * Counts. Every lookup that is answered adds one, FORGET takes away; a record is dropped when
 * nothing is left and no other record names it as its parent (a hard link may outlive the
 * kernel's memory of the directory by whose name it stands here). A node that was looked up while
 * it was still the image's has an unknown number of lookups from that time (VF_UPPER_UNCOUNTED).
 * Since the kernel gives all of them back in one FORGET when it drops an inode, such a record goes
 * with the first FORGET that takes more than was counted.
 *
 * Locking: one mutex inside, innermost of all, held for the length of a call. That a place
 * (parent, name) stays true for longer is what the overlay's tree lock is for. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VF_UPPER_ROOT     1u
#define VF_UPPER_BORN_BIT (G_GUINT64_CONSTANT (1) << 62)
#define VF_NAME_BYTES     256 /* a name of 255 bytes and its NUL */

/* The id of a node that was born in the upper, by its inode there. */
static inline guint64
vf_upper_born_id (guint64 ino)
{
  return VF_UPPER_BORN_BIT | (ino & (VF_UPPER_BORN_BIT - 1));
}

typedef enum {
  VF_UPPER_PRESENT = 1 << 0, /* an object stands in the upper, or in work/ for an orphan */
  VF_UPPER_ORPHAN = 1 << 1,  /* the name is gone; PRESENT: the object is in work/ */
  VF_UPPER_STUB = 1 << 2,    /* the content is still the store's (user.venvfs.digest) */
  VF_UPPER_DIRECTORY = 1 << 3,
  VF_UPPER_UNCOUNTED = 1 << 4, /* see above */
  VF_UPPER_UNMARKED = 1 << 5,  /* nothing but this record tells its id (a copied-up symlink, a
                                  renamed directory), so it is kept until it is unlinked */
  VF_UPPER_NEW_NAME = 1 << 6,  /* copied up, and its name in the upper not yet synced */
  VF_UPPER_UNNAMED = 1 << 7,   /* an orphan that never had a name, and may be given one */
} VfUpperFlags;

typedef struct {
  guint64 id;
  guint64 parent; /* 0: the root's, an orphan's */
  guint64 ino;    /* in the upper's file system; 0 when not PRESENT */
  guint16 flags;
  guint16 pinned; /* a renamed directory stands for one of this image, 1 + its number in
                     VfOverlay.images; 0: for one of the newest image that has it */
} VfUpperNode;

typedef struct VfUpper VfUpper;
VfUpper *vf_upper_new (void);
void vf_upper_free (VfUpper *upper);

gboolean vf_upper_get (VfUpper *upper, guint64 id, VfUpperNode *out_node);
/* Where it stands; FALSE when it is not in the table. @out_name is empty for the root, and an
 * orphan's the name of its object in work/. */
gboolean
vf_upper_place (VfUpper *upper, guint64 id, VfUpperNode *out_node, char out_name[VF_NAME_BYTES]);
/* TRUE if @id is in the table and stands at exactly this place. A directory goes by two ids after
 * it has begun to be merged with one of an image: the place is the same. */
gboolean vf_upper_stands_at (VfUpper *upper, guint64 id, guint64 parent, const char *name);

/* Adds @n_lookups to the record of node->id, making it if need be. A record that is there keeps its
 * place and flags. */
void vf_upper_take (VfUpper *upper, const VfUpperNode *node, const char *name, guint64 n_lookups);
/* Each without effect when @id is not in the table. */
void vf_upper_set (VfUpper *upper, guint64 id, guint16 set_flags, guint16 clear_flags);
void vf_upper_set_ino (VfUpper *upper, guint64 id, guint64 ino);
/* From now on @id is found by its inode, which must have been set. */
void vf_upper_keep_unmarked (VfUpper *upper, guint64 id);
/* The id of an unmarked node, 0 if @ino is none. */
guint64 vf_upper_find_unmarked (VfUpper *upper, guint64 ino);
/* Whether the kernel may still ask for @id. */
gboolean vf_upper_is_remembered (VfUpper *upper, guint64 id);
void vf_upper_pin (VfUpper *upper, guint64 id, guint16 pinned);
void vf_upper_move (VfUpper *upper, guint64 id, guint64 parent, const char *name);
/* @work_name: of its object in work/, empty if it has none. */
void vf_upper_orphan (VfUpper *upper, guint64 id, const char *work_name);
/* Takes the record away at once. */
void vf_upper_remove (VfUpper *upper, guint64 id);
/* TRUE if that was the last of it: the record, of which @out_node and @out_name (as of
 * vf_upper_place, each may be NULL) are copies, is gone. */
gboolean vf_upper_forget (VfUpper *upper, guint64 id, guint64 n_lookups, VfUpperNode *out_node,
                          char out_name[VF_NAME_BYTES]);

/* The number of directories in a directory, as far as it was ever counted; -1 otherwise. */
gint32 vf_upper_n_directories (VfUpper *upper, guint64 id);
void vf_upper_set_n_directories (VfUpper *upper, guint64 id, gint32 n);
void vf_upper_adjust_n_directories (VfUpper *upper, guint64 id, gint32 by);

/* Another image is shown: a directory may get a second id, by which it is merged or no longer is.
 * The records then go the same ways. */
void vf_upper_expect_twins (VfUpper *upper);
/* Nothing is known any more of how many directories are in which. */
void vf_upper_clear_n_directories (VfUpper *upper);

gsize vf_upper_n_nodes (VfUpper *upper);

/* All that is in the table: of VfUpperPlace. */
typedef struct {
  VfUpperNode node;
  char name[];
} VfUpperPlace;
GPtrArray *vf_upper_places (VfUpper *upper);

G_END_DECLS

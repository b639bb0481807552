/* The lister: a thread of a mount's that lists directories of this very mount.
 *
 * It has a table of descriptors of its own, without /dev/fuse, and holds no lock while it lists:
 * when the daemon is killed while it waits for an answer, the last descriptor of /dev/fuse is
 * closed all the same, the connection ends, and it is let go. It runs while there is something to
 * do and a while longer; a directory is open just for as long as it is listed, since the mount is
 * busy then.
 *
 * Locking: every function may be called from any thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VfLister VfLister;

/* Called in the lister's thread. @number: as queued. */
typedef void (*VfListerFunc) (VfLister *lister, guint32 number, gpointer user_data);
/* Called in the lister's thread after a while without work, which then ends. */
typedef void (*VfListerIdleFunc) (gpointer user_data);

/* @parent_fd and @mount_name: where the mount is seen. @other_fd: what @func and @idle may use. No
 * other descriptor that is not a standard one is there for them. Both are borrowed. */
VfLister *vf_lister_new (int parent_fd, const char *mount_name, int other_fd, VfListerFunc func,
                         VfListerIdleFunc idle, gpointer user_data);
/* Waits for the thread: the connection must have somebody who answers it, or be closed. */
void vf_lister_free (VfLister *lister);

void vf_lister_queue (VfLister *lister, guint32 number);
/* Whether something else is to be done: what was queued, or to stop. */
gboolean vf_lister_has_more (VfLister *lister);
/* Starts the thread, or its time without work anew. */
void vf_lister_wake (VfLister *lister);
/* Lists a directory of the mount, if it can be. In the lister's thread. */
void vf_lister_list (VfLister *lister, const char *path);
/* Looks whether there is something by that path. In the lister's thread. */
void vf_lister_look_up (VfLister *lister, const char *path);

G_END_DECLS

/* The live mounts: of each the session, the images' lease and the environment's lock.
 *
 * A mount enters with vf_mounts_add() and leaves by itself when the kernel is done with it (any
 * kind of unmount, or the connection was aborted). Everything it holds is given back then, the lock
 * last: who gets the lock finds nothing of the former mount in use.
 *
 * Locking: every function may be called from any thread. */
#pragma once

#include "fs/control.h"
#include "fs/pool.h"

G_BEGIN_DECLS

typedef struct VfMounts VfMounts;
/* Called from any thread after a mount has gone. */
typedef void (*VfMountsChangedFunc) (gpointer user_data);

/* @pool is borrowed. */
VfMounts *vf_mounts_new (VfPool *pool, VfMountsChangedFunc changed, gpointer user_data);
/* After the pool was freed. Mounts that live are dead from then on: the process ends. */
void vf_mounts_free (VfMounts *mounts);

/* Opens store, image and overlay, answers the kernel's INIT, and serves. Takes @request over.
 * Blocks for as long as the disk does. */
gboolean vf_mounts_add (VfMounts *mounts, VfMountRequest *request, GError **error);
/* Shows another image at a mount; the former ones stay claimed until the mount ends. Blocks. */
gboolean vf_mounts_switch (VfMounts *mounts, const VfSwitchRequest *request, char ***out_hidden,
                           GError **error);
guint vf_mounts_count (VfMounts *mounts);
/* Floating, of type aa{sv}, as fs/control.xml says. */
GVariant *vf_mounts_list (VfMounts *mounts);

G_END_DECLS

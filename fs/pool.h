/* The pool: one small set of workers for the requests of all sessions.
 *
 * A source is a non-blocking descriptor and a function that answers one request from it. A mount
 * costs no thread. There are few workers; when each of them has been busy with one and the same
 * request for a while (a long copy-up), or many answers take long (a slow disk), more are started,
 * so that such requests never hold up the others; those leave again when they idle.
 *
 * Locking: every function may be called from any thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

struct fuse_buf;

/* Reads and answers one request with @buffer, the worker's own (zeroed at first, its memory from
 * malloc(), kept between calls). Returns 1 when one was handled, 0 when none waits, -errno when the
 * source is dead. Called by several workers at once. */
typedef int (*VfPoolStepFunc) (gpointer user_data, struct fuse_buf *buffer);
/* The source is dead and no worker uses it any more. Called once, from a worker. */
typedef void (*VfPoolGoneFunc) (gpointer user_data);

typedef struct VfPool VfPool;

/* @n_workers: how many there always are, at least 1. @spin_usec: how long a worker looks for the
 * next request of the same source before it sleeps; 0 where there is but one processor. */
VfPool *vf_pool_new (guint n_workers, guint spin_usec, GError **error);
/* Stops and joins the workers; a request that is being handled is finished first. Sources that are
 * still there are forgotten without a call of their gone function. */
void vf_pool_free (VfPool *pool);

/* @fd stays the caller's and must live until @gone is called. */
gboolean vf_pool_add (VfPool *pool, int fd, VfPoolStepFunc step, VfPoolGoneFunc gone,
                      gpointer user_data, GError **error);

/* For tests. */
guint vf_pool_n_workers (VfPool *pool);
guint vf_pool_n_sources (VfPool *pool);

G_END_DECLS

/* Prefetch: what an import is about to read, pushed into the page cache before it asks.
 *
 * A first import over FUSE waits thousands of times for one small READ. When something is imported,
 * what imports of this image read below that top directory before (layers/profile.h), or, if
 * nothing is known, all compiled modules of this directory, is pushed (fs/pusher.h). Then the real
 * directories are listed, so that the kernel knows the names, and where what will be imported is
 * known, the names by which there is no `__init__` as well. Then comes what the import goes on to:
 * where it is known, the one top directory that was next; else some directories that the modules
 * themselves name (layers/import-order.h). What an import read or opened is remembered.
 *
 * That something is imported shows in what only an import does: Python looks in a package for an
 * `__init__` that is an extension module, by several names and mostly in vain, before it looks for
 * `__init__.py`. Walks, removals and archives look for nothing that is not there.
 *
 * Off with VENVFS_PREFETCH=0. Locking: every function may be called from any worker. A NULL
 * prefetch notices nothing. */
#pragma once

#include "fs/operations.h"

G_BEGIN_DECLS

/* @parent_fd, @mount_name: where the mount is seen, borrowed. The session has its pusher. */
VfPrefetch *vf_prefetch_new (VfSession *session, int parent_fd, const char *mount_name);
/* After the connection was closed: it waits for the lister. Writes down what was learnt. */
void vf_prefetch_free (VfPrefetch *prefetch);

/* Somebody looked up @name and found @entry. Before vf_pusher_show() of it. */
void vf_prefetch_found (VfPrefetch *prefetch, const char *name, const VfEntry *entry);
/* Somebody asked whether @id is a terminal, as Python up to 3.13 does of each file that it opens.
 * What is in the page cache already, names included, is read without any other request. */
void vf_prefetch_opened (VfPrefetch *prefetch, guint64 id);
/* Somebody looked up @name in @parent, and there was none. */
void vf_prefetch_missed (VfPrefetch *prefetch, guint64 parent, const char *name);
/* Somebody reads: @size bytes at @offset were asked for. */
void vf_prefetch_note_read (VfPrefetch *prefetch, guint64 id, guint64 offset, gsize size);

G_END_DECLS

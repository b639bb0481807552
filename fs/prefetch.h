/* Prefetch: what an import is about to read, pushed into the page cache before it asks.
 *
 * A first import over FUSE waits thousands of times for one small READ. When something is imported,
 * what imports of this image read below that top directory before (layers/profile.h), or, if
 * nothing is known, all compiled modules of this directory, is pushed with FUSE_NOTIFY_STORE. Then
 * the real directories are listed, so that the kernel knows the names, and where what will be
 * imported is known, the names by which there is no `__init__` as well. What an import read or
 * opened is remembered.
 *
 * That something is imported shows in what only an import does: Python looks in a package for an
 * `__init__` that is an extension module, by several names and mostly in vain, before it looks for
 * `__init__.py`. Walks, removals and archives look for nothing that is not there.
 *
 * The kernel takes a push only for an inode that it has. Only READDIRPLUS makes many of them at
 * once, and only for a process that lists a directory. So there are directories that nobody can
 * find (their names have a random part and are in no listing), whose entries are those files by
 * number; the lister lists them through the mount. When the kernel asks for what comes after the
 * last entry, it has all the inodes: a thread pushes their contents before it answers. A
 * hidden directory is a function of its number alone: a directory of the image, or the group of the
 * profile that belongs to it.
 *
 * Invariants
 *   Only files that the kernel has no name for yet are pushed. Nobody can have opened them, so
 *   nobody can have changed them (a push would overwrite that) and no READ of them is under way
 *   (a push waits for its page, and if the daemon were killed then, for ever). Each answer that
 *   makes a file visible passes vf_prefetch_show() first, which waits for a push of just this file.
 *   A file that is in the upper already but has the number of the image's (it was copied up during
 *   a former mount) may have been pushed with the image's content: vf_prefetch_show() invalidates
 *   it, the first time.
 *   The attributes of what was pushed are told with the answer that makes it visible.
 *
 * Off with VENVFS_PREFETCH=0. Locking: every function may be called from any worker. */
#pragma once

#include "fs/operations.h"

G_BEGIN_DECLS

/* @parent_fd, @mount_name: where the mount is seen, borrowed; -1: nothing is ever pushed. */
VfPrefetch *vf_prefetch_new (VfSession *session, int parent_fd, const char *mount_name);
/* Before the connection is closed: waits for what is being pushed. */
void vf_prefetch_stop (VfPrefetch *prefetch);
/* After the connection was closed: it waits for the lister. Writes down what was learnt. */
void vf_prefetch_free (VfPrefetch *prefetch);

/* To be called before each answer that makes @entry visible. */
void vf_prefetch_show (VfPrefetch *prefetch, const VfEntry *entry);
/* Somebody looked up @name and found @entry. Before vf_prefetch_show() of it. */
void vf_prefetch_found (VfPrefetch *prefetch, const char *name, const VfEntry *entry);
/* Somebody asked whether @id is a terminal, as Python up to 3.13 does of each file that it opens.
 * What is in the page cache already, names included, is read without any other request. */
void vf_prefetch_opened (VfPrefetch *prefetch, guint64 id);
/* Somebody looked up @name in @parent, and there was none. */
void vf_prefetch_missed (VfPrefetch *prefetch, guint64 parent, const char *name);
/* Somebody reads: @size bytes at @offset were asked for. */
void vf_prefetch_note_read (VfPrefetch *prefetch, guint64 id, guint64 offset, gsize size);

/* The hidden directories. */
gboolean vf_prefetch_is_hidden (guint64 id);
/* FALSE if @name is no hidden directory's. */
gboolean
vf_prefetch_lookup (VfPrefetch *prefetch, const char *name, struct fuse_entry_param *out_parameter);
/* Answers @req, a READDIRPLUS of @id. @buffer: of @size bytes, for the answer. */
void vf_prefetch_list (VfPrefetch *prefetch, fuse_req_t req, guint64 id, char *buffer, gsize size,
                       guint64 offset);

G_END_DECLS

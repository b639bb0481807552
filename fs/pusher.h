/* The pusher: puts contents of the image's files into the page cache of the mount before anybody
 * asks for them (FUSE_NOTIFY_STORE).
 *
 * The kernel takes a push only for an inode that it has. Only READDIRPLUS makes many of them at
 * once, and only for a process that lists a directory. So there are directories that nobody can
 * find (their names have a random part and are in no listing), whose entries are files that are
 * offered, by number. Who offers them lists the directory through the mount: when the kernel asks
 * for what comes after the last entry, it has all the inodes, and a thread pushes their contents
 * before it answers.
 *
 * Invariants
 *   Only files that the kernel has no name for yet are pushed. Nobody can have opened them, so
 *   nobody can have changed them (a push would overwrite that) and no READ of them is under way
 *   (a push waits for its page, and if the daemon were killed then, for ever). Each answer that
 *   makes a file visible passes vf_pusher_show() first, which waits for a push of just this file.
 *   A file that is in the upper already but has the number of the image's (it was copied up during
 *   a former mount) may have been pushed with the image's content: vf_pusher_show() invalidates
 *   it, the first time.
 *   The attributes of what was pushed are told with the answer that makes it visible.
 *
 * Locking: every function may be called from any thread. Of a mount for which nothing is ever
 * pushed there is no pusher: all but vf_pusher_offer() and vf_pusher_is_unseen() take NULL. */
#pragma once

#include "fs/operations.h"
#include "layers/profile.h"

G_BEGIN_DECLS

/* For the image that the session shows now. */
VfPusher *vf_pusher_new (VfSession *session);
/* Before the connection is closed: waits for what is being pushed. */
void vf_pusher_stop (VfPusher *pusher);
/* After the connection was closed. */
void vf_pusher_free (VfPusher *pusher);

/* Offers the pages in @ranges, whose groups do not matter, in place of what was offered last.
 * Whoever lists the directory by the name that is returned, in the mount's root, to its end has
 * them pushed then; the caller frees. */
char *vf_pusher_offer (VfPusher *pusher, const VfProfileRange *ranges, gsize n_ranges);
/* Whether something of a file was pushed and nobody has seen the file yet. */
gboolean vf_pusher_is_unseen (VfPusher *pusher, guint32 index);

/* To be called before each answer that makes @entry visible. */
void vf_pusher_show (VfPusher *pusher, const VfEntry *entry);
gboolean vf_pusher_is_hidden (guint64 id);
/* FALSE if @name is no hidden directory's. */
gboolean
vf_pusher_lookup (VfPusher *pusher, const char *name, struct fuse_entry_param *out_parameter);
/* Answers @req, a READDIRPLUS of the hidden directory @id. @buffer: of @size bytes, for the answer.
 */
void vf_pusher_list (VfPusher *pusher, fuse_req_t req, guint64 id, char *buffer, gsize size,
                     guint64 offset);

G_END_DECLS

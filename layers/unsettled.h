/* Names that are in the store but may not be on the disk yet.
 *
 * Who puts a thing into its place makes the rename durable afterwards, and may be killed in
 * between, or just be slower than somebody who finds the thing and writes what refers to it. Were
 * that durable first, a power loss would leave it without what it refers to: not every file system
 * commits the renames of one process with an fsync of another. So a store notes the directories in
 * which something that was reused is young, and whoever is about to put into place what may refer
 * to it syncs these first (vf_store_settle). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Older names are on the disk: file systems write them out by themselves, most within half a
 * minute. */
#define VF_UNSETTLED_SECONDS 600

typedef struct VfUnsettled VfUnsettled;
VfUnsettled *vf_unsettled_new (void);
void vf_unsettled_free (VfUnsettled *unsettled);

/* @relative was reused; it got its name at @ctime at the earliest. Thread-safe, as all here. */
void vf_unsettled_note (VfUnsettled *unsettled, const char *relative, gint64 ctime);
/* All names are durable: syncs the directories that were noted. @what: the store, for messages. */
gboolean vf_unsettled_sync (VfUnsettled *unsettled, int store_fd, const char *what, GError **error);
/* The caller has synced the whole file system. @unsettled has nothing left to do. */
void vf_unsettled_clear (VfUnsettled *unsettled);

G_END_DECLS

/* The store: one directory that holds everything shared, and the environments.
 *
 *   format                      "venvfs store 1\n"
 *   objects/ab/cdef…            contents, mode 0444 (object.h)
 *   packages/<digest>           package indexes (package.h)
 *   wheels/<wheel sha256>       text: the digest of the package a wheel file became
 *   bytecode/<cache tag>/<package digest>   compiled modules of one package (bytecode.h)
 *   images/<id>                 images (image.h)
 *   interpreters/  resolutions/ caches; may vanish at any time
 *   envs/<name>/                environments (environment.h)
 *   trash/ tmp/ leases/ lock    sweep.h, lease.h
 *
 * Locking: a VfStore may be used by several threads at once; it is immutable but for descriptors.
 * Between processes: whoever adds something that others may refer to (an ingest, a create) holds a
 * write lease (vf_store_begin_write) from before it looks for what is already there until its
 * result is reachable from a root; the sweep (sweep.h) respects it.
 *
 * Crash safety: nothing has its final name before its bytes are on the disk (object.h). */
#pragma once

#include "layers/digest.h"
#include "layers/io.h"

G_BEGIN_DECLS

#define VF_STORE_FORMAT 1

typedef struct VfStore VfStore;

/* The default store: $VENVFS_STORE, else /var/lib/venvfs for root, else $XDG_DATA_HOME/venvfs. */
char *vf_store_default_path (void);

/* Opens the store at @path, making it (with all its directories) if it is absent or an empty
 * directory. Errors: VF_ERROR_NEWER, VF_ERROR_INVALID (a directory that holds something else),
 * VF_SYSTEM_ERROR (not writable, full …). */
VfStore *vf_store_open (const char *path, GError **error);
VfStore *vf_store_ref (VfStore *store);
void vf_store_unref (VfStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfStore, vf_store_unref)

/* Absolute, resolved, for messages and for paths handed to children. Borrowed. */
const char *vf_store_path (VfStore *store);
/* Path of something below the store, for messages. */
char *vf_store_path_of (VfStore *store, const char *relative);
/* O_PATH|O_DIRECTORY descriptor of the store's root; borrowed. Names below it as in the table. */
int vf_store_fd (VfStore *store);

/* A write lease: shared hold of `lock`. Never waits longer than a sweep's renames take. */
typedef struct VfStoreWrite VfStoreWrite;
VfStoreWrite *vf_store_begin_write (VfStore *store, GError **error);
void vf_store_end_write (VfStoreWrite *write);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfStoreWrite, vf_store_end_write)

/* A private directory tmp/<random>, removed with vf_store_tmp_free(); a sweep removes those whose
 * process is dead (the directory is flocked by its maker). */
typedef struct VfStoreTmp VfStoreTmp;
VfStoreTmp *vf_store_tmp_new (VfStore *store, GError **error);
int vf_store_tmp_fd (VfStoreTmp *tmp);
const char *vf_store_tmp_path (VfStoreTmp *tmp); /* absolute */
void vf_store_tmp_free (VfStoreTmp *tmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfStoreTmp, vf_store_tmp_free)

/* Puts @data at @relative (e.g. "packages/<hex>"), durable and whole, if nothing is there yet; what
 * is there is freshened (its mtime set to now), taken back from trash/ if a sweep just moved it.
 * For content-addressed small files: packages/, wheels/, bytecode/, images/. */
gboolean
vf_store_put (VfStore *store, const char *relative, const void *data, gsize length, GError **error);
/* TRUE if @relative is there (taken back from trash/ if need be); freshens it. */
gboolean vf_store_reuse (VfStore *store, const char *relative);
/* Reads a small file; NULL with VF_ERROR_NOT_FOUND if absent. */
GBytes *vf_store_get (VfStore *store, const char *relative, GError **error);

G_END_DECLS

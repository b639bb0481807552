/* The store: one directory that holds everything shared, and the environments.
 *
 *   format                      "venvfs store 1\n"
 *   objects/ab/cdef…            contents, mode 0444 (object.h)
 *   packages/<digest>           package indexes (package.h)
 *   wheels/<wheel sha256>       text: the digest of the package a wheel file became
 *   bytecode/<cache tag>.<magic>/<package digest>   compiled modules of one package (bytecode.h)
 *   images/<id>                 images (image.h)
 *   interpreters/  resolutions/  cache/   may vanish at any time; cache/pip-<package digest> is a
 *                               pip that is unpacked to be run (tools/pip.h),
 *                               cache/reads-<image id> what an import read of it (profile.h)
 *   envs/<name>/                environments (environment.h)
 *   uppers/<sha256>             uppers elsewhere (outside-upper.h)
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

/* /var/lib/venvfs for root, else $XDG_DATA_HOME/venvfs. */
char *vf_store_usual_path (void);
/* The default store: $VENVFS_STORE, else the usual one. */
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

/* How long a thing that nothing reaches is safe from a sweep that runs beside writers, and how old
 * it may be before a writer that relies on it sets its mtime to now. Both in seconds. */
#define VF_STORE_GRACE_SECONDS   (24 * 3600)
#define VF_STORE_FRESHEN_SECONDS 3600

/* Puts @data at @relative (e.g. "packages/<hex>"), whole and durable on return, mode 0444. What is
 * there with the same content is freshened, with another one replaced. For small files that are
 * named by what they say: packages/, wheels/, bytecode/. Holds: a write lease of the caller's. */
gboolean
vf_store_put (VfStore *store, const char *relative, const void *data, gsize length, GError **error);
/* Moves the file @name of @dir_fd (a VfStoreTmp's; fsynced already) to @relative, mode 0444, and
 * makes the rename durable. If something is there it is freshened and @name removed. For images.
 * Holds: a write lease of the caller's. */
gboolean vf_store_publish (VfStore *store, int dir_fd, const char *name, const char *relative,
                           GError **error);
/* TRUE if @relative is a regular file in its place, and freshens it, so that a sweep leaves it as
 * long as the caller's write lease needs it. A writer calls this before it relies on anything that
 * it did not write itself; FALSE means to make it anew. @out_st (optional): before freshening. */
struct stat;
gboolean vf_store_reuse (VfStore *store, const char *relative);
gboolean vf_store_reuse_stat (VfStore *store, const char *relative, struct stat *out_st);
/* Reads a small file; NULL with VF_ERROR_NOT_FOUND if absent. */
GBytes *vf_store_get (VfStore *store, const char *relative, GError **error);

G_END_DECLS

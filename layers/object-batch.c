/* Writing objects: stage, sync once, rename, sync, then the indexes.
 *
 * Everything of a batch waits in tmp/<batch>/. A commit
 *   1. makes all of it durable, and the names of what it reuses (unsettled.h): one syncfs, or one
 *      fsync each where there are few (a syncfs would wait for whatever else the machine is
 *      writing),
 *   2. renames the objects to their names, and makes that durable,
 *   3. renames the indexes (vf_object_batch_put), those that refer to other indexes last, and makes
 *      that durable.
 * So at every instant what has its name is whole and what it refers to is there.
 *
 * An object lies flat in the batch's directory. Where the store has no directory of its first two
 * digits yet, the batch makes one in its own and commits it by a single rename: a first ingest of
 * 24,000 files takes 256 renames. If another process was faster, its files move singly.
 *
 * Contents that are known (in the store, or in the batch) are not written. Those of the store are
 * freshened, so that a sweep leaves them (sweep.c); one whose length is wrong counts as unknown and
 * is replaced. Locking: `lock` guards the fields that say so; files are written outside of it. */
#include "layers/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/object-path.h"
#include "layers/store-file.h"

#define FEW_FILES 16

/* Where objects with the same first two digits wait. */
typedef enum { PLACE_UNKNOWN, PLACE_FLAT, PLACE_DIRECTORY } Place;

typedef struct {
  char *relative; /* final */
  char *name;     /* in the batch's directory */
} Index;

struct VfObjectBatch {
  VfStore *store;  /* owned reference */
  VfStoreTmp *tmp; /* owned */
  GMutex lock;
  GHashTable *known;  /* lock: owned VfDigest → length: written here or found in the store */
  GArray *written;    /* lock: VfDigest of what waits here */
  GPtrArray *indexes; /* lock: Index */
  Place places[256];  /* lock: by first byte */
  guint n_maps;       /* lock: names the next map */
  gboolean failed;    /* lock: something announced as known could not be written */
  gboolean committed;
};

struct VfObjectMap {
  VfObjectBatch *batch; /* borrowed */
  char name[32];
  void *data;
  gsize length;
  int fd;
};

static void
index_free (Index *index)
{
  g_free (index->relative);
  g_free (index->name);
  g_free (index);
}

VfObjectBatch *
vf_object_batch_new (VfStore *store, GError **error)
{
  VfStoreTmp *tmp = vf_store_tmp_new (store, error);
  if (!tmp)
    return NULL;
  VfObjectBatch *batch = g_new0 (VfObjectBatch, 1);
  batch->store = vf_store_ref (store);
  batch->tmp = tmp;
  g_mutex_init (&batch->lock);
  batch->known = g_hash_table_new_full (vf_digest_hash, vf_digest_equal, g_free, NULL);
  batch->written = g_array_new (FALSE, FALSE, sizeof (VfDigest));
  batch->indexes = g_ptr_array_new_with_free_func ((GDestroyNotify)index_free);
  return batch;
}

void
vf_object_batch_free (VfObjectBatch *batch)
{
  vf_store_tmp_free (batch->tmp);
  vf_store_unref (batch->store);
  g_hash_table_unref (batch->known);
  g_array_unref (batch->written);
  g_ptr_array_unref (batch->indexes);
  g_mutex_clear (&batch->lock);
  g_free (batch);
}

static gboolean
in_store (VfObjectBatch *batch, const VfDigest *digest, gsize length)
{
  char path[VF_OBJECT_PATH_BYTES];
  struct stat st;
  vf_object_path (digest, path);
  return vf_store_reuse_stat (batch->store, path, &st) && (guint64)st.st_size == length;
}

/* Locked. FALSE if it was known already. */
static gboolean
add_known (VfObjectBatch *batch, const VfDigest *digest, gsize length)
{
  return g_hash_table_insert (batch->known, g_memdup2 (digest, sizeof *digest),
                              GSIZE_TO_POINTER (length));
}

gboolean
vf_object_batch_use (VfObjectBatch *batch, const VfDigest *digest, gsize length)
{
  gpointer known_length;
  g_mutex_lock (&batch->lock);
  gboolean known = g_hash_table_lookup_extended (batch->known, digest, NULL, &known_length);
  g_mutex_unlock (&batch->lock);
  if (known)
    return GPOINTER_TO_SIZE (known_length) == length;
  if (!in_store (batch, digest, length))
    return FALSE;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&batch->lock);
  add_known (batch, digest, length);
  return TRUE;
}

/* Locked. */
static gboolean
find_place (VfObjectBatch *batch, guint8 first, GError **error)
{
  if (batch->places[first] != PLACE_UNKNOWN)
    return TRUE;
  char path[sizeof "objects/ab"];
  g_snprintf (path, sizeof path, "objects/%02x", first);
  if (faccessat (vf_store_fd (batch->store), path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    batch->places[first] = PLACE_FLAT;
    return TRUE;
  }
  if (mkdirat (vf_store_tmp_fd (batch->tmp), path + strlen ("objects/"), 0700) < 0)
    return vf_error_errno (error, errno, "%s: cannot make a directory in it",
                           vf_store_tmp_path (batch->tmp));
  batch->places[first] = PLACE_DIRECTORY;
  return TRUE;
}

/* TRUE with *@out_mine set if the caller shall write @digest. Two threads that bring the same
 * content: the first writes. */
static gboolean
claim (VfObjectBatch *batch, const VfDigest *digest, gsize length, gboolean *out_mine,
       GError **error)
{
  *out_mine = FALSE;
  g_mutex_lock (&batch->lock);
  gboolean known = g_hash_table_contains (batch->known, digest);
  g_mutex_unlock (&batch->lock);
  if (known)
    return TRUE;
  gboolean stored = in_store (batch, digest, length);

  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&batch->lock);
  if (!stored && !find_place (batch, digest->bytes[0], error))
    return FALSE;
  if (!add_known (batch, digest, length) || stored)
    return TRUE;
  g_array_append_val (batch->written, *digest);
  *out_mine = TRUE;
  return TRUE;
}

static gboolean
give_up (VfObjectBatch *batch)
{
  g_mutex_lock (&batch->lock);
  batch->failed = TRUE;
  g_mutex_unlock (&batch->lock);
  return FALSE;
}

/* Name of a waiting object in the batch's directory. Its place is settled, so no lock. */
static void
staged_name (VfObjectBatch *batch, const VfDigest *digest, char out_name[VF_OBJECT_PATH_BYTES])
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (digest, hex);
  const char *separator = batch->places[digest->bytes[0]] == PLACE_DIRECTORY ? "/" : "";
  g_snprintf (out_name, VF_OBJECT_PATH_BYTES, "%.2s%s%s", hex, separator, hex + 2);
}

static gboolean
write_file (VfObjectBatch *batch, const char *name, const void *data, gsize length, GError **error)
{
  const char *what = vf_store_tmp_path (batch->tmp);
  VF_AUTOFD fd = openat (vf_store_tmp_fd (batch->tmp), name,
                         O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);
  struct stat st;
  if (fd < 0 || fstat (fd, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot create a file in it", what);
  if ((st.st_mode & 07777) != 0444 && fchmod (fd, 0444) < 0)
    return vf_error_errno (error, errno, "%s: cannot set a mode in it", what);
  return vf_write_all (fd, data, length, what, error);
}

gboolean
vf_object_batch_add (VfObjectBatch *batch, const VfDigest *digest, const void *data, gsize length,
                     guint64 *out_new_bytes, GError **error)
{
  gboolean mine;
  if (out_new_bytes)
    *out_new_bytes = 0;
  if (!claim (batch, digest, length, &mine, error))
    return FALSE;
  if (!mine)
    return TRUE;
  char name[VF_OBJECT_PATH_BYTES];
  staged_name (batch, digest, name);
  if (!write_file (batch, name, data, length, error))
    return give_up (batch);
  if (out_new_bytes)
    *out_new_bytes = length;
  return TRUE;
}

static void
map_free (VfObjectMap *map)
{
  if (map->length > 0)
    munmap (map->data, map->length);
  vf_fd_clear (&map->fd);
  g_free (map);
}

void
vf_object_map_free (VfObjectMap *map)
{
  unlinkat (vf_store_tmp_fd (map->batch->tmp), map->name, 0);
  map_free (map);
}

/* A full disk shall be an error here, not a SIGBUS in the mapping. Asked first, since a file system
 * may give all that it has before it says that it has no more. 0 or an errno. */
static int
allocate (int fd, gsize length)
{
  struct statvfs disk;
  gboolean known = fstatvfs (fd, &disk) == 0 && disk.f_blocks > 0 && disk.f_frsize > 0;
  if (known && length / disk.f_frsize > disk.f_bavail)
    return ENOSPC;
  return posix_fallocate (fd, 0, (off_t)length);
}

VfObjectMap *
vf_object_batch_map (VfObjectBatch *batch, gsize length, GError **error)
{
  VfObjectMap *map = g_new0 (VfObjectMap, 1);
  map->batch = batch;
  g_mutex_lock (&batch->lock);
  g_snprintf (map->name, sizeof map->name, "map-%u", batch->n_maps++);
  g_mutex_unlock (&batch->lock);
  map->fd = openat (vf_store_tmp_fd (batch->tmp), map->name,
                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  int errnum = map->fd < 0 ? errno : 0;
  if (errnum == 0 && length > 0)
    errnum = allocate (map->fd, length);
  if (errnum == 0 && length > 0) {
    map->data = mmap (NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
    if (map->data == MAP_FAILED)
      errnum = errno;
    else
      map->length = length;
  }
  if (errnum == 0)
    return map;
  vf_object_map_free (map);
  vf_error_errno (error, errnum, "%s: cannot make a file of %" G_GSIZE_FORMAT " bytes in it",
                  vf_store_tmp_path (batch->tmp), length);
  return NULL;
}

void *
vf_object_map_data (VfObjectMap *map)
{
  return map->data;
}

gboolean
vf_object_batch_add_map (VfObjectBatch *batch, const VfDigest *digest, VfObjectMap *map,
                         guint64 *out_new_bytes, GError **error)
{
  int tmp_fd = vf_store_tmp_fd (batch->tmp);
  gboolean mine, ok;
  if (out_new_bytes)
    *out_new_bytes = 0;
  ok = claim (batch, digest, map->length, &mine, error);
  if (!ok || !mine) {
    vf_object_map_free (map);
    return ok;
  }
  char name[VF_OBJECT_PATH_BYTES];
  staged_name (batch, digest, name);
  if (fchmod (map->fd, 0444) < 0 || renameat (tmp_fd, map->name, tmp_fd, name) < 0) {
    vf_error_errno (error, errno, "%s: cannot rename in it", vf_store_tmp_path (batch->tmp));
    ok = give_up (batch);
  } else if (out_new_bytes)
    *out_new_bytes = map->length;
  map_free (map);
  return ok;
}

gboolean
vf_object_batch_put (VfObjectBatch *batch, const char *relative, const void *data, gsize length,
                     GError **error)
{
  if (vf_store_has_content (batch->store, relative, data, length))
    return TRUE;
  g_autofree char *name = g_strconcat ("index:", relative, NULL);
  g_strdelimit (name, "/", ':');
  g_mutex_lock (&batch->lock);
  gboolean known = FALSE;
  for (guint i = 0; i < batch->indexes->len && !known; i++)
    known = strcmp (((Index *)batch->indexes->pdata[i])->relative, relative) == 0;
  if (!known) {
    Index *index = g_new0 (Index, 1);
    index->relative = g_strdup (relative);
    index->name = g_strdup (name);
    g_ptr_array_add (batch->indexes, index);
  }
  g_mutex_unlock (&batch->lock);
  if (known)
    return TRUE;
  return write_file (batch, name, data, length, error) || give_up (batch);
}

static gboolean
sync_file (int dir_fd, const char *name, int flags, const char *what, GError **error)
{
  VF_AUTOFD fd = openat (dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | flags);
  if (fd < 0 || fsync (fd) < 0)
    return vf_error_errno (error, errno, "%s: cannot sync %s", what, name);
  return TRUE;
}

static gboolean
sync_everything (VfObjectBatch *batch, GError **error)
{
  if (syncfs (vf_store_tmp_fd (batch->tmp)) < 0)
    return vf_error_errno (error, errno, "%s: cannot sync", vf_store_path (batch->store));
  vf_unsettled_clear (vf_store_unsettled (batch->store));
  return TRUE;
}

static gboolean
is_small (VfObjectBatch *batch)
{
  return batch->written->len + batch->indexes->len <= FEW_FILES;
}

static gboolean
sync_staged (VfObjectBatch *batch, GError **error)
{
  if (!is_small (batch))
    return sync_everything (batch, error);
  int tmp_fd = vf_store_tmp_fd (batch->tmp);
  const char *what = vf_store_tmp_path (batch->tmp);
  if (!vf_store_settle (batch->store, error))
    return FALSE;
  for (guint i = 0; i < batch->written->len; i++) {
    char name[VF_OBJECT_PATH_BYTES];
    staged_name (batch, &g_array_index (batch->written, VfDigest, i), name);
    if (!sync_file (tmp_fd, name, 0, what, error))
      return FALSE;
  }
  for (guint i = 0; i < batch->indexes->len; i++)
    if (!sync_file (tmp_fd, ((Index *)batch->indexes->pdata[i])->name, 0, what, error))
      return FALSE;
  return TRUE;
}

/* Whole directories that the store lacks. One that another process made since moves file by file:
 * PLACE_FLAT is then wrong for its staged name, so the files are moved at once. */
static gboolean
place_directory (VfObjectBatch *batch, guint8 first, GError **error)
{
  int tmp_fd = vf_store_tmp_fd (batch->tmp), store_fd = vf_store_fd (batch->store);
  char path[sizeof "objects/ab"];
  g_snprintf (path, sizeof path, "objects/%02x", first);
  if (renameat (tmp_fd, path + strlen ("objects/"), store_fd, path) == 0)
    return TRUE;
  if (errno != ENOTEMPTY && errno != EEXIST)
    return vf_error_errno (error, errno, "%s/%s: cannot put into place",
                           vf_store_path (batch->store), path);
  for (guint i = 0; i < batch->written->len; i++) {
    const VfDigest *digest = &g_array_index (batch->written, VfDigest, i);
    char name[VF_OBJECT_PATH_BYTES], target[VF_OBJECT_PATH_BYTES];
    if (digest->bytes[0] != first)
      continue;
    staged_name (batch, digest, name);
    vf_object_path (digest, target);
    if (renameat (tmp_fd, name, store_fd, target) < 0)
      return vf_error_errno (error, errno, "%s/%s: cannot put into place",
                             vf_store_path (batch->store), target);
  }
  return TRUE;
}

static gboolean
place_objects (VfObjectBatch *batch, GError **error)
{
  for (guint first = 0; first < G_N_ELEMENTS (batch->places); first++)
    if (batch->places[first] == PLACE_DIRECTORY && !place_directory (batch, (guint8)first, error))
      return FALSE;
  for (guint i = 0; i < batch->written->len; i++) {
    const VfDigest *digest = &g_array_index (batch->written, VfDigest, i);
    char name[VF_OBJECT_PATH_BYTES], target[VF_OBJECT_PATH_BYTES];
    if (batch->places[digest->bytes[0]] != PLACE_FLAT)
      continue;
    staged_name (batch, digest, name);
    vf_object_path (digest, target);
    if (renameat (vf_store_tmp_fd (batch->tmp), name, vf_store_fd (batch->store), target) < 0)
      return vf_error_errno (error, errno, "%s/%s: cannot put into place",
                             vf_store_path (batch->store), target);
  }
  return TRUE;
}

static gboolean
sync_object_directories (VfObjectBatch *batch, GError **error)
{
  if (batch->written->len == 0)
    return TRUE;
  if (!is_small (batch))
    return sync_everything (batch, error);
  int store_fd = vf_store_fd (batch->store);
  const char *what = vf_store_path (batch->store);
  for (guint first = 0; first < G_N_ELEMENTS (batch->places); first++) {
    char path[sizeof "objects/ab"];
    g_snprintf (path, sizeof path, "objects/%02x", first);
    if (batch->places[first] != PLACE_UNKNOWN &&
        !sync_file (store_fd, path, O_DIRECTORY, what, error))
      return FALSE;
  }
  return sync_file (store_fd, "objects", O_DIRECTORY, what, error);
}

static gboolean
place_indexes (VfObjectBatch *batch, gboolean wheels, GError **error)
{
  gboolean any = FALSE;
  for (guint i = 0; i < batch->indexes->len; i++) {
    const Index *index = batch->indexes->pdata[i];
    if (g_str_has_prefix (index->relative, "wheels/") != wheels)
      continue;
    if (!vf_store_place (batch->store, vf_store_tmp_fd (batch->tmp), index->name, index->relative,
                         error))
      return FALSE;
    any = TRUE;
  }
  if (!any)
    return TRUE;
  if (!is_small (batch))
    return sync_everything (batch, error);
  for (guint i = 0; i < batch->indexes->len; i++) {
    const Index *index = batch->indexes->pdata[i];
    if (g_str_has_prefix (index->relative, "wheels/") == wheels &&
        !vf_store_sync_parent (batch->store, index->relative, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
vf_object_batch_commit (VfObjectBatch *batch, GError **error)
{
  if (batch->failed || batch->committed)
    return vf_error_set (error, VF_ERROR_FAILED, "%s: this batch %s",
                         vf_store_tmp_path (batch->tmp),
                         batch->failed ? "is incomplete" : "was committed already");
  batch->committed = TRUE;
  if (batch->written->len + batch->indexes->len == 0)
    return TRUE;
  return sync_staged (batch, error) && place_objects (batch, error) &&
         sync_object_directories (batch, error) && place_indexes (batch, FALSE, error) &&
         place_indexes (batch, TRUE, error);
}

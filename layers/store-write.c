/* Writing to a store beside others: the write lease and private temporary directories.
 *
 * A write lease is a shared flock on `lock`. The sweep takes it exclusively for as long as it needs
 * to mark and to rename (sweep.c); nobody else does. A temporary directory is made while `lock` is
 * held, so a sweep that has it alone never sees one that its maker has not flocked yet. */
#include "layers/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"

struct VfStoreWrite {
  int fd; /* of `lock`, flocked shared: its own open file, so leases of one process add up */
};

struct VfStoreTmp {
  VfStore *store; /* owned reference */
  char *relative; /* "tmp/<name>" */
  char *path;
  int fd; /* flocked */
};

VfStoreWrite *
vf_store_begin_write (VfStore *store, GError **error)
{
  VF_AUTOFD fd =
      openat (vf_store_fd (store), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    vf_error_errno (error, errno, "%s/lock: cannot write to the store", vf_store_path (store));
    return NULL;
  }
  while (flock (fd, LOCK_SH) < 0)
    if (errno != EINTR) {
      vf_error_errno (error, errno, "%s/lock: cannot lock", vf_store_path (store));
      return NULL;
    }
  VfStoreWrite *write = g_new0 (VfStoreWrite, 1);
  write->fd = vf_fd_steal (&fd);
  return write;
}

void
vf_store_end_write (VfStoreWrite *write)
{
  vf_fd_clear (&write->fd);
  g_free (write);
}

static int
make_locked_directory (VfStore *store, const char *relative)
{
  if (mkdirat (vf_store_fd (store), relative, 0700) < 0)
    return -1;
  VF_AUTOFD fd =
      openat (vf_store_fd (store), relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) < 0)
    return -1;
  return vf_fd_steal (&fd);
}

VfStoreTmp *
vf_store_tmp_new (VfStore *store, GError **error)
{
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, error);
  if (!write)
    return NULL;
  g_autofree char *relative =
      g_strdup_printf ("tmp/%d-%08x%08x", (int)getpid (), g_random_int (), g_random_int ());
  int fd = make_locked_directory (store, relative);
  if (fd < 0) {
    vf_error_errno (error, errno, "%s/%s: cannot make", vf_store_path (store), relative);
    return NULL;
  }
  VfStoreTmp *tmp = g_new0 (VfStoreTmp, 1);
  tmp->store = vf_store_ref (store);
  tmp->path = vf_store_path_of (store, relative);
  tmp->relative = g_steal_pointer (&relative);
  tmp->fd = fd;
  return tmp;
}

int
vf_store_tmp_fd (VfStoreTmp *tmp)
{
  return tmp->fd;
}

const char *
vf_store_tmp_path (VfStoreTmp *tmp)
{
  return tmp->path;
}

void
vf_store_tmp_free (VfStoreTmp *tmp)
{
  g_autoptr (GError) error = NULL;
  if (!vf_remove_tree (vf_store_fd (tmp->store), tmp->relative, tmp->path, &error))
    g_info ("left for the next sweep: %s", error->message);
  vf_fd_clear (&tmp->fd);
  vf_store_unref (tmp->store);
  g_free (tmp->relative);
  g_free (tmp->path);
  g_free (tmp);
}

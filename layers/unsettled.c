/* The set of directories, and when a name counts as young. Why: unsettled.h. */
#include "layers/unsettled.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

/* More directories than this are synced by one syncfs. */
#define FEW_DIRECTORIES 16

struct VfUnsettled {
  GMutex lock;
  GHashTable *directories; /* lock: set of owned paths */
  gboolean objects;        /* lock: an object was reused */
};

VfUnsettled *
vf_unsettled_new (void)
{
  VfUnsettled *unsettled = g_new0 (VfUnsettled, 1);
  g_mutex_init (&unsettled->lock);
  unsettled->directories = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return unsettled;
}

void
vf_unsettled_free (VfUnsettled *unsettled)
{
  g_hash_table_unref (unsettled->directories);
  g_mutex_clear (&unsettled->lock);
  g_free (unsettled);
}

static gboolean
is_young (gint64 ctime)
{
  return ctime > time (NULL) - VF_UNSETTLED_SECONDS;
}

void
vf_unsettled_note (VfUnsettled *unsettled, const char *relative, gint64 ctime)
{
  gboolean young = is_young (ctime), object = g_str_has_prefix (relative, "objects/");
  if (!young && !object)
    return;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&unsettled->lock);
  unsettled->objects |= object;
  if (young)
    g_hash_table_add (unsettled->directories, g_path_get_dirname (relative));
}

/* Locked. Directories of objects are put into place whole, with files in them that may be older. */
static void
note_objects (VfUnsettled *unsettled, int store_fd)
{
  struct stat st;
  if (unsettled->objects && fstatat (store_fd, "objects", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
      is_young (st.st_mtime))
    g_hash_table_add (unsettled->directories, g_strdup ("objects"));
}

/* Locked. */
static void
forget (VfUnsettled *unsettled)
{
  g_hash_table_remove_all (unsettled->directories);
  unsettled->objects = FALSE;
}

gboolean
vf_unsettled_sync (VfUnsettled *unsettled, int store_fd, const char *what, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&unsettled->lock);
  note_objects (unsettled, store_fd);
  gboolean few = g_hash_table_size (unsettled->directories) <= FEW_DIRECTORIES;
  GHashTableIter iter;
  gpointer relative;
  g_hash_table_iter_init (&iter, unsettled->directories);
  while (g_hash_table_iter_next (&iter, &relative, NULL)) {
    VF_AUTOFD fd = openat (store_fd, relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || (few ? fsync (fd) : syncfs (fd)) < 0)
      return vf_error_errno (error, errno, "%s/%s: cannot sync", what, (const char *)relative);
    if (!few)
      break;
  }
  forget (unsettled);
  return TRUE;
}

void
vf_unsettled_clear (VfUnsettled *unsettled)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&unsettled->lock);
  forget (unsettled);
}

/* Names in the trash, the way back out of it, and its emptying. */
#include "layers/trash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/folder.h"

#define QUARANTINE_SECONDS (7 * 24 * 3600)

char *
vf_trash_path (const char *relative)
{
  char *path = g_strconcat (VF_TRASH_SWEEP "/", relative, NULL);
  g_strdelimit (path + strlen (VF_TRASH_SWEEP "/"), "/", ':');
  return path;
}

char *
vf_trash_origin (const char *name)
{
  if (!strchr (name, ':') || name[0] == ':' || strstr (name, "::") || strstr (name, ".."))
    return NULL;
  return g_strdelimit (g_strdup (name), ":", '/');
}

gboolean
vf_trash_is_fresh (VfStore *store, const char *trash_path, struct stat *out_st)
{
  return fstatat (vf_store_fd (store), trash_path, out_st, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG (out_st->st_mode) && out_st->st_mtime + VF_STORE_GRACE_SECONDS > time (NULL);
}

static guint64
measure (int dir_fd, const char *name, dev_t device, guint depth)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  guint64 bytes = (guint64)st.st_blocks * 512;
  if (!S_ISDIR (st.st_mode))
    return bytes / MAX (st.st_nlink, 1);
  g_autoptr (DIR) dir =
      st.st_dev == device && depth < VF_DEPTH_MAX ? vf_dir_open (dir_fd, name) : NULL;
  const char *child;
  while (dir && (child = vf_dir_next (dir)))
    bytes += measure (dirfd (dir), child, device, depth + 1);
  return bytes;
}

guint64
vf_trash_measure (int dir_fd, const char *name)
{
  struct stat st;
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  return measure (dir_fd, name, st.st_dev, 0);
}

gboolean
vf_trash_remove (VfStore *store, const char *name, gint64 deadline_usec)
{
  VF_AUTOFD fd =
      openat (vf_store_fd (store), "trash", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  return fd >= 0 && vf_remove_tree_until (fd, name, deadline_usec, name, NULL);
}

/* --- For the sweep --- */

gboolean
vf_trash_put_back (VfStore *store, const char *trash_path, const char *relative, GError **error)
{
  int fd = vf_store_fd (store);
  if (renameat2 (fd, trash_path, fd, relative, RENAME_NOREPLACE) == 0)
    return TRUE;
  if (errno == ENOENT || (errno == EEXIST && unlinkat (fd, trash_path, 0) == 0))
    return TRUE;
  return vf_error_errno (error, errno, "%s/%s: cannot put back", vf_store_path (store), relative);
}

typedef struct {
  VfStore *store;
  gboolean objects; /* these, or all others */
} Recovery;

static gboolean
recover_one (const char *name, gpointer user_data, GError **error)
{
  Recovery *recovery = user_data;
  g_autofree char *relative = vf_trash_origin (name);
  g_autofree char *trash_path = g_build_filename (VF_TRASH_SWEEP, name, NULL);
  if (!relative || g_str_has_prefix (name, "objects:") != recovery->objects)
    return TRUE;
  return vf_trash_put_back (recovery->store, trash_path, relative, error);
}

/* Objects first: nothing that is in place may refer to what is not. */
gboolean
vf_trash_recover (VfStore *store, GError **error)
{
  for (int objects = 1; objects >= 0; objects--) {
    Recovery recovery = {store, objects};
    if (!vf_folder_foreach (store, VF_TRASH_SWEEP, recover_one, &recovery, error))
      return FALSE;
  }
  return TRUE;
}

typedef struct {
  VfStore *store;
  const char *folder; /* that is being emptied */
  const char *counted;
  gboolean dry_run;
  guint64 *bytes, *entries;
} Emptying;

static gboolean
empty_one (const char *name, gpointer user_data, GError **error)
{
  Emptying *emptying = user_data;
  int fd = vf_store_fd (emptying->store);
  g_autofree char *relative = g_build_filename (emptying->folder, name, NULL);
  gboolean quarantined = g_str_equal (emptying->folder, VF_TRASH_QUARANTINE);
  struct stat st;
  if (g_str_equal (relative, VF_TRASH_QUARANTINE) ||
      fstatat (fd, relative, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      (quarantined && st.st_ctime + QUARANTINE_SECONDS > time (NULL)))
    return TRUE;
  if (g_strcmp0 (relative, emptying->counted) != 0) {
    *emptying->bytes += vf_trash_measure (fd, relative);
    ++*emptying->entries;
  }
  if (!emptying->dry_run)
    vf_trash_remove (emptying->store, relative + strlen ("trash/"), 0);
  return TRUE;
}

gboolean
vf_trash_empty (VfStore *store, gboolean dry_run, const char *counted, guint64 *bytes,
                guint64 *entries, GError **error)
{
  static const char *const folders[] = {VF_TRASH_QUARANTINE, "trash"};
  Emptying emptying = {
      .store = store, .counted = counted, .dry_run = dry_run, .bytes = bytes, .entries = entries};
  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++) {
    emptying.folder = folders[i];
    if (!vf_folder_foreach (store, folders[i], empty_one, &emptying, error))
      return FALSE;
  }
  return TRUE;
}

/* Making names: files, directories, symlinks, special files and further names of a file; and files
 * without a name, which may be given one.
 *
 * Where nothing stands in the upper, the object is made in place, so that the upper's file system
 * applies a setgid directory and default ACLs. Where a whiteout stands, it is made in work/ and
 * takes the whiteout's place in one step; what the directory would have given it is done here then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/internal.h"

#define DEFAULT_ACL "system.posix_acl_default"

typedef struct {
  const VfCaller *caller;
  mode_t mode;
  dev_t rdev;
  const char *target; /* a symlink's */
} Wanted;

/* Where a name is to be made: its directory, which is in the upper now. */
typedef struct {
  guint64 parent;
  const char *name;
  VfDescriptor *directory; /* NULL: for a file without a name, in a directory of the image */
  struct stat st;          /* the directory's */
  VfChild child;           /* what is beneath: nothing, or a whiteout */
} Site;

static void
site_clear (Site *site)
{
  g_clear_pointer (&site->directory, vf_descriptor_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Site, site_clear)

/* Holds: tree writing. -EEXIST when there is something. */
static int
site_open (VfOverlay *overlay, guint64 parent, const char *name, Site *out_site)
{
  VfNode node;
  out_site->parent = parent;
  out_site->name = name;
  int result = vf_node_resolve_directory (overlay, parent, &node);
  if (result == 0)
    result = vf_child_find_in (overlay, &node, name, &out_site->child);
  if (result != -ENOENT || node.removed)
    return result == 0 ? -EEXIST : result;
  result = vf_copyup_directory (overlay, parent);
  if (result == 0)
    result = vf_directory_open (overlay, parent, &out_site->directory);
  if (result < 0)
    return result;
  return fstat (out_site->directory->fd, &out_site->st) < 0 ? -errno : 0;
}

static int
make_by_type (int dir_fd, const char *name, const Wanted *wanted, int *out_fd)
{
  switch (wanted->mode & S_IFMT) {
  case S_IFREG:
    *out_fd = vf_beneath_open (dir_fd, name, O_RDWR | O_CREAT | O_EXCL, wanted->mode & 07777);
    return MIN (*out_fd, 0);
  case S_IFDIR:
    return mkdirat (dir_fd, name, wanted->mode & 07777) < 0 ? -errno : 0;
  case S_IFLNK:
    return symlinkat (wanted->target, dir_fd, name) < 0 ? -errno : 0;
  default:
    return mknodat (dir_fd, name, wanted->mode, wanted->rdev) < 0 ? -errno : 0;
  }
}

/* @out_fd: of a regular file, open for writing. The umask is the caller's, for the file system
 * knows whether a default ACL takes its place; it is this thread's own (fs/session.c). */
static int
make_object (int dir_fd, const char *name, const Wanted *wanted, int *out_fd)
{
  umask (wanted->caller->umask & 0777);
  int result = make_by_type (dir_fd, name, wanted, out_fd);
  umask (0);
  return result;
}

/* The caller's, with the group of a setgid directory. An unprivileged daemon can give it no other
 * owner than its own, and a group only if it is a member. */
static int
give_to_caller (VfOverlay *overlay, const Site *site, int dir_fd, const char *name,
                const Wanted *wanted, gboolean in_place)
{
  gboolean inherits = (site->st.st_mode & S_ISGID) != 0;
  struct stat made;
  uid_t uid = overlay->privileged ? wanted->caller->uid : (uid_t)-1;
  gid_t gid = inherits ? site->st.st_gid : wanted->caller->gid;
  if (in_place && inherits)
    gid = (gid_t)-1;
  if (fstatat (dir_fd, name, &made, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  if ((uid == (uid_t)-1 || uid == geteuid ()) && (gid == (gid_t)-1 || gid == getegid ()))
    uid = gid = (gid_t)-1;
  else if (fchownat (dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 && overlay->privileged)
    return -errno;

  /* A change of owner takes setuid and setgid away; work/ gives no setgid on. */
  mode_t mode = made.st_mode & 07777;
  gboolean gives_on = S_ISDIR (wanted->mode) && inherits && !in_place;
  gboolean lost = (uid != (uid_t)-1 || gid != (gid_t)-1) && (mode & (S_ISUID | S_ISGID));
  if ((!gives_on && !lost) || S_ISLNK (wanted->mode))
    return 0;
  VfProcPath path;
  VF_AUTOFD fd = vf_beneath_open (dir_fd, name, O_PATH, 0);
  if (fd < 0)
    return fd;
  return chmod (vf_proc_path (&path, fd, NULL), mode | (gives_on ? S_ISGID : 0)) < 0 ? -errno : 0;
}

static void
unmake (int dir_fd, const char *name, const Wanted *wanted)
{
  unlinkat (dir_fd, name, S_ISDIR (wanted->mode) ? AT_REMOVEDIR : 0);
}

static int
make_in_place (VfOverlay *overlay, const Site *site, const Wanted *wanted, int *out_fd)
{
  int result = make_object (site->directory->fd, site->name, wanted, out_fd);
  if (result < 0)
    return result;
  result = give_to_caller (overlay, site, site->directory->fd, site->name, wanted, TRUE);
  if (result < 0)
    unmake (site->directory->fd, site->name, wanted);
  return result;
}

/* A directory in the place of a whiteout must hide what the image has there. */
static int
make_opaque (int dir_fd, const char *temporary)
{
  VF_AUTOFD fd = vf_beneath_open_forced (dir_fd, temporary, O_RDONLY | O_DIRECTORY);
  return fd < 0 ? fd : vf_marking_set_opaque (fd);
}

static int
replace_whiteout (int from_fd, const char *temporary, int dir_fd, const char *name,
                  gboolean is_directory)
{
  if (!is_directory)
    return renameat (from_fd, temporary, dir_fd, name) < 0 ? -errno : 0;
  int result = vf_beneath_rename (from_fd, temporary, dir_fd, name, RENAME_EXCHANGE);
  if (result < 0)
    return result;
  unlinkat (from_fd, temporary, 0);
  return 0;
}

/* Where an object is made that will take the place of a whiteout or has no name: work/, or a
 * directory in there that gives the same default ACL to what is made in it. */
typedef struct {
  int fd;
  gboolean is_temporary;
  char name[VF_NAME_BYTES];
} Nursery;

static int
nursery_open (VfOverlay *overlay, const Site *site, Nursery *out_nursery)
{
  VfProcPath path;
  char acl[XATTR_SIZE_MAX];
  out_nursery->fd = overlay->work_fd;
  if (!site->directory)
    return 0;
  ssize_t length =
      getxattr (vf_proc_path (&path, site->directory->fd, NULL), DEFAULT_ACL, acl, sizeof acl);
  if (length <= 0)
    return 0;
  vf_temporary_name (overlay, out_nursery->name);
  if (mkdirat (overlay->work_fd, out_nursery->name, 0700) < 0)
    return -errno;
  out_nursery->is_temporary = TRUE;
  out_nursery->fd =
      vf_beneath_open (overlay->work_fd, out_nursery->name, O_RDONLY | O_DIRECTORY, 0);
  if (out_nursery->fd < 0)
    return out_nursery->fd;
  return fsetxattr (out_nursery->fd, DEFAULT_ACL, acl, (size_t)length, 0) < 0 ? -errno : 0;
}

static void
nursery_close (VfOverlay *overlay, Nursery *nursery)
{
  if (!nursery->is_temporary)
    return;
  vf_fd_clear (&nursery->fd);
  unlinkat (overlay->work_fd, nursery->name, AT_REMOVEDIR);
}

static int
make_in_nursery (VfOverlay *overlay, const Nursery *nursery, const Site *site, const Wanted *wanted,
                 int *out_fd)
{
  char temporary[VF_NAME_BYTES];
  vf_temporary_name (overlay, temporary);
  int result = make_object (nursery->fd, temporary, wanted, out_fd);
  if (result < 0)
    return result;
  result = give_to_caller (overlay, site, nursery->fd, temporary, wanted, FALSE);
  if (result == 0 && S_ISDIR (wanted->mode))
    result = make_opaque (nursery->fd, temporary);
  if (result == 0)
    result = replace_whiteout (nursery->fd, temporary, site->directory->fd, site->name,
                               S_ISDIR (wanted->mode));
  if (result < 0)
    unmake (nursery->fd, temporary, wanted);
  return result;
}

static int
make_over_whiteout (VfOverlay *overlay, const Site *site, const Wanted *wanted, int *out_fd)
{
  Nursery nursery = {.fd = -1};
  int result = nursery_open (overlay, site, &nursery);
  if (result == 0)
    result = make_in_nursery (overlay, &nursery, site, wanted, out_fd);
  nursery_close (overlay, &nursery);
  return result;
}

static int
make_node (VfOverlay *overlay, const Wanted *wanted, guint64 parent, const char *name,
           VfEntry *out_entry)
{
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  g_auto (Site) site = {0};
  VF_AUTOFD fd = -1;
  int result = site_open (overlay, parent, name, &site);
  if (result == 0)
    result = site.child.whiteout ? make_over_whiteout (overlay, &site, wanted, &fd)
                                 : make_in_place (overlay, &site, wanted, &fd);
  if (result < 0)
    return result;
  vf_directory_gained (overlay, parent, name, site.child.below, S_ISDIR (wanted->mode));
  result = vf_entry_of_new (overlay, parent, site.directory->fd, name, out_entry);
  /* The next thing to happen is a write, whatever the mode allows. */
  if (result == 0 && fd >= 0)
    vf_descriptor_unref (vf_descriptors_add (overlay->descriptors, out_entry->id,
                                             VF_DESCRIPTOR_WRITE, vf_fd_steal (&fd), 0,
                                             G_MAXUINT64));
  return result;
}

/* A character device 0:0 would be a whiteout. */
int
vf_overlay_mknod (VfOverlay *overlay, const VfCaller *caller, guint64 parent, const char *name,
                  mode_t mode, dev_t rdev, VfEntry *out_entry)
{
  if (S_ISDIR (mode) || S_ISLNK (mode))
    return -EINVAL;
  if (S_ISCHR (mode) && rdev == 0)
    return -EPERM;
  if ((mode & S_IFMT) == 0)
    mode |= S_IFREG;
  Wanted wanted = {.caller = caller, .mode = mode, .rdev = rdev};
  return make_node (overlay, &wanted, parent, name, out_entry);
}

int
vf_overlay_mkdir (VfOverlay *overlay, const VfCaller *caller, guint64 parent, const char *name,
                  mode_t mode, VfEntry *out_entry)
{
  Wanted wanted = {.caller = caller, .mode = S_IFDIR | (mode & 07777)};
  return make_node (overlay, &wanted, parent, name, out_entry);
}

int
vf_overlay_symlink (VfOverlay *overlay, const VfCaller *caller, const char *target, guint64 parent,
                    const char *name, VfEntry *out_entry)
{
  Wanted wanted = {.caller = caller, .mode = S_IFLNK | 0777, .target = target};
  return make_node (overlay, &wanted, parent, name, out_entry);
}

/* The directory does not change, and need not be in the upper. Holds: tree writing. */
static int
unnamed_site_open (VfOverlay *overlay, guint64 parent, Site *out_site)
{
  VfNode node;
  VfEntry entry;
  int result = vf_node_resolve_directory (overlay, parent, &node);
  if (result < 0)
    return result == -ENOENT ? -EPERM : result;
  if (!node.present) {
    vf_entry_of_lower (overlay, node.image, &node.lower, FALSE, &entry);
    out_site->st = entry.st;
    return 0;
  }
  result = vf_directory_open (overlay, parent, &out_site->directory);
  if (result < 0)
    return result;
  return fstat (out_site->directory->fd, &out_site->st) < 0 ? -errno : 0;
}

/* As an orphan, which is deleted when the kernel forgets it. */
static int
make_unnamed (VfOverlay *overlay, const Nursery *nursery, const Site *site, const Wanted *wanted,
              VfEntry *out_entry)
{
  VF_AUTOFD fd = -1;
  struct stat st;
  char name[VF_NAME_BYTES];
  vf_temporary_name (overlay, name);
  int result = make_object (nursery->fd, name, wanted, &fd);
  if (result < 0)
    return result;
  result = give_to_caller (overlay, site, nursery->fd, name, wanted, FALSE);
  if (result == 0 && fstat (fd, &st) < 0)
    result = -errno;
  if (result == 0 && nursery->is_temporary)
    result = renameat (nursery->fd, name, overlay->work_fd, name) < 0 ? -errno : 0;
  if (result < 0) {
    unmake (nursery->fd, name, wanted);
    return result;
  }
  VfUpperNode node = {.id = vf_upper_born_id (st.st_ino),
                      .ino = st.st_ino,
                      .flags = VF_UPPER_PRESENT | VF_UPPER_ORPHAN | VF_UPPER_UNNAMED};
  vf_upper_take (overlay->upper, &node, name, 1);
  vf_descriptor_unref (vf_descriptors_add (overlay->descriptors, node.id, VF_DESCRIPTOR_WRITE,
                                           vf_fd_steal (&fd), 0, G_MAXUINT64));
  return vf_entry_of_upper (overlay, &node, NULL, NULL, &st, out_entry);
}

int
vf_overlay_tmpfile (VfOverlay *overlay, const VfCaller *caller, guint64 parent, mode_t mode,
                    VfEntry *out_entry)
{
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  g_auto (Site) site = {0};
  Wanted wanted = {.caller = caller, .mode = S_IFREG | (mode & 07777)};
  Nursery nursery = {.fd = -1};
  int result = unnamed_site_open (overlay, parent, &site);
  if (result < 0)
    return result;
  result = nursery_open (overlay, &site, &nursery);
  if (result == 0)
    result = make_unnamed (overlay, &nursery, &site, &wanted, out_entry);
  nursery_close (overlay, &nursery);
  return result;
}

/* It leaves work/, and is as any other from now on. */
static int
name_unnamed (VfOverlay *overlay, guint64 id, const VfPlace *from, const Site *site)
{
  int result =
      site->child.whiteout
          ? replace_whiteout (from->dir_fd, from->name, site->directory->fd, site->name, FALSE)
          : vf_beneath_rename (from->dir_fd, from->name, site->directory->fd, site->name,
                               RENAME_NOREPLACE);
  if (result < 0)
    return result;
  vf_upper_move (overlay->upper, id, site->parent, site->name);
  vf_upper_set (overlay->upper, id, 0, VF_UPPER_ORPHAN | VF_UPPER_UNNAMED);
  return 0;
}

static int
link_over_whiteout (VfOverlay *overlay, const VfPlace *from, const Site *site)
{
  char temporary[VF_NAME_BYTES];
  vf_temporary_name (overlay, temporary);
  int result = vf_beneath_link (from->dir_fd, from->name, overlay->work_fd, temporary);
  if (result < 0)
    return result;
  result = replace_whiteout (overlay->work_fd, temporary, site->directory->fd, site->name, FALSE);
  if (result < 0)
    unlinkat (overlay->work_fd, temporary, 0);
  return result;
}

/* The name by which the table had it is gone; it may have more. One link is work/'s. */
static int
check_other_names (VfOverlay *overlay, const VfNode *node)
{
  g_auto (VfPlace) place = {0};
  struct stat st;
  int result = vf_place_find (overlay, node, &place);
  if (result == 0)
    result = vf_beneath_stat (place.dir_fd, place.name, &st);
  return result < 0 || st.st_nlink > 1 ? result : -ENOENT;
}

/* Holds: tree writing. */
static int
link_present (VfOverlay *overlay, guint64 id, guint64 new_parent, const char *new_name,
              VfEntry *out_entry)
{
  VfNode node;
  g_auto (Site) site = {0};
  g_auto (VfPlace) from = {0};
  int result = vf_node_resolve (overlay, id, &node);
  if (result == 0 && !node.present)
    result = node.removed ? -ENOENT : -ESTALE;
  gboolean unnamed = (node.upper.flags & VF_UPPER_UNNAMED) != 0;
  if (result == 0 && node.removed && !unnamed)
    result = check_other_names (overlay, &node);
  if (result == 0)
    result = site_open (overlay, new_parent, new_name, &site);
  if (result == 0)
    result = vf_place_find (overlay, &node, &from);
  if (result < 0)
    return result;
  if (unnamed)
    result = name_unnamed (overlay, id, &from, &site);
  else if (site.child.whiteout)
    result = link_over_whiteout (overlay, &from, &site);
  else
    result = vf_beneath_link (from.dir_fd, from.name, site.directory->fd, new_name);
  if (result < 0)
    return result;
  vf_directory_gained (overlay, new_parent, new_name, site.child.below, FALSE);
  return vf_entry_of_new (overlay, new_parent, site.directory->fd, new_name, out_entry);
}

int
vf_overlay_link (VfOverlay *overlay, guint64 id, guint64 new_parent, const char *new_name,
                 VfEntry *out_entry)
{
  int result = vf_copyup_file (overlay, id, VF_COPYUP_STUB);
  if (result < 0)
    return result == -EISDIR ? -EPERM : result;
  g_autoptr (GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new (&overlay->tree);
  return link_present (overlay, id, new_parent, new_name, out_entry);
}

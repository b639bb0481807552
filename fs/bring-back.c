/* Bringing back what was set aside: a walk through the folder that moves each thing to where it
 * came from. A directory that is seen there stays, with what has come into it meanwhile, and takes
 * in what the one that was set aside holds. Where nothing is seen, a directory is moved as a whole,
 * however deep it is; but while it is mounted, it is made anew, since the kernel may know what is
 * in it. Further down than a walk goes, what was set aside stays where it is. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/aside.h"

/* What stands in the way goes to where the present is set aside. 1: the place is free; 0: it is
 * not, and there is no such place. */
static int
make_room (VfAside *aside, const char *path)
{
  if (aside->number == 0)
    return 0;
  int result = vf_aside_take_path (aside, path);
  return result < 0 ? result : 1;
}

/* The kernel may know what the image has there by the recorded id: without a record that says that
 * it knows this one, the file gets an id of its own. */
static int
forget_id (const VfAside *aside, const VfChild *child, guint64 from, int from_fd, const char *name)
{
  if (!aside->mounted || !S_ISREG (child->st.st_mode) ||
      vf_upper_stands_at (aside->overlay->upper, child->id, from, name))
    return 0;
  VF_AUTOFD fd = vf_beneath_open_forced (from_fd, name, O_RDONLY | O_NONBLOCK);
  return fd < 0 ? fd : vf_marking_remove_id (fd);
}

static int
bring_whole (VfAside *aside, const VfNode *to, guint64 from, int from_fd, const VfChild *child,
             const char *path)
{
  VfOverlay *overlay = aside->overlay;
  g_autoptr (VfDescriptor) directory = NULL;
  const char *name = vf_path_last (path);
  VfChild there;
  int result = vf_directory_open (overlay, to->upper.id, &directory);
  if (result < 0)
    return result;
  result = vf_child_find (overlay, to, directory->fd, name, &there);
  if (result < 0 && result != -ENOENT)
    return result;
  if (there.whiteout || (there.upper.flags & VF_UPPER_PRESENT)) {
    result = make_room (aside, path);
    if (result <= 0)
      return result;
  }
  vf_aside_tell (aside, to->upper.id, path, &there);
  result = forget_id (aside, child, from, from_fd, name);
  return result < 0
             ? result
             : vf_aside_move (overlay, child, from, from_fd, to->upper.id, directory->fd, name);
}

/* Makes sure that the upper has the directory; 1, 0 if something is in the way, -errno. */
static int
make_directory (VfAside *aside, const VfNode *to, int dir_fd, const VfChild *child,
                const char *path, VfChild *out_there)
{
  VfOverlay *overlay = aside->overlay;
  const char *name = vf_path_last (path);
  int result = vf_child_find (overlay, to, dir_fd, name, out_there);
  if (result < 0 && result != -ENOENT)
    return result;
  gboolean present = (out_there->upper.flags & VF_UPPER_PRESENT) != 0;
  if (present && out_there->directory)
    return 1;
  if (present || out_there->whiteout) {
    result = make_room (aside, path);
    if (result <= 0)
      return result;
  }
  vf_aside_tell (aside, to->upper.id, path, out_there);
  if (mkdirat (dir_fd, name, child->st.st_mode & 07777) < 0)
    return -errno;
  if (overlay->privileged &&
      fchownat (dir_fd, name, child->st.st_uid, child->st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
    return -errno;
  result = vf_child_find (overlay, to, dir_fd, name, out_there);
  return result < 0 ? result : 1;
}

static int
restore_marks (VfAside *aside, const VfNode *to, int dir_fd, int from_fd, const VfChild *child,
               const char *path, VfChild *there)
{
  g_auto (VfMarks) marks = {0};
  const char *name = vf_path_last (path);
  int result = vf_marking_read (from_fd, name, child->st.st_mode, &marks);
  if (result < 0 || (!marks.opaque && !marks.has_lower))
    return result;
  vf_aside_tell (aside, to->upper.id, path, there);
  VF_AUTOFD fd = vf_beneath_open_forced (dir_fd, name, O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return fd;
  if (marks.opaque)
    result = vf_marking_set_opaque (fd);
  if (result == 0 && marks.has_lower)
    result = vf_marking_set_lower (fd, &marks.lower_image, marks.lower_path);
  return result < 0 ? result : vf_child_find (aside->overlay, to, dir_fd, name, there);
}

static int bring_entries (VfAside *aside, const VfNode *to, guint64 from, const char *path);

static int
bring_directory (VfAside *aside, const VfNode *to, guint64 from, int from_fd, VfChild *child,
                 const char *path)
{
  VfOverlay *overlay = aside->overlay;
  g_autoptr (VfDescriptor) directory = NULL;
  const char *name = vf_path_last (path);
  VfChild there;
  int result = vf_directory_open (overlay, to->upper.id, &directory);
  if (result == 0)
    result = make_directory (aside, to, directory->fd, child, path, &there);
  if (result <= 0)
    return result;
  result = restore_marks (aside, to, directory->fd, from_fd, child, path, &there);
  if (result < 0)
    return result;
  VfNode node = vf_node_of_child (&there);
  child->id = child->upper.id = vf_aside_record (overlay, from, name, child->st.st_ino);
  child->image = NULL;
  /* Both records stay for as long as what is below is found by them. */
  vf_upper_take (overlay->upper, &there.upper, name, 1);
  vf_upper_take (overlay->upper, &child->upper, name, 1);
  result = bring_entries (aside, &node, child->id, path);
  if (result == 0)
    result = vf_child_is_empty (overlay, child, name);
  vf_upper_forget (overlay->upper, child->id, 1, NULL, NULL);
  vf_upper_forget (overlay->upper, there.upper.id, 1, NULL, NULL);
  return result <= 0 ? result : vf_take_away (overlay, from, from_fd, name, child, FALSE);
}

/* Whether a directory can go to @path as it is: 1, 0 or -errno. */
static int
is_free (VfAside *aside, const VfNode *to, const char *path)
{
  VfChild there;
  if (aside->mounted)
    return 0;
  int result = vf_child_find_in (aside->overlay, to, vf_path_last (path), &there);
  return result == -ENOENT ? !there.whiteout && !there.below : MIN (result, 0);
}

static int
bring_entry (VfAside *aside, const VfNode *to, guint64 from, int from_fd, const char *path)
{
  VfNode node = {.upper.id = from, .present = TRUE, .directory = TRUE};
  VfChild child;
  int result = vf_child_find (aside->overlay, &node, from_fd, vf_path_last (path), &child);
  if (result < 0 && !child.whiteout)
    return result;
  int whole = child.directory ? is_free (aside, to, path) : 1;
  if (whole != 0)
    return whole < 0 ? whole : bring_whole (aside, to, from, from_fd, &child, path);
  if (aside->depth == VF_DEPTH_MAX)
    return 0;
  aside->depth++;
  result = bring_directory (aside, to, from, from_fd, &child, path);
  aside->depth--;
  return result;
}

static int
read_names (int dir_fd, GPtrArray *names)
{
  int fd = vf_beneath_open_forced (dir_fd, ".", O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return fd;
  g_autoptr (DIR) dir = vf_dir_of_fd (fd);
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    g_ptr_array_add (names, g_strdup (name));
  return -errno;
}

static int
bring_entries (VfAside *aside, const VfNode *to, guint64 from, const char *path)
{
  g_autoptr (VfDescriptor) directory = NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int result = vf_directory_open (aside->overlay, from, &directory);
  if (result == 0)
    result = read_names (directory->fd, names);
  for (guint i = 0; result == 0 && i < names->len; i++) {
    g_autofree char *entry = vf_path_join (path, names->pdata[i]);
    result = bring_entry (aside, to, from, directory->fd, entry);
  }
  return result;
}

int
vf_aside_bring_back (VfOverlay *overlay, guint number, guint into, gboolean mounted,
                     const VfAsideWatch *watch)
{
  g_auto (VfAside) aside = {.mounted = mounted};
  vf_aside_init (&aside, overlay, into, watch);
  guint64 id;
  VfNode root;
  int result = vf_aside_open (overlay, number, FALSE, &id);
  if (result == 0)
    result = vf_node_resolve (overlay, VF_UPPER_ROOT, &root);
  if (result < 0)
    return result == -ENOENT ? 0 : result;
  result = bring_entries (&aside, &root, id, "");
  vf_aside_settle (&aside);
  if (result < 0)
    return result;
  g_autofree char *path = g_strdup_printf ("aside/%u", number);
  if (unlinkat (overlay->environment_fd, path, AT_REMOVEDIR) < 0)
    return errno == ENOTEMPTY ? 0 : -errno;
  int fd = GPOINTER_TO_INT (g_hash_table_lookup (overlay->asides, &id));
  vf_fd_clear (&fd);
  g_hash_table_remove (overlay->asides, &id);
  vf_descriptors_drop (overlay->descriptors, id);
  vf_upper_remove (overlay->upper, id);
  return 0;
}

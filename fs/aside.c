/* Taking parts of the upper out of sight. */
#include "fs/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
vf_aside_clear (VfAside *aside)
{
  g_clear_pointer (&aside->mirrored, g_hash_table_unref);
  g_clear_pointer (&aside->touched, g_hash_table_unref);
}

void
vf_aside_init (VfAside *aside, VfOverlay *overlay, guint number, const VfAsideWatch *watch)
{
  aside->overlay = overlay;
  aside->number = number;
  aside->watch = watch;
  aside->mirrored = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  aside->touched = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

void
vf_aside_tell (const VfAside *aside, guint64 directory, const char *path, const VfChild *child)
{
  if (aside->watch)
    aside->watch->about_to_change (directory, path, child->id, aside->watch->user_data);
}

guint64
vf_aside_record (VfOverlay *overlay, guint64 parent, const char *name, ino_t ino)
{
  VfUpperNode node = {.id = vf_upper_born_id (ino),
                      .parent = parent,
                      .ino = ino,
                      .flags = VF_UPPER_PRESENT | VF_UPPER_DIRECTORY};
  vf_upper_take (overlay->upper, &node, name, 0);
  return node.id;
}

int
vf_aside_open (VfOverlay *overlay, guint number, gboolean make, guint64 *out_id)
{
  g_autofree char *path = g_strdup_printf ("aside/%u", number);
  if (overlay->environment_fd < 0)
    return make ? -EOPNOTSUPP : -ENOENT;
  if (make && ((mkdirat (overlay->environment_fd, "aside", 0755) < 0 && errno != EEXIST) ||
               (mkdirat (overlay->environment_fd, path, 0755) < 0 && errno != EEXIST)))
    return -errno;
  VF_AUTOFD fd = vf_beneath_open (overlay->environment_fd, path, O_PATH | O_DIRECTORY, 0);
  struct stat st;
  if (fd < 0)
    return fd;
  if (fstat (fd, &st) < 0)
    return -errno;
  *out_id = vf_aside_record (overlay, 0, "", st.st_ino);
  if (!g_hash_table_contains (overlay->asides, out_id))
    g_hash_table_insert (overlay->asides, g_memdup2 (out_id, sizeof *out_id),
                         GINT_TO_POINTER (vf_fd_steal (&fd)));
  return 0;
}

/* The directory in the folder that corresponds to @path. */
static int
mirror (VfAside *aside, const char *path, guint64 *out_id)
{
  VfOverlay *overlay = aside->overlay;
  const guint64 *known = g_hash_table_lookup (aside->mirrored, path);
  if (known) {
    *out_id = *known;
    return 0;
  }
  int result;
  if (*path == '\0')
    result = vf_aside_open (overlay, aside->number, TRUE, out_id);
  else {
    g_autofree char *above = g_path_get_dirname (path);
    g_autoptr (VfDescriptor) directory = NULL;
    struct stat st;
    guint64 parent;
    const char *name = vf_path_last (path);
    result = mirror (aside, strcmp (above, ".") == 0 ? "" : above, &parent);
    if (result == 0)
      result = vf_directory_open (overlay, parent, &directory);
    if (result < 0)
      return result;
    if ((mkdirat (directory->fd, name, 0755) < 0 && errno != EEXIST) ||
        fstatat (directory->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
      return -errno;
    *out_id = vf_aside_record (overlay, parent, name, st.st_ino);
  }
  if (result == 0)
    g_hash_table_insert (aside->mirrored, g_strdup (path), g_memdup2 (out_id, sizeof *out_id));
  return result;
}

void
vf_aside_settle (VfAside *aside)
{
  GHashTableIter iter;
  gpointer id;
  g_hash_table_iter_init (&iter, aside->mirrored);
  while (g_hash_table_iter_next (&iter, NULL, &id))
    vf_upper_forget (aside->overlay->upper, *(const guint64 *)id, 0, NULL, NULL);
}

/* What an earlier time left there makes room. */
static int
clear_place (VfOverlay *overlay, guint64 directory, int dir_fd, const char *name)
{
  VfNode node = {.upper.id = directory, .present = TRUE, .directory = TRUE};
  VfChild child;
  int result = vf_child_find (overlay, &node, dir_fd, name, &child);
  if (child.whiteout)
    return unlinkat (dir_fd, name, 0) < 0 ? -errno : 0;
  if (result < 0)
    return result == -ENOENT ? 0 : result;
  if (!child.directory)
    return vf_take_away (overlay, directory, dir_fd, name, &child, FALSE);
  char temporary[VF_NAME_BYTES];
  vf_temporary_name (overlay, temporary);
  return vf_beneath_rename (dir_fd, name, overlay->work_fd, temporary, 0);
}

int
vf_aside_move (VfOverlay *overlay, const VfChild *child, guint64 from, int from_fd, guint64 to,
               int to_fd, const char *name)
{
  gboolean stands = !child->whiteout && vf_upper_stands_at (overlay->upper, child->id, from, name);
  int result = clear_place (overlay, to, to_fd, name);
  if (result < 0)
    return result;
  result = vf_beneath_rename (from_fd, name, to_fd, name, RENAME_NOREPLACE);
  if (result < 0)
    return result;
  if (stands)
    vf_upper_move (overlay->upper, child->id, to, name);
  return 0;
}

/* --- Taking out --- */

/* A name in the upper, and the directory that it is in. */
typedef struct {
  VfNode node;
  VfDescriptor *directory;
  VfChild child;
} Spot;

static void
spot_clear (Spot *spot)
{
  g_clear_pointer (&spot->directory, vf_descriptor_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Spot, spot_clear)

/* 1: the upper has something at spot->child, which is the last name of @path or, if that is not to
 * be reached, *@out_path's. 0: it has nothing there. */
static int
find_spot (VfAside *aside, const char *path, Spot *spot, char **out_path)
{
  VfOverlay *overlay = aside->overlay;
  g_autoptr (GString) at = g_string_new (NULL);
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  int result = vf_node_resolve (overlay, VF_UPPER_ROOT, &spot->node);
  for (guint i = 0; result == 0 && names[i]; i++) {
    spot_clear (spot);
    if (!spot->node.present)
      return 0;
    g_string_append_printf (at, "%s%s", at->len > 0 ? "/" : "", names[i]);
    result = vf_name_check (names[i]);
    if (result == 0)
      result = vf_directory_open (overlay, spot->node.upper.id, &spot->directory);
    if (result < 0)
      return result;
    result = vf_child_find (overlay, &spot->node, spot->directory->fd, names[i], &spot->child);
    gboolean here = spot->child.whiteout || (spot->child.upper.flags & VF_UPPER_PRESENT);
    if (result < 0 && result != -ENOENT)
      return result;
    if (!here)
      return 0;
    if (result == -ENOENT || !spot->child.directory || !names[i + 1]) {
      *out_path = g_strdup (at->str);
      return 1;
    }
    vf_upper_take (overlay->upper, &spot->child.upper, names[i], 0);
    spot->node = vf_node_of_child (&spot->child);
  }
  return result;
}

int
vf_aside_take_path (VfAside *aside, const char *path)
{
  g_auto (Spot) spot = {0};
  g_autofree char *found = NULL;
  int result = *path == '\0' ? -EINVAL : find_spot (aside, path, &spot, &found);
  if (result <= 0)
    return result;
  g_autofree char *above = g_path_get_dirname (found);
  const char *folder = strcmp (above, ".") == 0 ? "" : above;
  g_autoptr (VfDescriptor) to = NULL;
  guint64 id;
  result = mirror (aside, folder, &id);
  if (result == 0)
    result = vf_directory_open (aside->overlay, id, &to);
  if (result < 0)
    return result;
  vf_aside_tell (aside, spot.node.upper.id, found, &spot.child);
  if (*folder)
    g_hash_table_add (aside->touched, g_strdup (folder));
  return vf_aside_move (aside->overlay, &spot.child, spot.node.upper.id, spot.directory->fd, id,
                        to->fd, vf_path_last (found));
}

/* The mirrored directory says what the upper's said: its mode, and how it hid the image. */
static int
copy_marks (VfAside *aside, const char *path, const VfChild *child, const VfMarks *marks)
{
  g_autoptr (VfDescriptor) directory = NULL;
  guint64 id;
  int result = mirror (aside, path, &id);
  if (result == 0)
    result = vf_directory_open (aside->overlay, id, &directory);
  if (result < 0)
    return result;
  VF_AUTOFD fd = vf_beneath_open_forced (directory->fd, ".", O_RDONLY | O_DIRECTORY);
  if (fd < 0)
    return fd;
  if (aside->overlay->privileged && fchown (fd, child->st.st_uid, child->st.st_gid) < 0)
    return -errno;
  if (fchmod (fd, child->st.st_mode & 07777) < 0)
    return -errno;
  if (marks->opaque)
    result = vf_marking_set_opaque (fd);
  if (result == 0 && marks->has_lower)
    result = vf_marking_set_lower (fd, &marks->lower_image, marks->lower_path);
  return result;
}

static gboolean
will_be_directory (const VfAside *aside, const char *path)
{
  VfImageNode next;
  return aside->next && vf_image_lookup_path (aside->next, path, &next) == 0 &&
         next.type == VF_NODE_DIRECTORY;
}

/* A directory that something was taken out of goes too if nothing is left in it, unless it is
 * merged and remains so; one that stays hides the next image no more. */
static int
settle_directory (VfAside *aside, const char *path)
{
  VfOverlay *overlay = aside->overlay;
  g_auto (Spot) spot = {0};
  g_auto (VfMarks) marks = {0};
  g_autofree char *found = NULL;
  int result = find_spot (aside, path, &spot, &found);
  if (result <= 0 || strcmp (found, path) != 0 || !spot.child.directory)
    return MIN (result, 0);
  const char *name = vf_path_last (path);
  result = vf_marking_read (spot.directory->fd, name, spot.child.st.st_mode, &marks);
  if (result < 0)
    return result;
  gboolean hides = marks.opaque || marks.has_lower;
  VfChild alone = spot.child;
  alone.image = NULL;
  int empty = marks.has_lower ? 0 : vf_child_is_empty (overlay, &alone, name);
  if (empty < 0)
    return empty;
  gboolean stays = spot.child.image && !hides && will_be_directory (aside, path);
  gboolean goes = empty && !stays;
  if (!goes && !hides)
    return 0;
  result = copy_marks (aside, path, &spot.child, &marks);
  if (result < 0)
    return result;
  vf_aside_tell (aside, spot.node.upper.id, path, &spot.child);
  if (goes)
    return vf_take_away (overlay, spot.node.upper.id, spot.directory->fd, name, &spot.child, FALSE);
  VF_AUTOFD fd = vf_beneath_open_forced (spot.directory->fd, name, O_RDONLY | O_DIRECTORY);
  return fd < 0 ? fd : vf_marks_remove_hiding (fd);
}

/* Deepest first: a path is longer than those above it. */
static gint
compare_depth (gconstpointer a, gconstpointer b)
{
  gsize left = strlen (*(const char *const *)a), right = strlen (*(const char *const *)b);
  return left < right ? 1 : left > right ? -1 : 0;
}

/* With all directories above those that something was taken out of. */
static GPtrArray *
touched_directories (VfAside *aside)
{
  g_autoptr (GHashTable) all = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer path;
  g_hash_table_iter_init (&iter, aside->touched);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    for (g_autofree char *at = g_strdup (path); *at && g_hash_table_add (all, g_strdup (at));) {
      g_ptr_array_add (paths, g_strdup (at));
      char *slash = strrchr (at, '/');
      *(slash ? slash : at) = '\0';
    }
  g_ptr_array_sort (paths, compare_depth);
  return paths;
}

/* Before anything is. */
static int
note_aside (VfOverlay *overlay)
{
  VfProcPath path;
  if (overlay->has_aside)
    return 0;
  int result = vf_mark_set_aside (vf_proc_path (&path, overlay->upper_fd, NULL));
  overlay->has_aside = result == 0;
  return result;
}

int
vf_aside_take (VfOverlay *overlay, guint number, const char *const *paths, VfImage *next,
               const VfAsideWatch *watch)
{
  g_auto (VfAside) aside = {.next = next, .mounted = TRUE};
  vf_aside_init (&aside, overlay, number, watch);
  int result = note_aside (overlay);
  for (gsize i = 0; result == 0 && paths[i]; i++)
    result = vf_aside_take_path (&aside, paths[i]);
  g_autoptr (GPtrArray) touched = touched_directories (&aside);
  for (guint i = 0; result == 0 && i < touched->len; i++)
    result = settle_directory (&aside, touched->pdata[i]);
  vf_aside_settle (&aside);
  return result;
}

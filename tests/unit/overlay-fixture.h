/* An overlay without a mount: a small image, an upper, and what tests of it ask again and again.
 *
 *   dir/            0755
 *     empty/        0755
 *     exec          0755  "#!/bin/sh\n"
 *     file          0644  "lower file\n"
 *     link          -> file
 *     sub/
 *       deep        0644  "deep\n"
 *   inline          0644  "kept inside\n"
 *   view            0644  "at <mount point>\n" */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/internal.h"
#include "layers/error.h"
#include "layers/tree.h"

typedef struct {
  char *root;
  VfStore *store;
  VfImage *image;
  int environment_fd;
  VfOverlay *overlay;
} Fixture;

static const VfCaller CALLER G_GNUC_UNUSED = {.umask = 022};

static inline void
fixture_add_file (VfTree *tree, VfObjectBatch *batch, const char *path, guint32 mode,
                  const char *text)
{
  g_autoptr (GError) error = NULL;
  VfDigest digest;
  vf_digest_of (text, strlen (text), &digest);
  vf_object_batch_add (batch, &digest, text, strlen (text), NULL, &error);
  g_assert_no_error (error);
  vf_tree_add_file (tree, path, mode, strlen (text), &digest, &error);
  g_assert_no_error (error);
}

static inline void
fixture_make_image (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_assert_no_error (error);
  fixture_add_file (tree, batch, "dir/file", 0644, "lower file\n");
  fixture_add_file (tree, batch, "dir/exec", 0755, "#!/bin/sh\n");
  fixture_add_file (tree, batch, "dir/sub/deep", 0644, "deep\n");
  g_assert_true (vf_tree_add_symlink (tree, "dir/link", "file", &error));
  g_assert_true (vf_tree_add_directory (tree, "dir/empty", 0755, &error));
  g_assert_true (vf_tree_add_inline (tree, "inline", 0644, "kept inside\n", 12, &error));
  g_assert_true (vf_tree_add_view (tree, "view", 0644, "at \001path\002\n", 10, &error));
  g_assert_true (vf_object_batch_commit (batch, &error));

  VfDigest id;
  vf_digest_of ("fixture", 7, &id);
  g_autofree char *name = vf_digest_path ("images/", &id);
  g_assert_true (vf_tree_write_image (tree, &id, vf_store_fd (fixture->store), name, &error));
  fixture->image = vf_image_open (vf_store_fd (fixture->store), name, &error);
  g_assert_no_error (error);
}

static inline void
fixture_start (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  VfOverlayOptions options = {.store = fixture->store,
                              .environment_fd = fixture->environment_fd,
                              .prompt = "prompt",
                              .mount_point = "/here/.venv"};
  fixture->overlay = vf_overlay_new (fixture->image, &options, &error);
  g_assert_no_error (error);
}

static inline void
fixture_set_up (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  umask (0);
  fixture->root = g_dir_make_tmp ("venvfs-test-XXXXXX", &error);
  g_assert_no_error (error);
  g_autofree char *store = g_build_filename (fixture->root, "store", NULL);
  fixture->store = vf_store_open (store, &error);
  g_assert_no_error (error);
  fixture_make_image (fixture);
  fixture->environment_fd = open (fixture->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  fixture_start (fixture);
}

static inline void
fixture_tear_down (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  vf_overlay_free (fixture->overlay);
  vf_image_unref (fixture->image);
  vf_store_unref (fixture->store);
  close (fixture->environment_fd);
  vf_remove_tree (AT_FDCWD, fixture->root, fixture->root, &error);
  g_assert_no_error (error);
  g_free (fixture->root);
}

#define FIXTURE_TEST(path, function)                                                               \
  g_test_add (path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

/* As after a remount: nothing is remembered. */
static inline void
restart (Fixture *fixture)
{
  vf_overlay_free (fixture->overlay);
  fixture_start (fixture);
}

/* Looks up every name of @path, as the kernel does; 0 with the last in @out_entry, or -errno. */
static inline int
walk (Fixture *fixture, const char *path, VfEntry *out_entry)
{
  int result = vf_overlay_getattr (fixture->overlay, VF_IMAGE_ROOT_ID, out_entry);
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  for (char **name = names; *name && **name && result == 0; name++)
    result = vf_overlay_lookup (fixture->overlay, out_entry->id, *name, out_entry);
  return result;
}

static inline VfEntry
entry_at (Fixture *fixture, const char *path)
{
  VfEntry entry;
  g_assert_cmpint (walk (fixture, path, &entry), ==, 0);
  return entry;
}

static inline guint64
id_at (Fixture *fixture, const char *path)
{
  return entry_at (fixture, path).id;
}

static inline int
error_at (Fixture *fixture, const char *path)
{
  VfEntry entry;
  return walk (fixture, path, &entry);
}

static inline char *
text_of (Fixture *fixture, guint64 id)
{
  VfRead read;
  char buffer[4096];
  g_assert_cmpint (vf_overlay_read (fixture->overlay, id, 0, sizeof buffer, &read), ==, 0);
  ssize_t length;
  if (read.bytes) {
    length = (ssize_t)g_bytes_get_size (read.bytes);
    memcpy (buffer, g_bytes_get_data (read.bytes, NULL), (size_t)length);
  } else
    length = pread (read.extent.fd, buffer, read.extent.length, read.extent.offset);
  vf_overlay_read_done (fixture->overlay, &read);
  g_assert_cmpint (length, >=, 0);
  return g_strndup (buffer, (gsize)length);
}

/* Nothing is under way; what whiteouts are names of is all that stays. */
/* Where the object of @id is, whose name is gone. */
static inline char *
orphan_path (Fixture *fixture, guint64 id)
{
  VfUpperNode node;
  char name[VF_NAME_BYTES];
  g_assert_true (vf_upper_place (fixture->overlay->upper, id, &node, name));
  g_assert_cmpuint (node.flags & VF_UPPER_ORPHAN, !=, 0);
  return g_strconcat ("work/", name, NULL);
}

static inline void
assert_work_is_empty (Fixture *fixture)
{
  g_autofree char *path = g_build_filename (fixture->root, "work", NULL);
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name (directory)))
    g_assert_cmpstr (name, ==, "whiteout");
}

static inline void
assert_text (Fixture *fixture, guint64 id, const char *expected)
{
  g_autofree char *text = text_of (fixture, id);
  g_assert_cmpstr (text, ==, expected);
}

static inline void
write_text (Fixture *fixture, guint64 id, guint64 offset, const char *text)
{
  gsize written;
  g_assert_cmpint (
      vf_overlay_write (fixture->overlay, id, offset, text, strlen (text), FALSE, &written), ==, 0);
  g_assert_cmpuint (written, ==, strlen (text));
}

static inline guint64
make_file (Fixture *fixture, guint64 parent, const char *name, const char *text)
{
  VfEntry entry;
  g_assert_cmpint (
      vf_overlay_mknod (fixture->overlay, &CALLER, parent, name, S_IFREG | 0644, 0, &entry), ==, 0);
  write_text (fixture, entry.id, 0, text);
  return entry.id;
}

static inline guint64
make_dir (Fixture *fixture, guint64 parent, const char *name)
{
  VfEntry entry;
  g_assert_cmpint (vf_overlay_mkdir (fixture->overlay, &CALLER, parent, name, 0755, &entry), ==, 0);
  return entry.id;
}

typedef struct {
  GPtrArray *names;
  GArray *ids; /* by which they were looked up */
} Listed;

static inline gboolean
collect_name (const char *name, const VfEntry *entry, guint64 position, gpointer user_data)
{
  Listed *listed = user_data;
  if (strcmp (name, ".") == 0 || strcmp (name, "..") == 0)
    return TRUE;
  g_ptr_array_add (listed->names, g_strdup (name));
  g_array_append_val (listed->ids, entry->id);
  return TRUE;
}

static inline gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* Sorted. What the listing looked up is forgotten again. */
static inline GPtrArray *
names_in (Fixture *fixture, guint64 directory)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint64));
  Listed listed = {.names = g_ptr_array_new_with_free_func (g_free), .ids = ids};
  g_assert_cmpint (vf_overlay_list (fixture->overlay, directory, 0, collect_name, &listed), ==, 0);
  for (guint i = 0; i < ids->len; i++)
    vf_overlay_forget (fixture->overlay, g_array_index (ids, guint64, i), 1);
  g_ptr_array_sort (listed.names, compare_names);
  return listed.names;
}

/* "a b c" */
static inline void
assert_names (Fixture *fixture, guint64 directory, const char *expected)
{
  g_autoptr (GPtrArray) names = names_in (fixture, directory);
  g_ptr_array_add (names, NULL);
  g_autofree char *joined = g_strjoinv (" ", (char **)names->pdata);
  g_assert_cmpstr (joined, ==, expected);
}

/* What stands in the environment's directory: "upper/…" or "work/…". 0 or -errno. */
static inline int
disk_stat (Fixture *fixture, const char *path, struct stat *out_st)
{
  return fstatat (fixture->environment_fd, path, out_st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static inline gboolean
disk_has (Fixture *fixture, const char *path)
{
  struct stat st;
  return disk_stat (fixture, path, &st) == 0;
}

static inline gboolean
disk_has_whiteout (Fixture *fixture, const char *path)
{
  struct stat st;
  return disk_stat (fixture, path, &st) == 0 && S_ISCHR (st.st_mode) && st.st_rdev == 0;
}

/* The value of an attribute on the disk, or NULL. */
static inline char *
disk_attribute (Fixture *fixture, const char *path, const char *name)
{
  g_autofree char *full = g_build_filename (fixture->root, path, NULL);
  char value[512];
  ssize_t length = lgetxattr (full, name, value, sizeof value);
  return length < 0 ? NULL : g_strndup (value, (gsize)length);
}

static inline gboolean
has_disk_attribute (Fixture *fixture, const char *path, const char *name)
{
  g_autofree char *value = disk_attribute (fixture, path, name);
  return value != NULL;
}

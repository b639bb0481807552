/* layers/stack.c */
#include "tests/unit/store-fixture.h"

#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "layers/image.h"
#include "layers/known-files.h"
#include "layers/marks.h"
#include "layers/stack.h"

static char *
path_in (Fixture *fixture, const char *path)
{
  char *full = g_build_filename (fixture->root, path, NULL);
  g_autofree char *folder = g_path_get_dirname (full);
  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  return full;
}

static void
put (Fixture *fixture, const char *path, const char *text, int mode)
{
  g_autofree char *full = path_in (fixture, path);
  g_assert_true (g_file_set_contents (full, text, -1, NULL));
  g_assert_cmpint (chmod (full, mode), ==, 0);
}

static void
put_directory (Fixture *fixture, const char *path, const char *attribute, const char *value)
{
  g_autofree char *full = path_in (fixture, path);
  g_assert_cmpint (g_mkdir_with_parents (full, 0755), ==, 0);
  if (attribute)
    g_assert_cmpint (setxattr (full, attribute, value, strlen (value), 0), ==, 0);
}

static void
put_whiteout (Fixture *fixture, const char *path)
{
  g_autofree char *full = path_in (fixture, path);
  g_assert_cmpint (mknod (full, S_IFCHR, 0), ==, 0);
}

/* How often the build may ask; -1: as often as it likes. */
static int goes_on = -1;

static gboolean
is_to_stop (void)
{
  return goes_on >= 0 && goes_on-- == 0;
}

/* @roots: separated by blanks. */
static gboolean
build (Fixture *fixture, const char *roots, GPtrArray *warnings, VfDigest *out_id, GError **error)
{
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, error);
  g_auto (GStrv) paths = g_strsplit (roots, " ", -1);
  for (char **path = paths; *path; path++) {
    char *full = g_build_filename (fixture->root, *path, NULL);
    g_free (*path);
    *path = full;
  }
  return vf_stack_build (fixture->store, (const char *const *)paths, is_to_stop, warnings, out_id,
                         error);
}

static VfImage *
build_image (Fixture *fixture, const char *roots)
{
  g_autoptr (GError) error = NULL;
  VfDigest id;
  build (fixture, roots, NULL, &id, &error);
  g_assert_no_error (error);
  g_autofree char *relative = vf_digest_path ("images/", &id);
  VfImage *image = vf_image_open (vf_store_fd (fixture->store), relative, &error);
  g_assert_no_error (error);
  return image;
}

/* What is at @path: its text, "-> target", "directory" or NULL. */
static char *
at (Fixture *fixture, VfImage *image, const char *path)
{
  VfImageNode node;
  VfExtent extent;
  if (vf_image_lookup_path (image, path, &node) < 0)
    return NULL;
  if (node.type == VF_NODE_DIRECTORY)
    return g_strdup ("directory");
  if (node.type == VF_NODE_SYMLINK)
    return g_strdup_printf ("-> %.*s", (int)node.size, node.data);
  g_assert_cmpint (vf_object_open (fixture->store, &node.digest, &extent), ==, 0);
  g_autofree char *text = g_malloc0 (node.size + 1);
  g_assert_cmpint (pread (extent.fd, text, node.size, extent.offset), ==, (gssize)node.size);
  close (extent.fd);
  return g_steal_pointer (&text);
}

static void
assert_at (Fixture *fixture, VfImage *image, const char *path, const char *expected)
{
  g_autofree char *found = at (fixture, image, path);
  g_assert_cmpstr (found, ==, expected);
}

static void
test_one_directory (Fixture *fixture, gconstpointer data)
{
  VfImageNode node;
  put (fixture, "low/dir/file", "text\n", 0640);
  put (fixture, "low/run", "#!/bin/sh\n", 04755);
  put_directory (fixture, "low/empty", NULL, NULL);
  g_autofree char *link = path_in (fixture, "low/link");
  g_assert_cmpint (symlink ("dir/file", link), ==, 0);
  g_autoptr (VfImage) image = build_image (fixture, "low");
  assert_at (fixture, image, "dir/file", "text\n");
  assert_at (fixture, image, "link", "-> dir/file");
  assert_at (fixture, image, "empty", "directory");
  g_assert_cmpint (vf_image_lookup_path (image, "run", &node), ==, 0);
  g_assert_cmpuint (node.mode, ==, 04755);
  g_assert_cmpuint (vf_image_n_nodes (image), ==, 6);
  /* The same tree is the same image, wherever it is; another mode is another. */
  put (fixture, "other/dir/file", "text\n", 0640);
  put (fixture, "third/dir/file", "text\n", 0644);
  g_autoptr (VfImage) other = build_image (fixture, "other");
  g_autoptr (VfImage) same = build_image (fixture, "other");
  g_autoptr (VfImage) third = build_image (fixture, "third");
  g_assert_true (vf_digest_equal (vf_image_id (other), vf_image_id (same)));
  g_assert_false (vf_digest_equal (vf_image_id (other), vf_image_id (third)));
}

static void
test_layers (Fixture *fixture, gconstpointer data)
{
  put (fixture, "low/both", "low", 0644);
  put (fixture, "low/gone", "low", 0644);
  put (fixture, "low/dir/kept", "low", 0644);
  put (fixture, "low/dir/gone", "low", 0644);
  put (fixture, "low/opaque/hidden", "low", 0644);
  put (fixture, "low/becomes-file/x", "low", 0644);
  put (fixture, "low/becomes-dir", "low", 0644);
  put (fixture, "up/both", "up", 0644);
  put_whiteout (fixture, "up/gone");
  put (fixture, "up/dir/new", "up", 0644);
  put_whiteout (fixture, "up/dir/gone");
  put_directory (fixture, "up/opaque", "user.overlay.opaque", "y");
  put (fixture, "up/opaque/own", "up", 0644);
  put (fixture, "up/becomes-file", "up", 0644);
  put (fixture, "up/becomes-dir/x", "up", 0644);
  put (fixture, "top/gone/again", "top", 0644);
  g_autoptr (VfImage) image = build_image (fixture, "top up low");
  assert_at (fixture, image, "both", "up");
  assert_at (fixture, image, "gone/again", "top");
  assert_at (fixture, image, "dir/kept", "low");
  assert_at (fixture, image, "dir/new", "up");
  assert_at (fixture, image, "dir/gone", NULL);
  assert_at (fixture, image, "opaque/own", "up");
  assert_at (fixture, image, "opaque/hidden", NULL);
  assert_at (fixture, image, "becomes-file", "up");
  assert_at (fixture, image, "becomes-dir/x", "up");
}

/* A lie tells: the list says of a file what it is not, and is believed as long as the file looks
 * the same. */
static void
test_known_files_are_not_read (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfDigest lie;
  struct stat st;
  put (fixture, "low/file", "text\n", 0644);
  put (fixture, "lie/file", "lies\n", 0644);
  g_autoptr (VfImage) first = build_image (fixture, "low");
  g_autoptr (VfImage) other = build_image (fixture, "lie");
  assert_at (fixture, other, "file", "lies\n");
  assert_at (fixture, first, "file", "text\n");
  g_autofree char *root = path_in (fixture, "low");
  g_autofree char *path = path_in (fixture, "low/file");
  g_assert_cmpint (stat (path, &st), ==, 0);
  vf_digest_of ("lies\n", 5, &lie);
  while (time (NULL) < st.st_ctim.tv_sec + 4)
    g_usleep (100 * 1000);
  g_autoptr (VfKnownFiles) known = vf_known_files_load (fixture->store, root);
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  vf_known_files_add (known, "file", &st, &lie);
  g_assert_true (vf_known_files_save (known, &error));
  g_clear_pointer (&write, vf_store_end_write);
  g_autoptr (VfImage) second = build_image (fixture, "low");
  assert_at (fixture, second, "file", "lies\n");
  /* A touch, and it is read again. */
  g_assert_cmpint (utimensat (AT_FDCWD, path, NULL, 0), ==, 0);
  g_autoptr (VfImage) third = build_image (fixture, "low");
  assert_at (fixture, third, "file", "text\n");
}

static void
test_what_is_stored_elsewhere (Fixture *fixture, gconstpointer data)
{
  static const struct {
    const char *attribute, *value, *words;
  } cases[] = {
      {"user.overlay.redirect", "x", "redirect_dir"},
      {"user.venvfs.lower", "", "venvfs flatten"},
  };
  VfDigest id;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *root = g_strdup_printf ("case%" G_GSIZE_FORMAT, i);
    g_autofree char *dir = g_build_filename (root, "dir", NULL);
    g_autofree char *lower = g_strdup_printf ("%064d:dir", 1);
    put_directory (fixture, dir, cases[i].attribute, *cases[i].value ? cases[i].value : lower);
    g_assert_false (build (fixture, root, NULL, &id, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, dir));
    g_assert_nonnull (strstr (error->message, cases[i].words));
  }
}

/* What venvfs changed in mode only stands for bytes of the store. */
static void
test_stubs (Fixture *fixture, gconstpointer data)
{
  put (fixture, "low/file", "content\n", 0644);
  put (fixture, "low/all-of-it", "content\n", 0644);
  g_autoptr (VfImage) image = build_image (fixture, "low");
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, "file", &node), ==, 0);
  for (int length = 8; length >= 3; length -= 5) {
    g_autofree char *path = path_in (fixture, "up/file");
    VF_AUTOFD fd = open (path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    g_assert_cmpint (ftruncate (fd, length), ==, 0);
    g_assert_cmpint (vf_mark_set_digest (fd, &node.digest), ==, 0);
    g_autoptr (VfImage) merged = build_image (fixture, "up low");
    g_autofree char *expected = g_strndup ("content\n", (gsize)length);
    assert_at (fixture, merged, "file", expected);
  }
}

static void
test_what_is_left_out (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  VfDigest id;
  put (fixture, "low/file", "x", 0644);
  g_autofree char *fifo = path_in (fixture, "low/fifo");
  g_assert_cmpint (mkfifo (fifo, 0644), ==, 0);
  g_assert_true (build (fixture, "low", warnings, &id, &error));
  g_assert_cmpuint (warnings->len, ==, 1);
  g_assert_true (g_str_has_prefix (warnings->pdata[0], fifo));
  g_assert_false (build (fixture, "low absent", NULL, &id, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
}

/* Between two files, and in the middle of a large one. */
/* Files of sysfs say that they are larger than they are. */
static void
test_what_cannot_be_read (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, NULL);
  const char *const roots[] = {"/sys/class/net/lo", NULL};
  VfDigest id;
  if (!g_file_test ("/sys/class/net/lo/addr_assign_type", G_FILE_TEST_IS_REGULAR)) {
    g_test_skip ("no sysfs");
    return;
  }
  g_assert_false (vf_stack_build (fixture->store, roots, NULL, NULL, &id, &error));
  g_assert_cmpstr (error->message, ==, "/sys/class/net/lo/addr_assign_type: ends too early");
}

static void
test_interrupted (Fixture *fixture, gconstpointer data)
{
  VfDigest id;
  put (fixture, "low/a", "x", 0644);
  put (fixture, "low/large", "x", 0644);
  g_autofree char *dir = path_in (fixture, "low");
  g_autofree char *large = path_in (fixture, "low/large");
  g_assert_cmpint (truncate (large, 20 << 20), ==, 0);
  for (int n = 0; n < 5; n++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *expected = g_strconcat (dir, ": interrupted", NULL);
    goes_on = n;
    g_assert_false (build (fixture, "low", NULL, &id, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
    g_assert_cmpstr (error->message, ==, expected);
    g_assert_cmpuint (store_count (fixture, "objects"), ==, 0);
    g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
  }
  goes_on = -1;
  g_autoptr (VfImage) image = build_image (fixture, "low");
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, "large", &node), ==, 0);
  g_assert_cmpuint (node.size, ==, 20 << 20);
}

/* What does not fit on the store's disk is not begun with. */
static void
test_too_large (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfDigest id;
  put (fixture, "low/large", "x", 0644);
  g_autofree char *large = path_in (fixture, "low/large");
  struct statvfs disk;
  g_assert_cmpint (statvfs (fixture->root, &disk), ==, 0);
  guint64 size = ((guint64)disk.f_bavail + (1 << 22)) * disk.f_frsize;
  g_assert_cmpint (truncate (large, (off_t)size), ==, 0);
  g_autofree char *begin = g_strdup_printf ("%s: %s/tmp/", large, vf_store_path (fixture->store));
  g_autofree char *end = g_strdup_printf (
      ": cannot make a file of %" G_GUINT64_FORMAT " bytes in it: No space left on device", size);
  g_assert_false (build (fixture, "low", NULL, &id, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOSPC);
  g_assert_true (g_str_has_prefix (error->message, begin));
  g_assert_true (g_str_has_suffix (error->message, end));
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

/* More directories, one in the other, than there is stack for. */
static void
test_deep (Fixture *fixture, gconstpointer data)
{
  VfDigest id;
  g_autofree char *low = path_in (fixture, "low/x");
  g_autofree char *dir = g_path_get_dirname (low);
  for (guint depth = VF_DEPTH_MAX; depth <= VF_DEPTH_MAX + 1; depth++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *expected = g_strdup_printf (
        "%s: has more than 400 directories one in the other; move the inner ones up", dir);
    VF_AUTOFD fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (guint i = 0; i < depth; i++) {
      g_assert_true (mkdirat (fd, "d", 0755) == 0 || errno == EEXIST);
      int inner = openat (fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      vf_fd_clear (&fd);
      fd = inner;
    }
    gboolean fits = depth == VF_DEPTH_MAX;
    g_assert_true (build (fixture, "low", NULL, &id, &error) == fits);
    g_assert_cmpstr (error ? error->message : NULL, ==, fits ? NULL : expected);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/stack/one", test_one_directory);
  FIXTURE_TEST ("/stack/layers", test_layers);
  FIXTURE_TEST ("/stack/known", test_known_files_are_not_read);
  FIXTURE_TEST ("/stack/elsewhere", test_what_is_stored_elsewhere);
  FIXTURE_TEST ("/stack/stubs", test_stubs);
  FIXTURE_TEST ("/stack/left-out", test_what_is_left_out);
  FIXTURE_TEST ("/stack/what-cannot-be-read", test_what_cannot_be_read);
  FIXTURE_TEST ("/stack/interrupted", test_interrupted);
  FIXTURE_TEST ("/stack/too-large", test_too_large);
  FIXTURE_TEST ("/stack/deep", test_deep);
  return g_test_run ();
}

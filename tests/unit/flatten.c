/* layers/flatten.c */
#include "tests/unit/store-fixture.h"

#include <sys/xattr.h>

#include "layers/flatten.h"
#include "layers/marks.h"
#include "layers/tree.h"

typedef struct {
  VfDigest image;
  VfDigest object;
  char *upper;
} Case;

static void
case_clear (Case *example)
{
  g_free (example->upper);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Case, case_clear)

/* An image with lib/{file,link,view,inline,sub/{deep,gone}}, and an empty upper. */
static void
make_case (Fixture *fixture, Case *example)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_autoptr (VfTree) tree = vf_tree_new ();
  vf_digest_of ("content\n", 8, &example->object);
  vf_digest_of ("image", 5, &example->image);
  vf_object_batch_add (batch, &example->object, "content\n", 8, NULL, &error);
  vf_tree_add_file (tree, "lib/file", 0640, 8, &example->object, &error);
  vf_tree_add_file (tree, "lib/sub/deep", 0644, 8, &example->object, &error);
  vf_tree_add_file (tree, "lib/sub/gone", 0644, 8, &example->object, &error);
  vf_tree_add_symlink (tree, "lib/link", "file", &error);
  vf_tree_add_inline (tree, "lib/inline", 0644, "inside\n", 7, &error);
  vf_tree_add_view (tree, "lib/view", 0644, "at \001path\002\n", 10, &error);
  g_assert_true (vf_object_batch_commit (batch, &error));
  g_autofree char *name = vf_digest_path ("images/", &example->image);
  g_assert_true (
      vf_tree_write_image (tree, &example->image, vf_store_fd (fixture->store), name, &error));
  g_assert_no_error (error);
  example->upper = g_build_filename (fixture->root, "upper", NULL);
  g_assert_cmpint (g_mkdir (example->upper, 0755), ==, 0);
}

static int
make (const Case *example, const char *path, mode_t type)
{
  g_autofree char *full = g_build_filename (example->upper, path, NULL);
  if (S_ISCHR (type)) {
    g_assert_cmpint (mknod (full, S_IFCHR, 0), ==, 0);
    return -1;
  }
  if (S_ISDIR (type))
    g_assert_cmpint (g_mkdir_with_parents (full, 0755), ==, 0);
  int fd = S_ISDIR (type) ? open (full, O_RDONLY | O_DIRECTORY)
                          : open (full, O_RDWR | O_CREAT | O_EXCL, 0600);
  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static void
make_renamed (const Case *example, const char *path, const char *lower)
{
  VF_AUTOFD fd = make (example, path, S_IFDIR);
  g_assert_cmpint (vf_mark_set_lower (fd, &example->image, lower), ==, 0);
}

static VfFlattened
flatten (Fixture *fixture, const Case *example)
{
  g_autoptr (GError) error = NULL;
  VfFlattened result;
  VfViewContext view = {.mount_point = "/here", .prompt = "p"};
  VF_AUTOFD fd = open (example->upper, O_RDONLY | O_DIRECTORY);
  vf_flatten (fixture->store, fd, example->upper, &view, NULL, &result, &error);
  g_assert_no_error (error);
  return result;
}

static void
assert_text (const Case *example, const char *path, const char *expected)
{
  g_autofree char *full = g_build_filename (example->upper, path, NULL);
  g_autofree char *text = NULL;
  g_file_get_contents (full, &text, NULL, NULL);
  g_assert_cmpstr (text, ==, expected);
}

static void
assert_attribute (const Case *example, const char *path, const char *name, const char *expected)
{
  char value[256];
  g_autofree char *full = g_build_filename (example->upper, path, NULL);
  ssize_t length = lgetxattr (full, name, value, sizeof value - 1);
  value[MAX (length, 0)] = '\0';
  g_assert_cmpstr (length < 0 ? NULL : value, ==, expected);
}

static void
test_stubs (Fixture *fixture, gconstpointer data)
{
  g_auto (Case) example = {0};
  make_case (fixture, &example);
  VF_AUTOFD fd = make (&example, "stub", S_IFREG);
  struct timespec times[2] = {{.tv_sec = 10}, {.tv_sec = 20}};
  g_assert_cmpint (ftruncate (fd, 5), ==, 0);
  g_assert_cmpint (vf_mark_set_digest (fd, &example.object), ==, 0);
  g_assert_cmpint (vf_mark_set_id (fd, 77), ==, 0);
  g_assert_cmpint (futimens (fd, times), ==, 0);
  g_assert_cmpint (fchmod (fd, 0400), ==, 0);
  g_autofree char *one = g_build_filename (example.upper, "stub", NULL);
  g_autofree char *two = g_build_filename (example.upper, "other", NULL);
  g_assert_cmpint (link (one, two), ==, 0);
  VfFlattened result = flatten (fixture, &example);
  g_assert_cmpuint (result.files, ==, 1);
  g_assert_cmpuint (result.bytes, ==, 5);
  assert_text (&example, "other", "conte");
  assert_attribute (&example, "stub", "user.venvfs.digest", NULL);
  assert_attribute (&example, "stub", "user.venvfs.id", NULL);
  struct stat st;
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_assert_cmpint (st.st_mtime, ==, 20);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0400);
  /* And nothing the second time. */
  g_assert_cmpuint (flatten (fixture, &example).files, ==, 0);
}

static void
test_renamed_directories (Fixture *fixture, gconstpointer data)
{
  g_auto (Case) example = {0};
  make_case (fixture, &example);
  make_renamed (&example, "away", "lib");
  VF_AUTOFD sub = make (&example, "away/sub", S_IFDIR);
  make (&example, "away/sub/gone", S_IFCHR);
  VF_AUTOFD inner = make (&example, "away/inline", S_IFREG);
  make_renamed (&example, "away/sub/nested", "lib/sub");
  make (&example, "whiteout", S_IFCHR);
  VfFlattened result = flatten (fixture, &example);
  g_assert_cmpuint (result.directories, ==, 2);
  assert_text (&example, "away/file", "content\n");
  assert_text (&example, "away/link", "content\n");
  assert_text (&example, "away/view", "at /here\n");
  assert_text (&example, "away/inline", "");
  assert_text (&example, "away/sub/deep", "content\n");
  assert_text (&example, "away/sub/nested/gone", "content\n");
  assert_attribute (&example, "away", "user.overlay.opaque", "y");
  assert_attribute (&example, "away", "user.venvfs.lower", NULL);
  assert_attribute (&example, "away/sub/nested", "user.overlay.opaque", "y");
  struct stat st;
  g_autofree char *gone = g_build_filename (example.upper, "away/sub/gone", NULL);
  g_autofree char *whiteout = g_build_filename (example.upper, "whiteout", NULL);
  g_autofree char *file = g_build_filename (example.upper, "away/file", NULL);
  g_assert_cmpint (lstat (gone, &st), ==, -1);
  g_assert_cmpint (lstat (whiteout, &st), ==, 0);
  g_assert_cmpint (lstat (file, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0640);
}

static void
test_what_is_missing (Fixture *fixture, gconstpointer data)
{
  g_auto (Case) example = {0};
  g_autoptr (GError) error = NULL;
  VfFlattened result;
  VfDigest absent = {{1}};
  make_case (fixture, &example);
  VF_AUTOFD fd = make (&example, "stub", S_IFREG);
  g_assert_cmpint (vf_mark_set_digest (fd, &absent), ==, 0);
  VF_AUTOFD upper = open (example.upper, O_RDONLY | O_DIRECTORY);
  g_assert_false (vf_flatten (fixture->store, upper, example.upper, NULL, NULL, &result, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, EIO);
  assert_attribute (&example, "stub", "user.venvfs.digest",
                    "0100000000000000000000000000000000000000000000000000000000000000");
}

/* What was made before that shows what the image shows, and goes on to when it is done again. */
static void
test_ended_in_a_directory (Fixture *fixture, gconstpointer data)
{
  g_auto (Case) example = {0};
  make_case (fixture, &example);
  make_renamed (&example, "away", "lib");
  VF_AUTOFD file = make (&example, "away/file", S_IFREG);
  g_autofree char *object = object_path ("content\n");
  int store_fd = vf_store_fd (fixture->store);
  g_assert_cmpint (renameat (store_fd, object, store_fd, "hidden"), ==, 0);
  for (guint attempt = 0; attempt < 2; attempt++) {
    g_autoptr (GError) error = NULL;
    VfFlattened result;
    VfViewContext view = {.mount_point = "/here", .prompt = "p"};
    VF_AUTOFD upper = open (example.upper, O_RDONLY | O_DIRECTORY);
    struct stat sub;
    g_assert_true (vf_flatten (fixture->store, upper, example.upper, &view, NULL, &result,
                               &error) == (attempt == 1));
    g_assert_cmpint (fstatat (upper, "away/sub", &sub, 0), ==, 0);
    g_assert_cmpuint (sub.st_mode, ==, S_IFDIR | 0755);
    /* The image's, which is long ago. */
    g_assert_cmpint (sub.st_mtime, <, time (NULL) - 24 * 3600);
    if (attempt == 0)
      g_assert_cmpint (renameat (store_fd, "hidden", store_fd, object), ==, 0);
  }
  assert_text (&example, "away/sub/deep", "content\n");
}

static guint n_asked, stop_at;

static gboolean
is_to_stop (void)
{
  return ++n_asked == stop_at;
}

static void
assert_mtime (const Case *example, const char *path, time_t expected)
{
  struct stat st;
  g_autofree char *full = g_build_filename (example->upper, path, NULL);
  g_assert_cmpint (lstat (full, &st), ==, 0);
  g_assert_cmpint (st.st_mtime, ==, expected);
}

/* Wherever it ends, what is seen stays, times included, and the next one goes on. */
static void
test_interrupted (Fixture *fixture, gconstpointer data)
{
  g_auto (Case) example = {0};
  struct timespec times[2] = {{.tv_sec = 10}, {.tv_sec = 20}};
  make_case (fixture, &example);
  make_renamed (&example, "away", "lib");
  VF_AUTOFD stub = make (&example, "away/stub", S_IFREG);
  g_assert_cmpint (ftruncate (stub, 5), ==, 0);
  g_assert_cmpint (vf_mark_set_digest (stub, &example.object), ==, 0);
  g_assert_cmpint (futimens (stub, times), ==, 0);
  VF_AUTOFD upper = open (example.upper, O_RDONLY | O_DIRECTORY);
  g_assert_cmpint (utimensat (upper, "away", times, 0), ==, 0);
  VfViewContext view = {.mount_point = "/here", .prompt = "p"};
  gboolean done = FALSE;
  for (stop_at = 1; !done; stop_at++) {
    g_autoptr (GError) error = NULL;
    VfFlattened result;
    n_asked = 0;
    done = vf_flatten (fixture->store, upper, example.upper, &view, is_to_stop, &result, &error);
    g_assert_true (done == (n_asked < stop_at));
    if (!done)
      g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
    assert_mtime (&example, "away", 20);
    assert_mtime (&example, "away/stub", 20);
  }
  g_assert_cmpuint (stop_at, >, 5);
  assert_text (&example, "away/file", "content\n");
  assert_text (&example, "away/sub/gone", "content\n");
  assert_text (&example, "away/stub", "conte");
  assert_attribute (&example, "away", "user.venvfs.lower", NULL);
  assert_attribute (&example, "away/stub", "user.venvfs.digest", NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/flatten/stubs", test_stubs);
  FIXTURE_TEST ("/flatten/renamed", test_renamed_directories);
  FIXTURE_TEST ("/flatten/missing", test_what_is_missing);
  FIXTURE_TEST ("/flatten/ended", test_ended_in_a_directory);
  FIXTURE_TEST ("/flatten/interrupted", test_interrupted);
  return g_test_run ();
}

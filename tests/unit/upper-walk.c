/* layers/upper-walk.c */
#include "layers/upper-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

typedef struct {
  char *root;
  int root_fd;
  GString *seen;    /* "path: what\n" */
  guint n_found;    /* calls of found() */
  gboolean quiet;   /* found() notes only what has a mark */
  const char *gone; /* is removed when it is found */
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  fixture->root = g_dir_make_tmp ("vf-upper-walk-XXXXXX", NULL);
  fixture->root_fd = open (fixture->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  fixture->seen = g_string_new (NULL);
  g_assert_cmpint (mkdirat (fixture->root_fd, "upper", 0755), ==, 0);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_assert_true (vf_remove_tree (AT_FDCWD, fixture->root, fixture->root, NULL));
  vf_fd_clear (&fixture->root_fd);
  g_string_free (fixture->seen, TRUE);
  g_free (fixture->root);
}

static gboolean
found (const char *path, const VfMarks *marks, gpointer user_data, GError **error)
{
  Fixture *fixture = user_data;
  fixture->n_found++;
  if (marks->has_digest || marks->opaque || !fixture->quiet)
    g_string_append_printf (fixture->seen, "%s:%s%s\n", path, marks->opaque ? " opaque" : "",
                            marks->has_digest ? " stub" : "");
  if (g_strcmp0 (path, fixture->gone) == 0)
    g_assert_cmpint (unlinkat (fixture->root_fd, path, AT_REMOVEDIR), ==, 0);
  return g_str_has_suffix (path, "/end") ? vf_error_set (error, VF_ERROR_FAILED, "the end") : TRUE;
}

static gboolean
failed (const char *path, int errnum, const char *what, gpointer user_data, GError **error)
{
  Fixture *fixture = user_data;
  g_string_append_printf (fixture->seen, "%s: %s: %s\n", path, what, g_strerror (errnum));
  return TRUE;
}

static gboolean
walk (Fixture *fixture, GError **error)
{
  VfUpperVisitor visitor = {.found = found, .failed = failed, .user_data = fixture};
  return vf_upper_walk (fixture->root_fd, "upper", "upper", &visitor, error);
}

static void
make_stub (int dir_fd, const char *name)
{
  VfDigest digest;
  vf_digest_of ("x", 1, &digest);
  VF_AUTOFD fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  g_assert_cmpint (vf_mark_set_digest (fd, &digest), ==, 0);
}

static void
test_what_is_found (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (mkdirat (fixture->root_fd, "upper/dir", 0755), ==, 0);
  VF_AUTOFD fd = openat (fixture->root_fd, "upper/dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (vf_mark_set_opaque (fd), ==, 0);
  make_stub (fd, "file");
  g_assert_cmpint (symlinkat ("file", fd, "link"), ==, 0);
  g_assert_cmpint (mkfifoat (fd, "fifo", 0644), ==, 0);
  g_assert_true (walk (fixture, NULL));
  g_assert_cmpstr (fixture->seen->str, ==, "upper:\nupper/dir: opaque\nupper/dir/file: stub\n");
}

static void
test_what_is_not_there (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (mkdirat (fixture->root_fd, "upper/gone", 0755), ==, 0);
  fixture->gone = "upper/gone";
  g_assert_true (walk (fixture, NULL));
  g_assert_cmpstr (fixture->seen->str, ==, "upper:\nupper/gone:\n");
  g_string_truncate (fixture->seen, 0);
  g_assert_cmpint (unlinkat (fixture->root_fd, "upper", AT_REMOVEDIR), ==, 0);
  g_assert_true (walk (fixture, NULL));
  g_assert_cmpstr (fixture->seen->str, ==, "");
}

static void
test_an_error_ends_it (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (mkdirat (fixture->root_fd, "upper/end", 0755), ==, 0);
  g_assert_cmpint (mkdirat (fixture->root_fd, "upper/end/below", 0755), ==, 0);
  g_assert_false (walk (fixture, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  g_assert_cmpstr (fixture->seen->str, ==, "upper:\nupper/end:\n");
}

/* Two names of each level go on, and the path is longer than a system call takes. */
static void
test_deep (Fixture *fixture, gconstpointer data)
{
  const guint depth = 3 * VF_DEPTH_MAX;
  g_autoptr (GString) expected = g_string_new ("upper");
  VF_AUTOFD fd = openat (fixture->root_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (guint i = 0; i < depth; i++) {
    g_assert_cmpint (mkdirat (fd, "deep", 0755), ==, 0);
    g_assert_cmpint (mkdirat (fd, "other", 0755), ==, 0);
    int inner = openat (fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    vf_fd_clear (&fd);
    fd = inner;
    g_string_append (expected, "/deep");
  }
  make_stub (fd, "file");
  g_string_append (expected, "/file: stub\n");
  g_assert_cmpuint (expected->len, >, PATH_MAX);
  fixture->quiet = TRUE;
  g_assert_true (walk (fixture, NULL));
  g_assert_cmpstr (fixture->seen->str, ==, expected->str);
  g_assert_cmpuint (fixture->n_found, ==, 2 * depth + 2);
}

#define FIXTURE_TEST(path, func)                                                                   \
  g_test_add (path, Fixture, NULL, fixture_set_up, func, fixture_tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/upper-walk/found", test_what_is_found);
  FIXTURE_TEST ("/upper-walk/not-there", test_what_is_not_there);
  FIXTURE_TEST ("/upper-walk/error", test_an_error_ends_it);
  FIXTURE_TEST ("/upper-walk/deep", test_deep);
  return g_test_run ();
}

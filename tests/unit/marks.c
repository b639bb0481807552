#include "layers/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/io.h"

typedef struct {
  char *root;
  int root_fd, fd;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer user_data)
{
  fixture->root = g_dir_make_tmp ("venvfs-test-XXXXXX", NULL);
  fixture->root_fd = open (fixture->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  fixture->fd = openat (fixture->root_fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  g_assert_cmpint (fixture->fd, >=, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer user_data)
{
  close (fixture->fd);
  close (fixture->root_fd);
  vf_remove_tree (AT_FDCWD, fixture->root, fixture->root, NULL);
  g_free (fixture->root);
}

static void
test_there_and_back (Fixture *fixture, gconstpointer user_data)
{
  VfDigest digest, image;
  vf_digest_of ("a", 1, &digest);
  vf_digest_of ("b", 1, &image);
  g_assert_cmpint (vf_mark_set_opaque (fixture->fd), ==, 0);
  g_assert_cmpint (vf_mark_set_id (fixture->fd, 0xabc), ==, 0);
  g_assert_cmpint (vf_mark_set_digest (fixture->fd, &digest), ==, 0);
  g_assert_cmpint (vf_mark_set_lower (fixture->fd, &image, "a/b:c"), ==, 0);
  g_auto (VfMarks) marks = {0};
  g_assert_cmpint (vf_marks_read (fixture->root_fd, "f", S_IFREG, &marks), ==, 0);
  g_assert_true (marks.opaque && marks.has_digest && marks.has_lower);
  g_assert_cmpuint (marks.id, ==, 0xabc);
  g_assert_true (vf_digest_equal (&marks.digest, &digest));
  g_assert_true (vf_digest_equal (&marks.lower_image, &image));
  g_assert_cmpstr (marks.lower_path, ==, "a/b:c");
  g_assert_cmpint (vf_mark_remove_digest (fixture->fd), ==, 0);
  g_assert_cmpint (vf_mark_remove_digest (fixture->fd), ==, 0);
  vf_marks_clear (&marks);
  g_assert_cmpint (vf_marks_read (fixture->root_fd, "f", S_IFREG, &marks), ==, 0);
  g_assert_false (marks.has_digest);
}

static void
test_taken_off (Fixture *fixture, gconstpointer user_data)
{
  VfDigest image;
  vf_digest_of ("b", 1, &image);
  g_assert_cmpint (vf_mark_set_opaque (fixture->fd), ==, 0);
  g_assert_cmpint (vf_mark_set_id (fixture->fd, 0xabc), ==, 0);
  g_assert_cmpint (vf_mark_set_lower (fixture->fd, &image, "a"), ==, 0);
  for (int i = 0; i < 2; i++) {
    g_auto (VfMarks) some = {0};
    g_assert_cmpint (vf_mark_remove_lower (fixture->fd), ==, 0);
    g_assert_cmpint (vf_marks_read (fixture->root_fd, "f", S_IFREG, &some), ==, 0);
    g_assert_true (some.opaque && !some.has_lower && some.id == 0xabc);
  }
  g_auto (VfMarks) none = {0};
  g_assert_cmpint (vf_mark_remove_id (fixture->fd), ==, 0);
  g_assert_cmpint (vf_marks_remove_hiding (fixture->fd), ==, 0);
  g_assert_cmpint (vf_marks_read (fixture->root_fd, "f", S_IFREG, &none), ==, 0);
  g_assert_false (none.opaque || none.id != 0);
}

static void
test_nonsense_is_absent (Fixture *fixture, gconstpointer user_data)
{
  static const struct {
    const char *name, *value;
  } wrong[] = {
      {"user.overlay.opaque", "yes"},
      {"user.venvfs.id", ""},
      {"user.venvfs.id", "abc"},
      {"user.venvfs.id", "0000000000000000"},
      {"user.venvfs.id", "0000000000000001"},
      {"user.venvfs.id", "4000000000000000"},
      {"user.venvfs.id", "000000000000abcg"},
      {"user.venvfs.digest", "00"},
      {"user.venvfs.lower", "00:a"},
      {"user.venvfs.lower", "no colon"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_auto (VfMarks) marks = {0};
    g_assert_cmpint (
        fsetxattr (fixture->fd, wrong[i].name, wrong[i].value, strlen (wrong[i].value), 0), ==, 0);
    g_assert_cmpint (vf_marks_read (fixture->root_fd, "f", S_IFREG, &marks), ==, 0);
    g_assert_false (marks.opaque || marks.id || marks.has_digest || marks.has_lower);
  }
}

static void
test_many_others (Fixture *fixture, gconstpointer user_data)
{
  for (int i = 0; i < 40; i++) {
    g_autofree char *name = g_strdup_printf ("user.some-long-name-of-somebody-else-%d", i);
    g_assert_cmpint (fsetxattr (fixture->fd, name, "", 0, 0), ==, 0);
  }
  g_assert_cmpint (vf_mark_set_id (fixture->fd, 5), ==, 0);
  g_auto (VfMarks) marks = {0};
  g_assert_cmpint (vf_marks_read (fixture->root_fd, "f", S_IFREG, &marks), ==, 0);
  g_assert_cmpuint (marks.id, ==, 5);
}

static void
test_who_has_none (Fixture *fixture, gconstpointer user_data)
{
  g_auto (VfMarks) marks = {0};
  g_assert_cmpint (vf_marks_read (fixture->root_fd, "none", S_IFREG, &marks), ==, -ENOENT);
  g_assert_cmpint (vf_marks_read (fixture->root_fd, "none", S_IFLNK, &marks), ==, 0);
  g_assert_true (vf_mark_is_own ("user.venvfs.anything"));
  g_assert_true (vf_mark_is_own ("trusted.overlay.redirect"));
  g_assert_false (vf_mark_is_own ("user.venvfsx"));
  g_assert_false (vf_mark_is_own ("security.capability"));
}

#define MARKS_TEST(path, function) g_test_add (path, Fixture, NULL, set_up, function, tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  MARKS_TEST ("/marks/there-and-back", test_there_and_back);
  MARKS_TEST ("/marks/taken-off", test_taken_off);
  MARKS_TEST ("/marks/nonsense", test_nonsense_is_absent);
  MARKS_TEST ("/marks/many", test_many_others);
  MARKS_TEST ("/marks/none", test_who_has_none);
  return g_test_run ();
}

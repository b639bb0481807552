/* tools/sentinel.c */
#include "tools/sentinel.h"

#include <fcntl.h>
#include <string.h>

#include "layers/io.h"

typedef struct {
  char *path;
  int fd;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  fixture->path = g_dir_make_tmp ("venvfs-sentinel-XXXXXX", NULL);
  fixture->fd = open (fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (fixture->fd, >=, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  vf_fd_clear (&fixture->fd);
  g_assert_true (vf_remove_tree (AT_FDCWD, fixture->path, fixture->path, NULL));
  g_free (fixture->path);
}

static const VfSentinel written = {.name = "proj", .n_made = 2, .mode = 0750};

static void
write_text (Fixture *fixture, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_sentinel_write (fixture->fd, text, fixture->path, &error));
  g_assert_no_error (error);
}

static void
assert_read (Fixture *fixture)
{
  VfSentinel read;
  g_assert_true (vf_sentinel_read (fixture->fd, &read));
  g_assert_cmpstr (read.name, ==, "proj");
  g_assert_cmpuint (read.n_made, ==, 2);
  g_assert_cmpuint (read.mode, ==, 0750);
}

static void
test_written (Fixture *fixture, gconstpointer unused)
{
  VfSentinel read;
  g_assert_false (vf_sentinel_read (fixture->fd, &read));
  g_autofree char *text = vf_sentinel_text (&written, "/a place", "/my/store");
  g_assert_nonnull (strstr (text, "\n    venvfs mount --store /my/store proj '/a place'\n"));
  g_assert_nonnull (strstr (text, "\n    venvfs umount --remove '/a place'\n"));
  g_assert_false (vf_sentinel_is (fixture->fd, text));
  write_text (fixture, "torn");
  g_assert_false (vf_sentinel_read (fixture->fd, &read));
  write_text (fixture, text);
  g_assert_true (vf_sentinel_is (fixture->fd, text));
  assert_read (fixture);
}

static void
test_moved (Fixture *fixture, gconstpointer unused)
{
  vf_sentinel_move (fixture->fd, "/a place", "/b");
  g_autofree char *before = vf_sentinel_text (&written, "/a place", NULL);
  g_autofree char *after = vf_sentinel_text (&written, "/b", NULL);
  g_assert_false (vf_sentinel_is (fixture->fd, before));
  write_text (fixture, before);
  vf_sentinel_move (fixture->fd, "/a place", "/b");
  g_assert_true (vf_sentinel_is (fixture->fd, after));
  assert_read (fixture);
}

#define FIXTURE_TEST(path, function) g_test_add (path, Fixture, NULL, set_up, function, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/sentinel/written", test_written);
  FIXTURE_TEST ("/sentinel/moved", test_moved);
  return g_test_run ();
}

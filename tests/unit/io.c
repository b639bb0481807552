#include "layers/io.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layers/error.h"

typedef struct {
  char *path;
  int fd;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->path = g_dir_make_tmp ("vf-io-XXXXXX", NULL);
  fixture->fd = open (fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (fixture->fd, >=, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_assert_true (vf_remove_tree (AT_FDCWD, fixture->path, fixture->path, NULL));
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
  vf_fd_clear (&fixture->fd);
  g_free (fixture->path);
}

static void
put (Fixture *fixture, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (fixture->path, name, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
test_descriptors (Fixture *fixture, gconstpointer data)
{
  int fd = open (fixture->path, O_RDONLY | O_CLOEXEC), copy = fd;
  errno = EXDEV;
  vf_fd_clear (&fd);
  g_assert_cmpint (errno, ==, EXDEV);
  g_assert_cmpint (fd, ==, -1);
  g_assert_cmpint (fcntl (copy, F_GETFD), ==, -1);
  vf_fd_clear (&fd);

  int other = 7;
  g_assert_cmpint (vf_fd_steal (&other), ==, 7);
  g_assert_cmpint (other, ==, -1);
}

static void
test_closed_twice (Fixture *fixture, gconstpointer data)
{
  int fd = open (fixture->path, O_RDONLY | O_CLOEXEC), copy = fd;
  vf_fd_clear (&fd);
  g_test_expect_message ("venvfs-layers", G_LOG_LEVEL_CRITICAL, "descriptor * was closed before*");
  vf_fd_clear (&copy);
  g_test_assert_expected_messages ();
  g_assert_cmpint (copy, ==, -1);
}

static void
test_short_counts (Fixture *fixture, gconstpointer data)
{
  /* A pipe takes 64 KiB at a time: the write must go on where it stopped. */
  gsize length = 1 << 20;
  g_autofree char *sent = g_malloc (length);
  for (gsize i = 0; i < length; i++)
    sent[i] = (char)(i * 7 + i / 251);
  int ends[2];
  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  pid_t child = fork ();
  if (child == 0)
    _exit (vf_write_all (ends[1], sent, length, "pipe", NULL) ? 0 : 1);
  close (ends[1]);
  g_autofree char *got = g_malloc (length);
  gsize have = 0;
  for (ssize_t n; (n = read (ends[0], got + have, length - have)) > 0;)
    have += (gsize)n;
  close (ends[0]);
  int status;
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpmem (got, have, sent, length);
}

static void
test_write_error (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VF_AUTOFD fd = open ("/dev/full", O_WRONLY | O_CLOEXEC);
  g_assert_false (vf_write_all (fd, "x", 1, "objects/x", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOSPC);
  g_assert_true (g_str_has_prefix (error->message, "objects/x: "));
}

static void
test_read (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  put (fixture, "file", "0123456789");
  VF_AUTOFD fd = openat (fixture->fd, "file", O_RDONLY | O_CLOEXEC);
  char some[4];
  g_assert_true (vf_read_all (fd, some, 4, 6, "file", &error));
  g_assert_no_error (error);
  g_assert_cmpmem (some, 4, "6789", 4);
  g_assert_false (vf_read_all (fd, some, 4, 7, "file", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
}

static void
test_read_file (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  put (fixture, "file", "hello");
  g_autoptr (GBytes) bytes = vf_read_file (fixture->fd, "file", 5, "file", &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "hello", 5);

  g_assert_null (vf_read_file (fixture->fd, "file", 4, "file", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_null (vf_read_file (fixture->fd, "none", 4, "none", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  g_clear_error (&error);
  g_assert_cmpint (symlinkat ("file", fixture->fd, "link"), ==, 0);
  g_assert_null (vf_read_file (fixture->fd, "link", 5, "link", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ELOOP);
  g_clear_error (&error);
  /* A fifo without a writer must not make anybody wait. */
  g_assert_cmpint (mkfifoat (fixture->fd, "fifo", 0600), ==, 0);
  g_assert_null (vf_read_file (fixture->fd, "fifo", 5, "fifo", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
}

static guint
count_entries (Fixture *fixture)
{
  g_autoptr (GDir) dir = g_dir_open (fixture->path, 0, NULL);
  guint n = 0;
  while (g_dir_read_name (dir))
    n++;
  return n;
}

static void
test_replace_file (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  put (fixture, "file", "old");
  g_assert_true (vf_replace_file (fixture->fd, "file", 0640, "new!", 4, "file", &error));
  g_assert_no_error (error);
  struct stat st;
  g_assert_cmpint (fstatat (fixture->fd, "file", &st, 0), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0640);
  g_assert_cmpint (st.st_size, ==, 4);
  g_assert_cmpuint (count_entries (fixture), ==, 1);

  g_assert_cmpint (mkdirat (fixture->fd, "sub", 0700), ==, 0);
  g_assert_true (vf_replace_file (fixture->fd, "sub/file", 0600, "", 0, "sub/file", &error));
  g_assert_no_error (error);

  /* It cannot be put over a directory: nothing is left lying about. */
  g_assert_false (vf_replace_file (fixture->fd, "sub", 0600, "x", 1, "sub", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, EISDIR);
  g_assert_cmpuint (count_entries (fixture), ==, 2);
  g_clear_error (&error);
  g_assert_false (vf_replace_file (fixture->fd, "none/file", 0600, "x", 1, "none/file", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  g_clear_error (&error);
  g_assert_true (vf_replace_file_soon (fixture->fd, "file", 0600, "soon", 4, "file", &error));
  g_assert_no_error (error);
  g_autoptr (GBytes) bytes = vf_read_file (fixture->fd, "file", 4, "file", &error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "soon", 4);
  g_assert_cmpuint (count_entries (fixture), ==, 2);
}

static void
test_make_path (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_make_path (fixture->fd, "a/b/c", "a/b/c", &error));
  g_assert_true (vf_make_path (fixture->fd, "a/b/c", "a/b/c", &error));
  g_assert_no_error (error);
  struct stat st;
  g_assert_cmpint (fstatat (fixture->fd, "a/b/c", &st, 0), ==, 0);
  g_assert_true (S_ISDIR (st.st_mode));
  put (fixture, "a/file", "");
  g_assert_false (vf_make_path (fixture->fd, "a/file/d", "a/file/d", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOTDIR);
}

static void
test_list (Fixture *fixture, gconstpointer data)
{
  put (fixture, "one", "");
  put (fixture, ".two", "");
  g_assert_cmpint (symlinkat (".", fixture->fd, "link"), ==, 0);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (DIR) dir = vf_dir_open (fixture->fd, ".");
  const char *name;
  g_assert_nonnull (dir);
  while ((name = vf_dir_next (dir)))
    g_assert_true (g_hash_table_add (seen, g_strdup (name)));
  g_assert_cmpint (errno, ==, 0);
  g_assert_cmpuint (g_hash_table_size (seen), ==, 3);
  g_assert_true (g_hash_table_contains (seen, ".two"));

  g_assert_null (vf_dir_open (fixture->fd, "none"));
  g_assert_cmpint (errno, ==, ENOENT);
  g_assert_null (vf_dir_open (fixture->fd, "link"));
  g_assert_cmpint (errno, ==, ENOTDIR);
  errno = EXDEV;
  g_assert_null (vf_dir_of_fd (-1));
  g_assert_cmpint (errno, ==, EXDEV);
  int file = openat (fixture->fd, "one", O_RDONLY | O_CLOEXEC);
  g_assert_null (vf_dir_of_fd (file));
  g_assert_cmpint (errno, ==, ENOTDIR);
  g_assert_cmpint (fcntl (file, F_GETFD), ==, -1);
}

static void
test_remove_tree (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_remove_tree (fixture->fd, "none", "none", &error));

  put (fixture, "kept", "");
  g_assert_true (vf_make_path (fixture->fd, "tree/closed/deep", "tree", &error));
  put (fixture, "tree/closed/file", "");
  g_assert_cmpint (symlinkat ("../kept", fixture->fd, "tree/link"), ==, 0);
  g_assert_cmpint (symlinkat ("..", fixture->fd, "tree/up"), ==, 0);
  g_assert_cmpint (fchmodat (fixture->fd, "tree/closed", 0, 0), ==, 0);
  g_assert_true (vf_remove_tree (fixture->fd, "tree", "tree", &error));
  g_assert_no_error (error);
  g_assert_cmpuint (count_entries (fixture), ==, 1);

  /* A link to a directory goes, the directory stays. */
  g_assert_true (vf_make_path (fixture->fd, "real", "real", &error));
  g_assert_cmpint (symlinkat ("real", fixture->fd, "link"), ==, 0);
  g_assert_true (vf_remove_tree (fixture->fd, "link", "link", &error));
  g_assert_cmpint (faccessat (fixture->fd, "real", F_OK, 0), ==, 0);
}

/* More directories, one in the other, than a process has descriptors; and names in the way of those
 * that are moved up. */
static void
test_remove_deep_tree (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_make_path (fixture->fd, "tree/deep-2", "tree", &error));
  VF_AUTOFD fd = openat (fixture->fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (guint i = 0; i < 3 * VF_DEPTH_MAX; i++) {
    g_assert_cmpint (mkdirat (fd, "d", i % 7 == 0 ? 0300 : 0700), ==, 0);
    g_assert_cmpint (symlinkat ("..", fd, "up"), ==, 0);
    VF_AUTOFD inner = openat (fd, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
    vf_fd_clear (&fd);
    fd = vf_fd_steal (&inner);
  }
  g_assert_true (vf_remove_tree (fixture->fd, "tree", "tree", &error));
  g_assert_no_error (error);
  g_assert_cmpuint (count_entries (fixture), ==, 0);
}

static void
test_remove_until (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_make_path (fixture->fd, "tree/inner", "tree", &error));
  g_assert_false (vf_remove_tree_until (fixture->fd, "tree", 1, "tree", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
  g_clear_error (&error);
  gint64 later = g_get_monotonic_time () + 60 * G_TIME_SPAN_SECOND;
  g_assert_true (vf_remove_tree_until (fixture->fd, "tree", later, "tree", &error));
  g_assert_cmpuint (count_entries (fixture), ==, 0);
}

/* In a mount namespace of its own: returns what the child should exit with. */
static int
remove_around_a_mount (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *inside = g_build_filename (fixture->path, "tree", "inside", NULL);
  g_autofree char *outside = g_build_filename (fixture->path, "outside", NULL);
  if (mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount (outside, inside, NULL, MS_BIND, NULL) < 0)
    return 2;
  /* The fixture's descriptor leads into the former namespace. */
  VF_AUTOFD fd = open (fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (vf_remove_tree (fd, "tree", "tree", &error))
    return 3;
  return g_error_matches (error, VF_SYSTEM_ERROR, EXDEV) ? 0 : 4;
}

static void
test_remove_stops_at_mounts (Fixture *fixture, gconstpointer data)
{
  if (geteuid () != 0) {
    g_test_skip ("mounting needs root");
    return;
  }
  g_assert_true (vf_make_path (fixture->fd, "tree/inside", "tree", NULL));
  g_assert_true (vf_make_path (fixture->fd, "outside", "outside", NULL));
  put (fixture, "outside/precious", "x");
  pid_t child = fork ();
  if (child == 0)
    _exit (unshare (CLONE_NEWNS) < 0 ? 1 : remove_around_a_mount (fixture));
  int status;
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpint (faccessat (fixture->fd, "outside/precious", F_OK, 0), ==, 0);
}

static void
test_proc_path (Fixture *fixture, gconstpointer data)
{
  VfProcPath path;
  struct stat st, directory;
  g_assert_true (vf_proc_path (&path, 7, NULL) == path.text);
  g_assert_cmpstr (path.text, ==, "/proc/self/fd/7");
  g_assert_cmpstr (vf_proc_path (&path, 7, "name"), ==, "/proc/self/fd/7/name");
  g_assert_cmpint (stat (vf_proc_path (&path, fixture->fd, "."), &st), ==, 0);
  g_assert_cmpint (fstat (fixture->fd, &directory), ==, 0);
  g_assert_cmpuint (st.st_ino, ==, directory.st_ino);
  /* The longest there can be. */
  g_autofree char *longest = g_strnfill (255, 'n');
  vf_proc_path (&path, G_MAXINT, longest);
  g_assert_true (g_str_has_suffix (path.text, longest));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add (name, Fixture, NULL, set_up, func, tear_down)
  ADD ("/io/descriptors", test_descriptors);
  ADD ("/io/closed-twice", test_closed_twice);
  ADD ("/io/short-counts", test_short_counts);
  ADD ("/io/write-error", test_write_error);
  ADD ("/io/read", test_read);
  ADD ("/io/read-file", test_read_file);
  ADD ("/io/replace-file", test_replace_file);
  ADD ("/io/make-path", test_make_path);
  ADD ("/io/list", test_list);
  ADD ("/io/remove-tree", test_remove_tree);
  ADD ("/io/remove-tree/deep", test_remove_deep_tree);
  ADD ("/io/remove-tree/until", test_remove_until);
  ADD ("/io/remove-stops-at-mounts", test_remove_stops_at_mounts);
  g_test_add ("/io/proc-path", Fixture, NULL, set_up, test_proc_path, tear_down);
  return g_test_run ();
}

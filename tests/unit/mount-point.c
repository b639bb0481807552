#include "tools/mount-point.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "permissions.h"
#include "tools/sentinel.h"

typedef struct {
  char *directory; /* resolved */
  char *store;
  VfMountPointRules rules;
} Fixture;

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  g_autofree char *made = g_dir_make_tmp ("vf-point-XXXXXX", NULL);
  fixture->directory = realpath (made, NULL);
  fixture->store = g_build_filename (fixture->directory, "data", "store", NULL);
  g_assert_cmpint (g_mkdir_with_parents (fixture->store, 0755), ==, 0);
  fixture->rules = (VfMountPointRules){
      .name = "proj", .store = fixture->store, .interpreter = "/usr/bin/python3"};
  umask (022);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  g_assert_true (vf_remove_tree (AT_FDCWD, fixture->directory, "directory", NULL));
  free (fixture->directory);
  g_free (fixture->store);
}

static char *
below (Fixture *fixture, const char *name)
{
  return g_build_filename (fixture->directory, name, NULL);
}

static void
make_directory (const char *path)
{
  g_assert_cmpint (g_mkdir (path, 0755), ==, 0);
}

static void
write_file (const char *directory, const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_assert_true (g_file_set_contents (path, "x", 1, NULL));
}

static void
assert_refused (Fixture *fixture, const char *path, VfErrorCode code, const char *end_of_message)
{
  g_autoptr (GError) error = NULL;
  VfMountPoint *point = vf_mount_point_check (path, &fixture->rules, &error);
  g_assert_null (point);
  g_assert_error (error, VF_ERROR, (int)code);
  if (!g_str_has_suffix (error->message, end_of_message))
    g_assert_cmpstr (error->message, ==, end_of_message);
  g_assert_true (g_str_has_prefix (error->message, fixture->directory));
}

static void
test_refusals (Fixture *fixture, gconstpointer data)
{
  g_autofree char *full = below (fixture, "full");
  g_autofree char *ordinary = below (fixture, "ordinary");
  g_autofree char *file = below (fixture, "file");
  g_autofree char *link = below (fixture, "link");
  g_autofree char *dangling = below (fixture, "dangling");
  g_autofree char *colon = below (fixture, "a:b");
  g_autofree char *line_break = below (fixture, "a\nb");
  g_autofree char *above = below (fixture, "data");
  g_autofree char *inside = g_build_filename (fixture->store, "envs", NULL);
  make_directory (full);
  write_file (full, "x");
  make_directory (ordinary);
  write_file (ordinary, "pyvenv.cfg");
  write_file (fixture->directory, "file");
  g_assert_cmpint (symlink (full, link), ==, 0);
  g_assert_cmpint (symlink ("nowhere", dangling), ==, 0);

  assert_refused (fixture, full, VF_ERROR_INVALID,
                  ": is not empty; move it away, or mount somewhere else");
  assert_refused (fixture, ordinary, VF_ERROR_INVALID,
                  ": holds an ordinary virtual environment; move it away, or mount somewhere else");
  assert_refused (fixture, file, VF_ERROR_INVALID,
                  ": is not a directory; remove it, or mount somewhere else");
  const char *is_link = ": is a symbolic link, and a mount point is a directory; remove it, or "
                        "mount where it points to";
  assert_refused (fixture, link, VF_ERROR_INVALID, is_link);
  assert_refused (fixture, dangling, VF_ERROR_INVALID, is_link);
  assert_refused (fixture, colon, VF_ERROR_INVALID,
                  ": has a ':' in it, which PATH cannot hold; mount somewhere else");
  assert_refused (fixture, line_break, VF_ERROR_INVALID,
                  ": has a line break in it, which pyvenv.cfg cannot hold; mount somewhere else");
  g_autofree char *hides = g_strdup_printf (
      ": a mount here would hide the store %s; mount somewhere else", fixture->store);
  assert_refused (fixture, above, VF_ERROR_INVALID, hides);
  assert_refused (fixture, fixture->store, VF_ERROR_INVALID, hides);
  g_autofree char *lies_in =
      g_strdup_printf (": lies in the store %s; mount outside of it", fixture->store);
  assert_refused (fixture, inside, VF_ERROR_INVALID, lies_in);
}

static void
test_interpreter (Fixture *fixture, gconstpointer data)
{
  g_autofree char *versions = below (fixture, "versions");
  g_autofree char *python = g_build_filename (versions, "python", NULL);
  g_autofree char *link = below (fixture, "python-link");
  make_directory (versions);
  write_file (versions, "python");
  g_assert_cmpint (symlink (python, link), ==, 0);
  const char *interpreters[] = {python, link};
  for (gsize i = 0; i < G_N_ELEMENTS (interpreters); i++) {
    fixture->rules.interpreter = interpreters[i];
    g_autofree char *expected = g_strdup_printf (
        ": a mount here would hide the interpreter %s; mount somewhere else", interpreters[i]);
    assert_refused (fixture, versions, VF_ERROR_INVALID, expected);
  }
}

static void
test_not_readable (Fixture *fixture, gconstpointer data)
{
  g_autofree char *closed = below (fixture, "closed");
  make_directory (closed);
  g_assert_cmpint (chmod (closed, 0), ==, 0);
  g_autoptr (GError) error = NULL;
  permissions_override (FALSE);
  g_assert_null (vf_mount_point_check (closed, &fixture->rules, &error));
  permissions_override (TRUE);
  g_assert_error (error, VF_SYSTEM_ERROR, EACCES);
  g_assert_cmpint (chmod (closed, 0755), ==, 0);
}

static guint
mode_of (const char *path)
{
  struct stat st;
  g_assert_cmpint (stat (path, &st), ==, 0);
  return st.st_mode & 07777;
}

/* Made, sealed, taken away: nothing is left, nor of the directories above. */
static void
test_made (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = below (fixture, "a/b/.venv");
  g_autofree char *top = below (fixture, "a");
  g_autofree char *sentinel = g_build_filename (path, VF_SENTINEL_NAME, NULL);
  g_autoptr (VfMountPoint) point = vf_mount_point_check (path, &fixture->rules, NULL);
  g_assert_nonnull (point);
  g_assert_false (g_file_test (top, G_FILE_TEST_EXISTS));
  g_assert_true (vf_mount_point_claim (point, NULL));
  g_assert_true (vf_mount_point_prepare (point, &fixture->rules, NULL));
  vf_mount_point_seal (point);
  g_assert_cmpuint (mode_of (path), ==, 0555);
  g_assert_cmpuint (mode_of (sentinel), ==, 0444);
  g_assert_cmpuint (mode_of (top), ==, 0755);

  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (sentinel, &text, NULL, NULL));
  g_autofree char *command = g_strdup_printf ("\n    venvfs mount proj %s\n", path);
  g_assert_nonnull (strstr (text, command));
  g_autofree char *name = vf_mount_point_read_name (path);
  g_assert_cmpstr (name, ==, "proj");

  g_assert_true (vf_mount_point_remove (path, NULL));
  g_assert_false (g_file_test (top, G_FILE_TEST_EXISTS));
  g_assert_true (vf_mount_point_remove (path, NULL));
}

/* One that was there before stays, with its mode. */
static void
test_given (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = below (fixture, ".venv");
  make_directory (path);
  g_assert_cmpint (chmod (path, 0700), ==, 0);
  g_autoptr (VfMountPoint) point = vf_mount_point_check (path, &fixture->rules, NULL);
  g_assert_true (vf_mount_point_claim (point, NULL));
  g_assert_true (vf_mount_point_prepare (point, &fixture->rules, NULL));
  vf_mount_point_seal (point);
  g_assert_cmpuint (mode_of (path), ==, 0555);

  g_clear_pointer (&point, vf_mount_point_free);

  /* The next one finds the sentinel and keeps what it remembers. */
  fixture->rules.name = "other";
  fixture->rules.store_given = "/my store";
  g_autoptr (VfMountPoint) again = vf_mount_point_check (path, &fixture->rules, NULL);
  g_assert_nonnull (again);
  g_assert_true (vf_mount_point_claim (again, NULL));
  g_assert_true (vf_mount_point_prepare (again, &fixture->rules, NULL));
  vf_mount_point_seal (again);
  g_autofree char *name = vf_mount_point_read_name (path);
  g_assert_cmpstr (name, ==, "other");
  g_autofree char *sentinel = g_build_filename (path, VF_SENTINEL_NAME, NULL);
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (sentinel, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, "    venvfs mount --store '/my store' other "));

  g_assert_true (vf_mount_point_remove (path, NULL));
  g_assert_cmpuint (mode_of (path), ==, 0700);
  g_assert_cmpint (rmdir (path), ==, 0);
}

/* Moved while mounted: what is to be typed is typed for the new place, and nothing else changes. */
static void
test_moved (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = below (fixture, "old/.venv");
  g_autofree char *top = below (fixture, "old");
  g_autofree char *new_top = below (fixture, "new place");
  g_autofree char *new_path = g_build_filename (new_top, ".venv", NULL);
  g_autofree char *sentinel = g_build_filename (new_path, VF_SENTINEL_NAME, NULL);
  g_autofree char *store = g_strconcat (path, "fs", NULL);
  fixture->rules.store_given = store;
  g_autoptr (VfMountPoint) point = vf_mount_point_check (path, &fixture->rules, NULL);
  g_assert_true (vf_mount_point_claim (point, NULL));
  g_assert_true (vf_mount_point_prepare (point, &fixture->rules, NULL));
  g_assert_cmpint (rename (top, new_top), ==, 0);
  for (guint i = 0; i < 2; i++) {
    vf_mount_point_reseal (new_path, path);
    g_autofree char *text = NULL;
    g_autofree char *expected =
        g_strdup_printf ("The Python environment \"proj\" belongs here, but it is not mounted.\n"
                         "To mount it, run:\n\n    venvfs mount --store %s proj '%s'\n\n"
                         "To give this place up, run:\n\n    venvfs umount --remove '%s'\n\n"
                         "[venvfs mount point: name=proj made=2 mode=0755]\n",
                         store, new_path, new_path);
    g_assert_true (g_file_get_contents (sentinel, &text, NULL, NULL));
    g_assert_cmpstr (text, ==, expected);
    g_assert_cmpuint (mode_of (new_path), ==, 0555);
    g_assert_cmpuint (mode_of (sentinel), ==, 0444);
  }
  g_assert_true (vf_mount_point_remove (new_path, NULL));
  g_assert_false (g_file_test (new_top, G_FILE_TEST_EXISTS));
}

static void
test_abandon (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = below (fixture, "x/.venv");
  g_autofree char *top = below (fixture, "x");
  g_autoptr (VfMountPoint) point = vf_mount_point_check (path, &fixture->rules, NULL);
  g_assert_true (vf_mount_point_claim (point, NULL));
  g_assert_true (vf_mount_point_prepare (point, &fixture->rules, NULL));
  vf_mount_point_abandon (point);
  g_assert_false (g_file_test (top, G_FILE_TEST_EXISTS));
  g_clear_pointer (&point, vf_mount_point_free);

  /* What was a mount point before stays one. */
  g_autoptr (VfMountPoint) first = vf_mount_point_check (path, &fixture->rules, NULL);
  g_assert_true (vf_mount_point_claim (first, NULL));
  g_assert_true (vf_mount_point_prepare (first, &fixture->rules, NULL));
  vf_mount_point_seal (first);
  g_clear_pointer (&first, vf_mount_point_free);
  g_autoptr (VfMountPoint) second = vf_mount_point_check (path, &fixture->rules, NULL);
  g_assert_true (vf_mount_point_claim (second, NULL));
  g_assert_true (vf_mount_point_prepare (second, &fixture->rules, NULL));
  vf_mount_point_abandon (second);
  g_autofree char *name = vf_mount_point_read_name (path);
  g_assert_cmpstr (name, ==, "proj");
  g_assert_cmpuint (mode_of (path), ==, 0555);
}

typedef struct {
  VfMountPoint *point;
  gboolean abandon;
  gint done; /* atomic */
} Rival;

/* Holds its claim long enough for the other one to come and wait. */
static gpointer
rival_run (gpointer data)
{
  Rival *rival = data;
  g_usleep (200 * 1000);
  g_atomic_int_set (&rival->done, TRUE);
  if (rival->abandon)
    vf_mount_point_abandon (rival->point);
  vf_mount_point_free (rival->point);
  return NULL;
}

/* Two that saw the same place free: the second waits until the first has done or failed; in the
 * latter case it makes the directory again, which went with the first. */
static void
test_claims (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = below (fixture, "y/.venv");
  g_autofree char *top = below (fixture, "y");
  for (int abandon = 1; abandon >= 0; abandon--) {
    Rival rival = {.abandon = abandon};
    rival.point = vf_mount_point_check (path, &fixture->rules, NULL);
    g_autoptr (VfMountPoint) second = vf_mount_point_check (path, &fixture->rules, NULL);
    g_assert_true (vf_mount_point_claim (rival.point, NULL));
    g_assert_true (vf_mount_point_prepare (rival.point, &fixture->rules, NULL));
    GThread *thread = g_thread_new ("rival", rival_run, &rival);
    g_assert_true (vf_mount_point_claim (second, NULL));
    g_assert_true (g_atomic_int_get (&rival.done));
    g_thread_join (thread);
    g_assert_true (vf_mount_point_prepare (second, &fixture->rules, NULL));
    g_autofree char *name = vf_mount_point_read_name (path);
    g_assert_cmpstr (name, ==, "proj");
    /* The sentinel of one that did not fail is another's: it stays. */
    vf_mount_point_abandon (second);
    g_assert_true (g_file_test (top, G_FILE_TEST_EXISTS) == !abandon);
  }
  g_assert_true (vf_mount_point_remove (path, NULL));
  g_assert_false (g_file_test (top, G_FILE_TEST_EXISTS));
}

/* A file of that name that venvfs did not write is the user's. */
static void
test_foreign_sentinel (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = below (fixture, ".venv");
  make_directory (path);
  write_file (path, VF_SENTINEL_NAME);
  assert_refused (fixture, path, VF_ERROR_INVALID,
                  ": is not empty; move it away, or mount somewhere else");
  g_assert_null (vf_mount_point_read_name (path));
  g_assert_true (vf_mount_point_remove (path, NULL));
  g_autofree char *file = g_build_filename (path, VF_SENTINEL_NAME, NULL);
  g_assert_true (g_file_test (file, G_FILE_TEST_EXISTS));
}

static void
test_normalise (Fixture *fixture, gconstpointer data)
{
  g_autofree char *real = below (fixture, "real");
  g_autofree char *link = below (fixture, "link");
  make_directory (real);
  g_assert_cmpint (symlink ("real", link), ==, 0);
  g_assert_cmpint (chdir (fixture->directory), ==, 0);
  const char *cases[][2] = {
      {".venv", ".venv"},
      {"./.venv/", ".venv"},
      {"link/.venv", "real/.venv"},
      {"real/../.venv", ".venv"},
      {"link//.venv//", "real/.venv"},
      {"real/.", "real"},
      {"link", "link"},
      {"new/deep/.venv", "new/deep/.venv"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *expected = below (fixture, cases[i][1]);
    g_autofree char *normal = vf_mount_point_normalise (cases[i][0], NULL);
    g_assert_cmpstr (normal, ==, expected);
  }
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_mount_point_normalise ("none/../.venv", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  g_autofree char *root = vf_mount_point_normalise ("/", NULL);
  g_assert_cmpstr (root, ==, "/");
  g_assert_cmpint (chdir ("/"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, test) g_test_add (path, Fixture, NULL, fixture_set_up, test, fixture_tear_down)
  ADD ("/mount-point/refusals", test_refusals);
  ADD ("/mount-point/interpreter", test_interpreter);
  ADD ("/mount-point/not-readable", test_not_readable);
  ADD ("/mount-point/made", test_made);
  ADD ("/mount-point/given", test_given);
  ADD ("/mount-point/moved", test_moved);
  ADD ("/mount-point/abandon", test_abandon);
  ADD ("/mount-point/claims", test_claims);
  ADD ("/mount-point/foreign-sentinel", test_foreign_sentinel);
  ADD ("/mount-point/normalise", test_normalise);
  return g_test_run ();
}

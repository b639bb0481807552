#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "environment-fixture.h"
#include "layers/trash.h"

static guint n_refused; /* renames to come, for want of room */

int
renameat (int from_fd, const char *from, int to_fd, const char *to)
{
  if (n_refused > 0) {
    n_refused--;
    errno = EDQUOT;
    return -1;
  }
  return (int)syscall (SYS_renameat2, from_fd, from, to_fd, to, 0);
}

static void
count (const char *path, guint *inodes, guint64 *bytes)
{
  struct stat st;
  g_assert_cmpint (lstat (path, &st), ==, 0);
  (*inodes)++;
  *bytes += (guint64)st.st_blocks * 512;
  g_autoptr (GDir) dir = S_ISDIR (st.st_mode) ? g_dir_open (path, 0, NULL) : NULL;
  for (const char *name; dir && (name = g_dir_read_name (dir));) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    count (child, inodes, bytes);
  }
}

static void
test_layout_and_size (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfGeneration) generation = new_generation ();
  for (guint i = 0; i < 123; i++) {
    g_autofree char *name = g_strdup_printf ("package %u", i);
    add_package (generation, name, i < 13, NULL);
  }
  store_references (fixture, generation);
  g_autoptr (VfEnvironment) environment =
      vf_environment_create (fixture->store, "proj", "My prompt", generation, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (vf_environment_prompt (environment), ==, "My prompt");
  g_assert_cmpuint (vf_environment_current (environment)->installed->len, ==, 123);
  g_assert_cmpuint (store_count (fixture, "envs/proj/upper"), ==, 0);
  g_assert_cmpuint (store_count (fixture, "envs/proj/work"), ==, 0);
  g_assert_cmpint (store_stat (fixture, "envs/proj/upper").st_mode, ==, S_IFDIR | 0755);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
  guint inodes = 0;
  guint64 bytes = 0;
  count (vf_environment_path (environment), &inodes, &bytes);
  g_assert_cmpuint (inodes, <=, 8);
  g_assert_cmpuint (bytes, <=, 40 * 1024);
}

static void
create_and_expect (Fixture *fixture, const char *name, const VfGeneration *generation,
                   VfErrorCode code)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_environment_create (fixture->store, name, "p", generation, &error));
  g_assert_error (error, VF_ERROR, (int)code);
  g_assert_true (g_str_has_prefix (error->message, name));
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

static void
test_refusals (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfGeneration) generation = new_generation ();
  add_package (generation, "numpy", TRUE, NULL);
  g_autofree char *image = vf_digest_path ("images/", &generation->image);
  create_and_expect (fixture, "proj", generation, VF_ERROR_NOT_FOUND);
  store_write (fixture, image, "image");
  create_and_expect (fixture, "proj", generation, VF_ERROR_NOT_FOUND);
  g_assert_cmpuint (store_count (fixture, "envs"), ==, 0);
  store_references (fixture, generation);
  create_and_expect (fixture, "../proj", generation, VF_ERROR_INVALID);
  g_autoptr (VfEnvironment) environment =
      vf_environment_create (fixture->store, "proj", "p", generation, NULL);
  g_assert_nonnull (environment);
  create_and_expect (fixture, "proj", generation, VF_ERROR_EXISTS);
}

static void
test_references_are_freshened (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfGeneration) generation = new_generation ();
  add_package (generation, "numpy", TRUE, NULL);
  store_references (fixture, generation);
  g_autofree char *image = vf_digest_path ("images/", &generation->image);
  VfDigest numpy = digest_of ("numpy");
  g_autofree char *package = vf_digest_path ("packages/", &numpy);
  store_set_age (fixture, image, VF_STORE_GRACE_SECONDS);
  store_set_age (fixture, package, VF_STORE_GRACE_SECONDS);
  g_autoptr (VfEnvironment) environment =
      vf_environment_create (fixture->store, "proj", "p", generation, NULL);
  g_assert_nonnull (environment);
  g_assert_cmpint (store_age (fixture, image), <, 60);
  g_assert_cmpint (store_age (fixture, package), <, 60);
}

static void
fill_upper (Fixture *fixture, guint n)
{
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (mkdirat (fd, "envs/proj/upper/d", 0700), ==, 0);
  for (guint i = 0; i < n; i++) {
    g_autofree char *path = g_strdup_printf ("envs/proj/upper/d/%u", i);
    store_write (fixture, path, "x");
  }
  g_assert_cmpint (mknodat (fd, "envs/proj/upper/gone", S_IFCHR, makedev (0, 0)), ==, 0);
  g_assert_cmpint (fchmodat (fd, "envs/proj/upper/d", 0, 0), ==, 0);
}

static void
test_delete (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfEnvironment) environment = new_environment (fixture, "proj");
  fill_upper (fixture, 3);
  gboolean left = TRUE;
  vf_environment_delete (environment, &left, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (store_count (fixture, "envs"), ==, 0);
  g_assert_cmpuint (store_count (fixture, "trash"), ==, left ? 1 : 0);
  g_assert_false (vf_environment_delete (environment, &left, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  vf_environment_free (new_environment (fixture, "proj"));
}

/* Emptied, it may make the room that is wanted; if not, it is as new. */
static void
test_no_room_to_delete (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfEnvironment) environment = new_environment (fixture, "proj");
  fill_upper (fixture, 3);
  n_refused = 2;
  g_assert_false (vf_environment_delete (environment, NULL, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, EDQUOT);
  g_clear_error (&error);
  g_assert_cmpuint (store_count (fixture, "envs/proj/upper"), ==, 0);
  g_autoptr (VfEnvironment) still = vf_environment_open (fixture->store, "proj", &error);
  g_assert_no_error (error);

  fill_upper (fixture, 3);
  n_refused = 1;
  vf_environment_delete (environment, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (store_count (fixture, "envs"), ==, 0);
}

static void
test_a_large_upper_is_left (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfEnvironment) environment = new_environment (fixture, "proj");
  fill_upper (fixture, 5000);
  gboolean left = FALSE;
  gint64 start = g_get_monotonic_time ();
  vf_environment_delete (environment, &left, &error);
  gint64 usec = g_get_monotonic_time () - start;
  g_assert_no_error (error);
  g_test_message ("deleted in %d µs", (int)usec);
  g_assert_cmpuint (store_count (fixture, "envs"), ==, 0);
  g_assert_cmpuint (store_count (fixture, "trash"), ==, left ? 1 : 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/environment-create/layout-and-size", test_layout_and_size);
  FIXTURE_TEST ("/environment-create/refusals", test_refusals);
  FIXTURE_TEST ("/environment-create/references-are-freshened", test_references_are_freshened);
  FIXTURE_TEST ("/environment-create/delete", test_delete);
  FIXTURE_TEST ("/environment-create/no-room-to-delete", test_no_room_to_delete);
  FIXTURE_TEST ("/environment-create/a-large-upper-is-left", test_a_large_upper_is_left);
  return g_test_run ();
}

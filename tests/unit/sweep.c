#include "layers/sweep.h"

#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "layers/lease.h"
#include "layers/marks.h"
#include "layers/trash.h"
#include "world-fixture.h"

static guint n_refused; /* calls to come that would need room for a name in the trash */

static gboolean
is_refused (const char *path)
{
  if (n_refused == 0 || !g_str_has_prefix (path, "trash/"))
    return FALSE;
  n_refused--;
  errno = EDQUOT;
  return TRUE;
}

int
mkdirat (int dir_fd, const char *name, mode_t mode)
{
  return is_refused (name) ? -1 : (int)syscall (SYS_mkdirat, dir_fd, name, mode);
}

int
renameat (int from_fd, const char *from, int to_fd, const char *to)
{
  return is_refused (to) ? -1 : (int)syscall (SYS_renameat2, from_fd, from, to_fd, to, 0);
}

static VfSweepResult
sweep (Fixture *fixture, gboolean dry_run)
{
  g_autoptr (GError) error = NULL;
  VfSweepResult result;
  vf_sweep (fixture->store, dry_run, &result, &error);
  g_assert_no_error (error);
  return result;
}

static void
assert_swept (VfSweepResult result, guint objects, guint packages, guint images)
{
  g_assert_cmpuint (result.objects, ==, objects);
  g_assert_cmpuint (result.packages, ==, packages);
  g_assert_cmpuint (result.wheels, ==, packages);
  g_assert_cmpuint (result.bytecode, ==, packages);
  g_assert_cmpuint (result.images, ==, images);
}

static void
assert_refused (Fixture *fixture, const char *naming)
{
  g_autoptr (GError) error = NULL;
  VfSweepResult result;
  guint before = store_count (fixture, "trash");
  g_assert_false (vf_sweep (fixture->store, FALSE, &result, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_nonnull (strstr (error->message, naming));
  g_assert_cmpuint (store_count (fixture, "trash"), ==, before);
}

static void
test_nothing_to_do (Fixture *fixture, gconstpointer user_data)
{
  VfSweepResult empty = sweep (fixture, FALSE);
  g_assert_cmpuint (empty.bytes, ==, 0);
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 5);
  VfSweepResult result = sweep (fixture, FALSE);
  assert_swept (result, 0, 0, 0);
  g_assert_cmpuint (result.others + result.bytes, ==, 0);
  g_assert_false (result.cautious);
  g_assert_true (has_object (fixture, "a residue"));
}

static guint64
used (const char *path)
{
  struct stat st;
  g_assert_cmpint (lstat (path, &st), ==, 0);
  guint64 bytes = (guint64)st.st_blocks * 512;
  g_autoptr (GDir) dir = S_ISDIR (st.st_mode) ? g_dir_open (path, 0, NULL) : NULL;
  for (const char *name; dir && (name = g_dir_read_name (dir));) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    bytes += used (child);
  }
  return bytes;
}

static void
test_what_a_deleted_environment_had (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) stays = world_environment (fixture, "stays", 4);
  g_autoptr (VfEnvironment) goes = world_environment (fixture, "goes", 3);
  world_delete (goes);
  VfSweepResult dry = sweep (fixture, TRUE);
  assert_swept (dry, 7, 1, 1);
  g_assert_true (has_object (fixture, "goes 0"));
  guint64 before = used (fixture->path);
  VfSweepResult result = sweep (fixture, FALSE);
  g_assert_cmpmem (&result, sizeof result, &dry, sizeof dry);
  g_assert_cmpuint (before - used (fixture->path), ==, result.bytes);
  g_assert_false (has_object (fixture, "goes 0"));
  g_assert_false (has_object (fixture, "goes residue"));
  g_assert_false (has_object (fixture, "goes 0 compiled"));
  g_assert_true (has_object (fixture, "shared"));
  g_assert_true (has_object (fixture, "stays 3 compiled"));
  g_assert_cmpuint (store_count (fixture, "trash"), ==, 0);
  g_assert_cmpuint (sweep (fixture, FALSE).bytes, ==, 0);
}

/* As on btrfs over its quota, until what went has made room. */
static void
test_no_room_for_the_trash (Fixture *fixture, gconstpointer user_data)
{
  const guint refusals[] = {1, 2, G_MAXUINT};
  g_autoptr (VfEnvironment) stays = world_environment (fixture, "stays", 4);
  for (gsize i = 0; i < G_N_ELEMENTS (refusals); i++) {
    g_autoptr (VfEnvironment) goes = world_environment (fixture, "goes", 3);
    world_delete (goes);
    VfSweepResult dry = sweep (fixture, TRUE);
    guint64 before = used (fixture->path);
    n_refused = refusals[i];
    VfSweepResult result = sweep (fixture, FALSE);
    n_refused = 0;
    g_assert_cmpmem (&result, sizeof result, &dry, sizeof dry);
    g_assert_cmpuint (before - used (fixture->path), ==, result.bytes);
    g_assert_false (has_object (fixture, "goes residue"));
    g_assert_true (has_object (fixture, "shared"));
    g_assert_cmpuint (store_count (fixture, "trash"), ==, 0);
  }
}

static void
test_upper_marks_are_roots (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 1);
  VfDigest kept = add_object (fixture, "kept by a digest");
  VfDigest image = world_image (fixture, "lower", 2);
  add_object (fixture, "goes");
  int fd = vf_environment_fd (environment);
  g_assert_cmpint (mkdirat (fd, "upper/moved", 0700), ==, 0);
  store_write (fixture, "envs/a/upper/moved/file", "");
  VF_AUTOFD directory = openat (fd, "upper/moved", O_RDONLY | O_DIRECTORY);
  VF_AUTOFD file = openat (fd, "upper/moved/file", O_RDWR);
  g_assert_cmpint (vf_mark_set_lower (directory, &image, "lib"), ==, 0);
  g_assert_cmpint (vf_mark_set_digest (file, &kept), ==, 0);
  assert_swept (sweep (fixture, FALSE), 1, 0, 0);
  g_assert_true (has_object (fixture, "kept by a digest"));
  g_assert_true (has_object (fixture, "lower residue"));
}

static void
test_leases_are_roots_while_held (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest image = world_image (fixture, "image", 2);
  VfDigest package = world_package (fixture, "package", 2);
  VfDigest object = add_object (fixture, "object");
  g_auto (GStrv) lines = g_new0 (char *, 4);
  lines[0] = vf_digest_path ("image/", &image);
  lines[1] = vf_digest_path ("package/", &package);
  lines[2] = vf_digest_path ("object/", &object);
  for (gsize i = 0; i < 3; i++)
    *strchr (lines[i], '/') = ' ';
  VfLease *lease = vf_lease_new (fixture->store, (const char *const *)lines, &error);
  g_assert_no_error (error);
  VfSweepResult result = sweep (fixture, FALSE);
  g_assert_cmpuint (result.objects, ==, 3); /* the bytecode belongs to a generation */
  g_assert_cmpuint (result.images + result.packages + result.wheels, ==, 0);
  vf_lease_free (lease);
  result = sweep (fixture, FALSE);
  g_assert_cmpuint (result.objects, ==, 3 + 3 + 1);
  g_assert_cmpuint (result.images + result.packages + result.wheels, ==, 3);

  store_write (fixture, "leases/dead", "image x\n");
  g_assert_cmpuint (sweep (fixture, FALSE).others, ==, 1);
  g_assert_cmpuint (store_count (fixture, "leases"), ==, 0);
}

static void
test_what_is_left_behind (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreTmp) living = vf_store_tmp_new (fixture->store, &error);
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (mkdirat (fd, "tmp/dead", 0700), ==, 0);
  store_write (fixture, "tmp/dead/file", "x");
  store_write (fixture, "tmp/dead-file", "x");
  g_assert_cmpint (mkdirat (fd, "trash/env-x-1", 0700), ==, 0);
  g_assert_cmpint (mkdirat (fd, VF_TRASH_QUARANTINE, 0700), ==, 0);
  store_write (fixture, VF_TRASH_QUARANTINE "/recent", "x");
  store_write (fixture, "resolutions/old", "x");
  store_write (fixture, "resolutions/new", "x");
  store_set_age (fixture, "resolutions/old", 40 * 24 * 3600);
  VfSweepResult dry = sweep (fixture, TRUE);
  g_assert_cmpuint (dry.others, ==, 4);
  VfSweepResult result = sweep (fixture, FALSE);
  g_assert_cmpmem (&result, sizeof result, &dry, sizeof dry);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 1);
  g_assert_cmpuint (store_count (fixture, "resolutions"), ==, 1);
  g_assert_true (store_has (fixture, VF_TRASH_QUARANTINE "/recent"));
  g_assert_cmpuint (store_count (fixture, "trash"), ==, 1);
}

static void
test_beside_a_writer (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest fresh = world_package (fixture, "fresh", 2);
  VfDigest old = world_package (fixture, "old", 2);
  g_autofree char *old_index = vf_digest_path ("packages/", &old);
  g_autofree char *fresh_index = vf_digest_path ("packages/", &fresh);
  for (guint i = 0; i < 2; i++) {
    g_autofree char *a = g_strdup_printf ("fresh %u", i), *b = g_strdup_printf ("old %u", i);
    g_autofree char *a_path = object_path (a), *b_path = object_path (b);
    store_set_age (fixture, a_path, 2 * VF_STORE_GRACE_SECONDS);
    store_set_age (fixture, b_path, 2 * VF_STORE_GRACE_SECONDS);
  }
  store_set_age (fixture, old_index, 2 * VF_STORE_GRACE_SECONDS);
  VfStoreWrite *write = vf_store_begin_write (fixture->store, &error);
  g_assert_no_error (error);
  VfSweepResult dry = sweep (fixture, TRUE);
  VfSweepResult result = sweep (fixture, FALSE);
  g_assert_cmpmem (&result, sizeof result, &dry, sizeof dry);
  g_assert_true (result.cautious);
  g_assert_cmpuint (result.packages, ==, 1);
  g_assert_cmpuint (result.objects, ==, 2); /* their bytecode is fresh, its listing too */
  g_assert_true (has_object (fixture, "fresh 0"));
  g_assert_false (store_has (fixture, old_index));
  g_assert_cmpuint (store_count (fixture, "trash"), ==, 0);
  vf_store_end_write (write);
  sweep (fixture, FALSE);
  g_assert_false (store_has (fixture, fresh_index));
}

static void
test_a_killed_sweep_is_undone (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 1);
  g_autofree char *path = object_path ("a 0");
  g_autofree char *trash = vf_trash_path (path);
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (mkdirat (fd, VF_TRASH_SWEEP, 0700), ==, 0);
  g_assert_cmpint (renameat (fd, path, fd, trash), ==, 0);
  store_write (fixture, VF_TRASH_SWEEP "/objects:zz:stray", "x");
  sweep (fixture, FALSE);
  g_assert_true (has_object (fixture, "a 0"));
  g_assert_cmpuint (store_count (fixture, "trash"), ==, 0);
}

static void
test_unreadable_roots (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfEnvironment) environment = world_environment (fixture, "a", 3);
  add_object (fixture, "garbage");
  const char *const files[] = {"envs/a/env.ini", "envs/a/generations/1.ini"};
  for (gsize i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *text = store_text (fixture, files[i]);
    store_write (fixture, files[i], "damaged");
    assert_refused (fixture, "a: ");
    store_write (fixture, files[i], text);
  }
  store_write (fixture, "envs/a/generations/2.ini", "");
  assert_refused (fixture, "2.ini");
  g_assert_cmpint (unlinkat (vf_environment_fd (environment), "generations/2.ini", 0), ==, 0);

  const VfGeneration *generation = vf_environment_current (environment);
  g_autofree char *image = vf_digest_path ("images/", &generation->image);
  g_autofree char *package =
      vf_digest_path ("packages/", &((VfInstalled *)generation->installed->pdata[0])->digest);
  const char *const parts[] = {image, package};
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++) {
    int fd = vf_store_fd (fixture->store);
    g_assert_cmpint (renameat (fd, parts[i], fd, "aside"), ==, 0);
    assert_refused (fixture, parts[i]);
    store_write (fixture, parts[i], "damaged");
    assert_refused (fixture, parts[i]);
    g_assert_cmpint (renameat (fd, "aside", fd, parts[i]), ==, 0);
  }
  store_write (fixture, "leases/held", "nonsense\n");
  g_autofree char *path = vf_store_path_of (fixture->store, "leases/held");
  VF_AUTOFD lease = open (path, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (flock (lease, LOCK_EX), ==, 0);
  assert_refused (fixture, "leases/held");
  vf_fd_clear (&lease);
  g_assert_true (has_object (fixture, "garbage"));
  assert_swept (sweep (fixture, FALSE), 1, 0, 0);
}

static void
test_one_sweep_at_a_time (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfSweepResult result;
  g_autofree char *path = vf_store_path_of (fixture->store, "trash");
  VF_AUTOFD trash = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (flock (trash, LOCK_EX), ==, 0);
  g_assert_false (vf_sweep (fixture->store, FALSE, &result, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_BUSY);
}

static void
test_strays_are_left_to_the_check (Fixture *fixture, gconstpointer user_data)
{
  g_assert_cmpint (mkdirat (vf_store_fd (fixture->store), "objects/ab", 0700), ==, 0);
  const char *const strays[] = {"packages/README", "objects/ab/x", "images/x", "wheels/x"};
  for (gsize i = 0; i < G_N_ELEMENTS (strays); i++)
    store_write (fixture, strays[i], "stray");
  g_assert_cmpuint (sweep (fixture, FALSE).bytes, ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (strays); i++)
    g_assert_true (store_has (fixture, strays[i]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/sweep/nothing-to-do", test_nothing_to_do);
  FIXTURE_TEST ("/sweep/what-a-deleted-environment-had", test_what_a_deleted_environment_had);
  FIXTURE_TEST ("/sweep/no-room-for-the-trash", test_no_room_for_the_trash);
  FIXTURE_TEST ("/sweep/upper-marks-are-roots", test_upper_marks_are_roots);
  FIXTURE_TEST ("/sweep/leases-are-roots-while-held", test_leases_are_roots_while_held);
  FIXTURE_TEST ("/sweep/what-is-left-behind", test_what_is_left_behind);
  FIXTURE_TEST ("/sweep/beside-a-writer", test_beside_a_writer);
  FIXTURE_TEST ("/sweep/a-killed-sweep-is-undone", test_a_killed_sweep_is_undone);
  FIXTURE_TEST ("/sweep/unreadable-roots", test_unreadable_roots);
  FIXTURE_TEST ("/sweep/one-sweep-at-a-time", test_one_sweep_at_a_time);
  FIXTURE_TEST ("/sweep/strays-are-left-to-the-check", test_strays_are_left_to_the_check);
  return g_test_run ();
}

/* layers/ingest.c: several wheels, all or none. */
#include "layers/ingest.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>

#include "layers/error.h"
#include "tests/unit/wheel-fixture.h"

#define N_WHEELS 6

static gboolean no_threads;

/* In the place of the C library's. */
int
pthread_create (pthread_t *out_thread, const pthread_attr_t *attributes, void *(*func) (void *),
                void *data)
{
  int (*real) (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  *(void **)&real = dlsym (RTLD_NEXT, "pthread_create");
  return no_threads ? EAGAIN : real (out_thread, attributes, func, data);
}

typedef struct {
  char *directory;
  char *paths[N_WHEELS];
  VfIngestWheel wheels[N_WHEELS];
  VfIngestResult results[N_WHEELS];
  VfStore *store;
  VfStoreWrite *write;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->directory = g_dir_make_tmp ("ingest-XXXXXX", NULL);
  g_autofree char *store = g_build_filename (f->directory, "store", NULL);
  f->store = vf_store_open (store, NULL);
  f->write = vf_store_begin_write (f->store, NULL);
  for (guint i = 0; i < N_WHEELS; i++) {
    g_autofree char *name = g_strdup_printf ("demo%u", i);
    g_autofree char *module = g_strconcat (name, "/__init__.py", NULL);
    g_autofree char *text = g_strnfill (100 * (i + 1), '#');
    const FixtureFile files[] = {{module, text, 0100644}, {"shared.txt", "the same", 0100644}};
    f->paths[i] = fixture_wheel (f->directory, name, files, 2);
    f->wheels[i].path = f->paths[i];
  }
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  vf_store_end_write (f->write);
  vf_store_unref (f->store);
  g_assert_true (vf_remove_tree (AT_FDCWD, f->directory, "d", NULL));
  for (guint i = 0; i < N_WHEELS; i++)
    g_free (f->paths[i]);
  g_free (f->directory);
}

static guint
count (Fixture *f, const char *folder)
{
  g_autofree char *path = vf_store_path_of (f->store, folder);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;
  while (dir && g_dir_read_name (dir))
    n++;
  return n;
}

typedef struct {
  guint calls;
  guint64 done, total;
} Seen;

static void
on_progress (guint64 done_bytes, guint64 total_bytes, gpointer user_data)
{
  Seen *seen = user_data;
  seen->calls++;
  g_assert_cmpuint (done_bytes, >=, seen->done);
  g_assert_cmpuint (done_bytes, <=, total_bytes);
  seen->done = done_bytes;
  seen->total = total_bytes;
}

static void
test_all (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint64 new_bytes = 0, total = 0;
  Seen seen = {0};
  VfIngestOptions options = {.progress = on_progress, .user_data = &seen, .n_workers = 3};
  g_assert_true (
      vf_ingest_wheels (f->store, f->wheels, N_WHEELS, &options, f->results, &new_bytes, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < N_WHEELS; i++) {
    GStatBuf st;
    VfDigest package;
    g_autofree char *name = g_strdup_printf ("demo%u", i);
    g_assert_cmpint (g_stat (f->paths[i], &st), ==, 0);
    total += (guint64)st.st_size;
    g_assert_false (f->results[i].known);
    g_assert_true (vf_wheel_lookup (f->store, &f->results[i].wheel, &package));
    g_assert_true (vf_digest_equal (&package, &f->results[i].package));
    g_autoptr (VfPackage) loaded = vf_package_load (f->store, &package, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (loaded->name, ==, name);
    for (guint k = 0; k < loaded->files->len; k++) {
      const VfPackageFile *file = &g_array_index (loaded->files, VfPackageFile, k);
      g_assert_cmpint (vf_object_size (f->store, &file->digest), ==, (gint64)file->size);
    }
  }
  g_assert_cmpuint (seen.calls, >=, 1);
  g_assert_cmpuint (seen.done, ==, total);
  g_assert_cmpuint (seen.total, ==, total);
  g_assert_cmpuint (new_bytes, >=, 100 * (1 + 2 + 3 + 4 + 5 + 6) + strlen ("the same"));
  g_assert_cmpuint (count (f, "tmp"), ==, 0);
}

static void
test_known (Fixture *f, gconstpointer data)
{
  VfIngestOptions options = {0};
  guint64 new_bytes = 1;
  VfIngestResult first[N_WHEELS];
  g_assert_true (vf_ingest_wheels (f->store, f->wheels, N_WHEELS, &options, first, NULL, NULL));
  /* One is not even there any more. */
  f->wheels[0].expected = &first[0].wheel;
  g_assert_cmpint (g_unlink (f->paths[0]), ==, 0);
  g_assert_true (
      vf_ingest_wheels (f->store, f->wheels, N_WHEELS, &options, f->results, &new_bytes, NULL));
  g_assert_cmpuint (new_bytes, ==, 0);
  for (guint i = 0; i < N_WHEELS; i++) {
    g_assert_true (f->results[i].known);
    g_assert_true (vf_digest_equal (&f->results[i].package, &first[i].package));
  }
}

static void
expect_nothing (Fixture *f)
{
  g_assert_cmpuint (count (f, "packages"), ==, 0);
  g_assert_cmpuint (count (f, "wheels"), ==, 0);
  g_assert_cmpuint (count (f, "objects"), ==, 0);
  g_assert_cmpuint (count (f, "tmp"), ==, 0);
}

static void
test_one_is_bad (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfIngestOptions options = {0};
  g_assert_true (g_file_set_contents (f->paths[3], "no wheel", -1, NULL));
  g_assert_false (
      vf_ingest_wheels (f->store, f->wheels, N_WHEELS, &options, f->results, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
  g_assert_true (g_str_has_prefix (error->message, f->paths[3]));
  expect_nothing (f);
}

static void
test_one_is_absent (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfIngestOptions options = {0};
  g_assert_cmpint (g_unlink (f->paths[2]), ==, 0);
  g_assert_false (
      vf_ingest_wheels (f->store, f->wheels, N_WHEELS, &options, f->results, NULL, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  expect_nothing (f);
}

static void
test_cancelled (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  VfIngestOptions options = {.cancellable = cancellable};
  g_cancellable_cancel (cancellable);
  g_assert_false (
      vf_ingest_wheels (f->store, f->wheels, N_WHEELS, &options, f->results, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
  expect_nothing (f);
}

static void
test_none (Fixture *f, gconstpointer data)
{
  VfIngestOptions options = {0};
  guint64 new_bytes = 1;
  g_assert_true (vf_ingest_wheels (f->store, NULL, 0, &options, NULL, &new_bytes, NULL));
  g_assert_cmpuint (new_bytes, ==, 0);
}

static void
test_same_wheel_twice (Fixture *f, gconstpointer data)
{
  VfIngestOptions options = {.n_workers = 2};
  f->wheels[1] = f->wheels[0];
  g_assert_true (vf_ingest_wheels (f->store, f->wheels, 2, &options, f->results, NULL, NULL));
  g_assert_true (vf_digest_equal (&f->results[0].package, &f->results[1].package));
  g_assert_cmpuint (count (f, "packages"), ==, 1);
}

static void
test_ahead (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfIngestOptions options = {0};
  guint64 new_bytes = 0;
  /* The last is no wheel, but in the end nobody wants it, nor the second. */
  g_assert_true (g_file_set_contents (f->paths[5], "no wheel", -1, NULL));
  g_autoptr (VfIngest) ingest = vf_ingest_new (f->store, NULL, &error);
  g_assert_no_error (error);
  for (guint round = 0; round < 2; round++)
    for (guint i = 1; i < N_WHEELS; i++)
      vf_ingest_ahead (ingest, f->paths[i]);
  VfIngestWheel wanted[] = {f->wheels[0], f->wheels[2], f->wheels[3]};
  VfIngestResult results[3];
  g_assert_true (vf_ingest_finish (ingest, wanted, 3, &options, results, &new_bytes, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (new_bytes, >=, 100 * (1 + 3 + 4));
  g_assert_cmpuint (count (f, "packages"), ==, 3);
  g_assert_cmpuint (count (f, "wheels"), ==, 3);
  g_clear_pointer (&ingest, vf_ingest_free);
  g_assert_cmpuint (count (f, "tmp"), ==, 0);
  for (guint i = 0; i < 3; i++) {
    VfDigest package;
    g_assert_true (vf_wheel_lookup (f->store, &results[i].wheel, &package));
    g_assert_true (vf_digest_equal (&package, &results[i].package));
  }
}

static void
test_ahead_of_another_hash (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfIngestOptions options = {0};
  VfDigest expected;
  vf_digest_of ("another", 7, &expected);
  f->wheels[4].expected = &expected;
  g_autoptr (VfIngest) ingest = vf_ingest_new (f->store, NULL, &error);
  vf_ingest_ahead (ingest, f->paths[4]);
  g_assert_false (
      vf_ingest_finish (ingest, f->wheels, N_WHEELS, &options, f->results, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_assert_true (g_str_has_prefix (error->message, f->paths[4]));
  g_clear_pointer (&ingest, vf_ingest_free);
  expect_nothing (f);
}

static void
test_ahead_is_bad (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfIngestOptions options = {0};
  g_assert_true (g_file_set_contents (f->paths[3], "no wheel", -1, NULL));
  g_autoptr (VfIngest) ingest = vf_ingest_new (f->store, NULL, &error);
  vf_ingest_ahead (ingest, f->paths[3]);
  g_assert_false (
      vf_ingest_finish (ingest, f->wheels, N_WHEELS, &options, f->results, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
  g_clear_pointer (&ingest, vf_ingest_free);
  expect_nothing (f);
}

static void
test_ahead_for_nothing (Fixture *f, gconstpointer data)
{
  g_autoptr (VfIngest) ingest = vf_ingest_new (f->store, NULL, NULL);
  for (guint i = 0; i < N_WHEELS; i++)
    vf_ingest_ahead (ingest, f->paths[i]);
  g_clear_pointer (&ingest, vf_ingest_free);
  expect_nothing (f);
}

static void
test_no_threads (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfIngestOptions options = {0};
  g_autoptr (VfIngest) ingest = vf_ingest_new (f->store, NULL, NULL);
  no_threads = TRUE;
  vf_ingest_ahead (ingest, f->paths[0]);
  g_assert_false (
      vf_ingest_finish (ingest, f->wheels, N_WHEELS, &options, f->results, NULL, &error));
  no_threads = FALSE;
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  g_assert_true (g_str_has_prefix (error->message, f->paths[0]));
  g_assert_nonnull (strstr (error->message, "ulimit -u"));
  g_clear_pointer (&ingest, vf_ingest_free);
  expect_nothing (f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/ingest/all", Fixture, NULL, set_up, test_all, tear_down);
  g_test_add ("/ingest/known", Fixture, NULL, set_up, test_known, tear_down);
  g_test_add ("/ingest/one-is-bad", Fixture, NULL, set_up, test_one_is_bad, tear_down);
  g_test_add ("/ingest/one-is-absent", Fixture, NULL, set_up, test_one_is_absent, tear_down);
  g_test_add ("/ingest/cancelled", Fixture, NULL, set_up, test_cancelled, tear_down);
  g_test_add ("/ingest/none", Fixture, NULL, set_up, test_none, tear_down);
  g_test_add ("/ingest/same-wheel-twice", Fixture, NULL, set_up, test_same_wheel_twice, tear_down);
  g_test_add ("/ingest/ahead", Fixture, NULL, set_up, test_ahead, tear_down);
  g_test_add ("/ingest/ahead-of-another-hash", Fixture, NULL, set_up, test_ahead_of_another_hash,
              tear_down);
  g_test_add ("/ingest/ahead-is-bad", Fixture, NULL, set_up, test_ahead_is_bad, tear_down);
  g_test_add ("/ingest/ahead-for-nothing", Fixture, NULL, set_up, test_ahead_for_nothing,
              tear_down);
  g_test_add ("/ingest/no-threads", Fixture, NULL, set_up, test_no_threads, tear_down);
  return g_test_run ();
}

#include "store-fixture.h"

static VfObjectBatch *
new_batch (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  VfObjectBatch *batch = vf_object_batch_new (fixture->store, &error);
  g_assert_no_error (error);
  return batch;
}

static guint64
add (VfObjectBatch *batch, const char *content)
{
  g_autoptr (GError) error = NULL;
  guint64 new_bytes = 99;
  VfDigest digest;
  vf_digest_of (content, strlen (content), &digest);
  vf_object_batch_add (batch, &digest, content, strlen (content), &new_bytes, &error);
  g_assert_no_error (error);
  return new_bytes;
}

static void
commit (VfObjectBatch *batch)
{
  g_autoptr (GError) error = NULL;
  vf_object_batch_commit (batch, &error);
  g_assert_no_error (error);
}

static void
test_nothing_before_commit (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *path = object_path ("hello");
  VfObjectBatch *batch = new_batch (fixture);
  g_assert_cmpuint (add (batch, "hello"), ==, 5);
  g_assert_cmpuint (add (batch, "hello"), ==, 0);
  g_assert_cmpuint (add (batch, ""), ==, 0);
  g_assert_cmpuint (store_count (fixture, "objects"), ==, 0);
  commit (batch);
  struct stat st = store_stat (fixture, path);
  g_assert_cmpint (st.st_mode, ==, S_IFREG | 0444);
  g_assert_cmpint (st.st_nlink, ==, 1);
  g_autofree char *empty = object_path ("");
  g_assert_cmpint (store_stat (fixture, empty).st_size, ==, 0);
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_object_batch_commit (batch, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  vf_object_batch_free (batch);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

static void
test_abandoned (Fixture *fixture, gconstpointer user_data)
{
  VfObjectBatch *batch = new_batch (fixture);
  add (batch, "hello");
  vf_object_batch_free (batch);
  g_assert_cmpuint (store_count (fixture, "objects"), ==, 0);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

static void
test_known_is_freshened (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *path = object_path ("hello");
  add_object (fixture, "hello");
  store_set_age (fixture, path, VF_STORE_GRACE_SECONDS);
  ino_t first = store_stat (fixture, path).st_ino;
  g_autoptr (VfObjectBatch) batch = new_batch (fixture);
  g_assert_cmpuint (add (batch, "hello"), ==, 0);
  g_assert_cmpint (store_age (fixture, path), <, 60);
  commit (batch);
  g_assert_cmpuint (store_stat (fixture, path).st_ino, ==, first);
}

static void
test_truncated_is_replaced (Fixture *fixture, gconstpointer user_data)
{
  g_autofree char *path = object_path ("hello");
  add_object (fixture, "hello");
  store_write (fixture, path, "hel");
  g_autoptr (VfObjectBatch) batch = new_batch (fixture);
  g_assert_cmpuint (add (batch, "hello"), ==, 5);
  commit (batch);
  g_autofree char *text = store_text (fixture, path);
  g_assert_cmpstr (text, ==, "hello");
}

static void
test_maps (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfObjectBatch) batch = new_batch (fixture);
  guint64 new_bytes = 99;
  VfDigest digest;
  vf_digest_of ("mapped", 6, &digest);
  for (guint i = 0; i < 2; i++) {
    VfObjectMap *map = vf_object_batch_map (batch, 6, &error);
    g_assert_no_error (error);
    memcpy (vf_object_map_data (map), "mapped", 6);
    g_assert_true (vf_object_batch_add_map (batch, &digest, map, &new_bytes, &error));
    g_assert_cmpuint (new_bytes, ==, i == 0 ? 6 : 0);
  }
  vf_digest_of ("", 0, &digest);
  VfObjectMap *nothing = vf_object_batch_map (batch, 0, &error);
  g_assert_true (vf_object_batch_add_map (batch, &digest, nothing, NULL, &error));
  commit (batch);
  g_autofree char *path = object_path ("mapped");
  g_autofree char *text = store_text (fixture, path);
  g_assert_cmpstr (text, ==, "mapped");
  g_assert_cmpint (store_stat (fixture, path).st_mode, ==, S_IFREG | 0444);

  g_assert_null (vf_object_batch_map (batch, (gsize)1 << 62, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOSPC);
}

/* Both stage the same first digits while the store has no such directory. */
static void
test_two_batches_with_one_directory (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfObjectBatch) first = new_batch (fixture);
  g_autoptr (VfObjectBatch) second = new_batch (fixture);
  for (guint i = 0; i < 600; i++) {
    g_autofree char *content = g_strdup_printf ("%u", i);
    if (i < 400)
      g_assert_cmpuint (add (first, content), ==, strlen (content));
    if (i >= 200)
      g_assert_cmpuint (add (second, content), ==, strlen (content));
  }
  commit (first);
  commit (second);
  for (guint i = 0; i < 600; i++) {
    g_autofree char *content = g_strdup_printf ("%u", i);
    g_autofree char *path = object_path (content);
    g_autofree char *text = store_text (fixture, path);
    g_assert_cmpstr (text, ==, content);
  }
}

static void
test_indexes (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  for (guint n = 1; n < 40; n += 30) {
    g_autoptr (VfObjectBatch) batch = new_batch (fixture);
    for (guint i = 0; i < n; i++) {
      g_autofree char *wheel = g_strdup_printf ("wheels/%u", i);
      g_autofree char *listing = g_strdup_printf ("bytecode/tag/%u", i);
      g_assert_true (vf_object_batch_put (batch, wheel, "w", 1, &error));
      g_assert_true (vf_object_batch_put (batch, wheel, "w", 1, &error));
      g_assert_true (vf_object_batch_put (batch, listing, "b", 1, &error));
    }
    if (n == 1)
      g_assert_cmpuint (store_count (fixture, "wheels"), ==, 0);
    commit (batch);
    g_assert_cmpuint (store_count (fixture, "wheels"), ==, n);
    g_assert_cmpuint (store_count (fixture, "bytecode/tag"), ==, n);
  }
  g_assert_cmpint (store_stat (fixture, "wheels/0").st_mode, ==, S_IFREG | 0444);
}

static void
test_a_failed_batch_is_not_committed (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfObjectBatch) batch = new_batch (fixture);
  g_assert_true (vf_object_batch_put (batch, "packages/a", "a", 1, &error));
  g_autofree char *long_name = g_strnfill (300, 'x');
  g_assert_false (vf_object_batch_put (batch, long_name, "a", 1, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENAMETOOLONG);
  g_clear_error (&error);
  g_assert_false (vf_object_batch_commit (batch, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  g_assert_cmpuint (store_count (fixture, "packages"), ==, 0);
}

typedef struct {
  VfObjectBatch *batch;
  guint64 new_bytes;
} Worker;

static gpointer
add_many (gpointer data)
{
  Worker *worker = data;
  for (guint i = 0; i < 2000; i++) {
    g_autofree char *content = g_strdup_printf ("%04u", i);
    worker->new_bytes += add (worker->batch, content);
  }
  return NULL;
}

static void
test_threads (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (VfObjectBatch) batch = new_batch (fixture);
  Worker workers[4];
  GThread *threads[4];
  guint64 new_bytes = 0;
  for (int i = 0; i < 4; i++) {
    workers[i] = (Worker){.batch = batch};
    threads[i] = g_thread_new ("add", add_many, &workers[i]);
  }
  for (int i = 0; i < 4; i++) {
    g_thread_join (threads[i]);
    new_bytes += workers[i].new_bytes;
  }
  g_assert_cmpuint (new_bytes, ==, 8000);
  commit (batch);
  for (guint i = 0; i < 2000; i++) {
    g_autofree char *content = g_strdup_printf ("%04u", i);
    g_autofree char *path = object_path (content);
    g_assert_cmpint (store_stat (fixture, path).st_size, ==, 4);
  }
}

static void
test_umask (Fixture *fixture, gconstpointer user_data)
{
  mode_t before = umask (0277);
  add_object (fixture, "masked");
  umask (before);
  g_autofree char *path = object_path ("masked");
  g_assert_cmpint (store_stat (fixture, path).st_mode, ==, S_IFREG | 0444);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/object-batch/nothing-before-commit", test_nothing_before_commit);
  FIXTURE_TEST ("/object-batch/abandoned", test_abandoned);
  FIXTURE_TEST ("/object-batch/known-is-freshened", test_known_is_freshened);
  FIXTURE_TEST ("/object-batch/truncated-is-replaced", test_truncated_is_replaced);
  FIXTURE_TEST ("/object-batch/maps", test_maps);
  FIXTURE_TEST ("/object-batch/two-batches-with-one-directory",
                test_two_batches_with_one_directory);
  FIXTURE_TEST ("/object-batch/indexes", test_indexes);
  FIXTURE_TEST ("/object-batch/a-failed-batch-is-not-committed",
                test_a_failed_batch_is_not_committed);
  FIXTURE_TEST ("/object-batch/threads", test_threads);
  FIXTURE_TEST ("/object-batch/umask", test_umask);
  return g_test_run ();
}

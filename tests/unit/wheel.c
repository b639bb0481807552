/* layers/wheel.c: one wheel into a batch. The rules are judged in
 * tests/integration/test_wheel_rules.py. */
#include "layers/wheel.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>

#include "layers/error.h"
#include "tests/unit/wheel-fixture.h"

static const FixtureFile files[] = {
    {"demo/__init__.py", "x = 1\n", 0100644},
    {"demo/copy.py", "x = 1\n", 0100644},
    {"demo-1.0.data/scripts/tool", "#!python3\n", 0100644},
};

typedef struct {
  char *directory, *path;
  VfStore *store;
  VfStoreWrite *write;
  VfObjectBatch *batch;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->directory = g_dir_make_tmp ("wheel-XXXXXX", NULL);
  f->path = fixture_wheel (f->directory, "demo", files, G_N_ELEMENTS (files));
  g_autofree char *store = g_build_filename (f->directory, "store", NULL);
  f->store = vf_store_open (store, NULL);
  f->write = vf_store_begin_write (f->store, NULL);
  f->batch = vf_object_batch_new (f->store, NULL);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  vf_object_batch_free (f->batch);
  vf_store_end_write (f->write);
  vf_store_unref (f->store);
  g_assert_true (vf_remove_tree (AT_FDCWD, f->directory, "d", NULL));
  g_free (f->directory);
  g_free (f->path);
}

static void
test_ingest (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint64 done_bytes = 0, new_bytes = 0;
  VfWheelOptions options = {.done_bytes = &done_bytes};
  VfDigest sha256, expected;
  g_autoptr (VfPackage) package =
      vf_wheel_ingest (f->batch, f->path, &options, &sha256, &new_bytes, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (package->name, ==, "demo");
  g_assert_cmpuint (package->files->len, ==, 5);

  g_autofree char *wheel = NULL;
  gsize length;
  g_assert_true (g_file_get_contents (f->path, &wheel, &length, NULL));
  vf_digest_of (wheel, length, &expected);
  g_assert_true (vf_digest_equal (&sha256, &expected));
  g_assert_cmpuint (done_bytes, >, 0);
  g_assert_cmpuint (done_bytes, <, length);

  g_bytes_unref (vf_package_serialize (package));
  guint64 total = 0;
  for (guint i = 0; i < package->files->len; i++)
    total += g_array_index (package->files, VfPackageFile, i).size;
  /* The copy is one content with the original. */
  g_assert_cmpuint (new_bytes, ==, total - strlen ("x = 1\n"));
  const VfPackageFile *script = &g_array_index (package->files, VfPackageFile, 4);
  g_assert_cmpstr (script->path, ==, "tool");
  g_assert_cmpuint (script->mode, ==, 0755);
  g_assert_cmpint (script->flags, ==, VF_PACKAGE_FILE_PYTHON_SCRIPT);

  g_assert_cmpint (vf_object_size (f->store, &script->digest), ==, -ENOENT);
  g_assert_true (vf_object_batch_commit (f->batch, &error));
  g_assert_cmpint (vf_object_size (f->store, &script->digest), ==, 10);
}

static void
test_expected (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  VfDigest wrong;
  vf_digest_of ("", 0, &wrong);
  VfWheelOptions options = {.expected = &wrong};
  g_assert_null (vf_wheel_ingest (f->batch, f->path, &options, NULL, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, ": its SHA-256 is "));
}

static void
test_cancelled (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  VfWheelOptions options = {.cancellable = cancellable};
  g_cancellable_cancel (cancellable);
  g_assert_null (vf_wheel_ingest (f->batch, f->path, &options, NULL, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
}

static void
test_judged_only (Fixture *f, gconstpointer data)
{
  VfWheelOptions options = {0};
  g_autoptr (VfPackage) package = vf_wheel_ingest (NULL, f->path, &options, NULL, NULL, NULL);
  g_assert_nonnull (package);
  g_assert_cmpuint (package->files->len, ==, 5);
}

static void
test_unknown_rule (Fixture *f, gconstpointer data)
{
  static const char *const accept[] = {"nonsense", NULL};
  g_autoptr (GError) error = NULL;
  VfWheelOptions options = {.accept = accept};
  g_assert_null (vf_wheel_ingest (f->batch, f->path, &options, NULL, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_USAGE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/wheel/ingest", Fixture, NULL, set_up, test_ingest, tear_down);
  g_test_add ("/wheel/expected", Fixture, NULL, set_up, test_expected, tear_down);
  g_test_add ("/wheel/cancelled", Fixture, NULL, set_up, test_cancelled, tear_down);
  g_test_add ("/wheel/judged-only", Fixture, NULL, set_up, test_judged_only, tear_down);
  g_test_add ("/wheel/unknown-rule", Fixture, NULL, set_up, test_unknown_rule, tear_down);
  return g_test_run ();
}

/* layers/wheel-store.c */
#include "layers/wheel.h"

#include "store-fixture.h"

static void
put (Fixture *fixture, const char *folder, const VfDigest *name, const char *text)
{
  g_autofree char *relative = vf_digest_path (folder, name);
  g_assert_true (vf_store_put (fixture->store, relative, text, strlen (text), NULL));
}

static void
test_remember (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  VfDigest wheel = digest_of ("wheel"), package = digest_of ("package"), found;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_assert_no_error (error);
  g_assert_false (vf_wheel_lookup (fixture->store, &wheel, &found));
  g_assert_true (vf_wheel_remember (batch, &wheel, &package, &error));
  g_assert_true (vf_object_batch_commit (batch, &error));
  /* Its package is gone, or never was. */
  g_assert_false (vf_wheel_lookup (fixture->store, &wheel, &found));
  put (fixture, "packages/", &package, "p");
  g_assert_true (vf_wheel_lookup (fixture->store, &wheel, &found));
  g_assert_true (vf_digest_equal (&found, &package));

  static const char *const damaged[] = {"", "\n", "0123\n"};
  for (guint i = 0; i < G_N_ELEMENTS (damaged); i++) {
    put (fixture, "wheels/", &wheel, damaged[i]);
    g_assert_false (vf_wheel_lookup (fixture->store, &wheel, &found));
  }
  char line[VF_DIGEST_HEX + 2];
  vf_digest_to_hex (&package, line);
  put (fixture, "wheels/", &wheel, line);
  g_assert_false (vf_wheel_lookup (fixture->store, &wheel, &found));
  strcat (line, "\n");
  put (fixture, "wheels/", &wheel, line);
  g_assert_true (vf_wheel_lookup (fixture->store, &wheel, &found));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/wheel-store/remember", test_remember);
  return g_test_run ();
}

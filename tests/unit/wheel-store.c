/* layers/wheel-store.c */
#include "layers/wheel.h"

#include <fcntl.h>
#include <string.h>

#include "layers/error.h"

static VfDigest
digest_of (const char *text)
{
  VfDigest digest;
  vf_digest_of (text, strlen (text), &digest);
  return digest;
}

static void
put (VfStore *store, const char *folder, const VfDigest *name, const char *text)
{
  g_autofree char *relative = vf_digest_path (folder, name);
  g_assert_true (vf_store_put (store, relative, text, strlen (text), NULL));
}

static void
test_remember (void)
{
  g_autofree char *directory = g_dir_make_tmp ("wheel-store-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "store", NULL);
  g_autoptr (GError) error = NULL;
  VfDigest wheel = digest_of ("wheel"), package = digest_of ("package"), found;
  {
    g_autoptr (VfStore) store = vf_store_open (path, &error);
    g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, &error);
    g_autoptr (VfObjectBatch) batch = vf_object_batch_new (store, &error);
    g_assert_no_error (error);
    g_assert_false (vf_wheel_lookup (store, &wheel, &found));
    g_assert_true (vf_wheel_remember (batch, &wheel, &package, &error));
    g_assert_true (vf_object_batch_commit (batch, &error));
    /* Its package is gone, or never was. */
    g_assert_false (vf_wheel_lookup (store, &wheel, &found));
    put (store, "packages/", &package, "p");
    g_assert_true (vf_wheel_lookup (store, &wheel, &found));
    g_assert_true (vf_digest_equal (&found, &package));

    static const char *const damaged[] = {"", "\n", "0123\n"};
    for (guint i = 0; i < G_N_ELEMENTS (damaged); i++) {
      put (store, "wheels/", &wheel, damaged[i]);
      g_assert_false (vf_wheel_lookup (store, &wheel, &found));
    }
    char line[VF_DIGEST_HEX + 2];
    vf_digest_to_hex (&package, line);
    put (store, "wheels/", &wheel, line);
    g_assert_false (vf_wheel_lookup (store, &wheel, &found));
    strcat (line, "\n");
    put (store, "wheels/", &wheel, line);
    g_assert_true (vf_wheel_lookup (store, &wheel, &found));
  }
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, "d", NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wheel-store/remember", test_remember);
  return g_test_run ();
}

#include "tools/store-probe.h"

#include <fcntl.h>

#include "layers/io.h"

static void
test_probe (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-probe-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "store", NULL);
  g_autoptr (VfStore) store = vf_store_open (path, NULL);
  VfStoreProbe probe;
  g_assert_true (vf_store_probe (store, &probe, NULL));
  g_assert_cmpstr (probe.type, !=, "");
  g_assert_true (probe.whiteouts);
  g_assert_cmpuint (probe.free_bytes, >, 0);
  /* It leaves nothing. */
  g_autofree char *tmp = g_build_filename (path, "tmp", NULL);
  g_autoptr (GDir) left = g_dir_open (tmp, 0, NULL);
  g_assert_null (g_dir_read_name (left));
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, "directory", NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/store-probe/probe", test_probe);
  return g_test_run ();
}

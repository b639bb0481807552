#include "layers/lease.h"

#include <sys/file.h>

#include "store-fixture.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void
test_lines (void)
{
  static const char *const paths[][2] = {
      {"image " HEX, "images/" HEX},
      {"package " HEX, "packages/" HEX},
      {"object BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
       "objects/ba/7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}};
  static const char *const bad[] = {"",  "image",          "image x",    "wheel " HEX,
                                    HEX, "image " HEX "0", "image  " HEX};
  VfDigest digest;
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autofree char *path = NULL;
    g_assert_true (vf_lease_parse_line (paths[i][0], &path, &digest));
    g_assert_cmpstr (path, ==, paths[i][1]);
  }
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    char *path = NULL;
    g_assert_false (vf_lease_parse_line (bad[i], &path, &digest));
    g_assert_null (path);
  }
}

static void
test_held_while_it_lives (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  store_write (fixture, "images/" HEX, "image");
  store_set_age (fixture, "images/" HEX, VF_STORE_GRACE_SECONDS);
  const char *const lines[] = {"image " HEX, NULL};
  VfLease *lease = vf_lease_new (fixture->store, lines, &error);
  g_assert_no_error (error);
  g_assert_cmpint (store_age (fixture, "images/" HEX), <, 60);
  g_assert_cmpuint (store_count (fixture, "leases"), ==, 1);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);

  g_autofree char *path = vf_store_path_of (fixture->store, "leases");
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  g_autofree char *file = g_build_filename (path, g_dir_read_name (dir), NULL);
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "image " HEX "\n");
  VF_AUTOFD fd = open (file, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (flock (fd, LOCK_SH | LOCK_NB), ==, -1);
  vf_lease_free (lease);
  g_assert_cmpuint (store_count (fixture, "leases"), ==, 0);
}

static void
test_refusals (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  const char *const absent[] = {"image " HEX, NULL}, *const wrong[] = {"wheel " HEX, NULL};
  g_assert_null (vf_lease_new (fixture->store, absent, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (vf_lease_new (fixture->store, wrong, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_assert_cmpuint (store_count (fixture, "leases"), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lease/lines", test_lines);
  FIXTURE_TEST ("/lease/held-while-it-lives", test_held_while_it_lives);
  FIXTURE_TEST ("/lease/refusals", test_refusals);
  return g_test_run ();
}

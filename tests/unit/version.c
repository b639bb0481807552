/* layers/version.c: PEP 440's normal forms. */
#include "layers/version.h"

static void
test_normalize (void)
{
  static const char *const cases[][2] = {
      {"1.0", "1"},
      {"1", "1"},
      {"0.0", "0"},
      {"1.0.10", "1.0.10"},
      {"v1.2", "1.2"},
      {" 01.02 ", "1.2"},
      {"1!2.0", "1!2"},
      {"0!2", "2"},
      {"1.0Alpha1", "1a1"},
      {"1.0-beta.2", "1b2"},
      {"1.0c3", "1rc3"},
      {"1.0_pre", "1rc0"},
      {"1.0-preview_4", "1rc4"},
      {"1.0.post2", "1.post2"},
      {"1.0-3", "1.post3"},
      {"1.0_3", "1.post3"},
      {"1.0rev", "1.post0"},
      {"1.0.dev07", "1.dev7"},
      {"1a1.post2.dev3+Local_7.01", "1a1.post2.dev3+local.7.1"},
      {"2024.1.0", "2024.1"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *normal = vf_version_normalize (cases[i][0]);
    g_assert_cmpstr (normal, ==, cases[i][1]);
  }
}

static void
test_none (void)
{
  static const char *const cases[] = {"",      "a",      "1..0", "1.0+",       "1.0+a..b",
                                      "2004d", "1.0x",   "1.",   "1.0-",       "!1",
                                      "1.0 1", "1.0+a!", "v",    "1.0dev1dev2"};
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_null (vf_version_normalize (cases[i]));
}

static void
test_equal (void)
{
  g_assert_true (vf_version_equal ("1.0", "1.0.0"));
  g_assert_true (vf_version_equal ("1.0+cpu_1", "1+CPU.1"));
  g_assert_false (vf_version_equal ("1.0", "1.0.1"));
  g_assert_false (vf_version_equal ("1.0", "1.0.post0"));
  g_assert_true (vf_version_equal ("2004d-x", "2004D_x"));
  g_assert_false (vf_version_equal ("2004d", "2004"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/version/normalize", test_normalize);
  g_test_add_func ("/version/none", test_none);
  g_test_add_func ("/version/equal", test_equal);
  return g_test_run ();
}

/* layers/wheel-info.c: names of files. What WHEEL and METADATA say is judged in
 * tests/integration/test_wheel_rules.py. */
#include "layers/wheel-private.h"

#include <string.h>

#include "layers/error.h"

static void
test_names (void)
{
  static const char *const cases[][3] = {
      {"demo-1.0-py3-none-any.whl", "demo", "1.0"},
      {"Demo.Pkg_x-1.0+cpu.1-1abc-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
       "Demo.Pkg_x", "1.0+cpu.1"},
      {"a-1!2.0_1-py2.py3-none-any.whl", "a", "1!2.0_1"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    VfWheel wheel = {.rules = {.what = "w"}};
    g_assert_true (vf_wheel_parse_name (&wheel, cases[i][0], NULL));
    g_assert_cmpstr (wheel.name, ==, cases[i][1]);
    g_assert_cmpstr (wheel.version, ==, cases[i][2]);
    g_free (wheel.name);
    g_free (wheel.version);
  }
}

static void
test_bad_names (void)
{
  g_autofree char *long_name = g_strnfill (256, 'n');
  g_autofree char *long_file = g_strconcat (long_name, "-1-py3-none-any.whl", NULL);
  const char *const cases[] = {"",
                               ".whl",
                               "----.whl",
                               "demo-1.0-py3-none-any",
                               "demo-1.0-py3-none-any.WHL",
                               "demo-1.0-py3-none.whl",
                               "demo-1.0-a-py3-none-any.whl",
                               "demo-1.0-1-2-py3-none-any.whl",
                               "de mo-1.0-py3-none-any.whl",
                               "demo-1/0-py3-none-any.whl",
                               "dém-1.0-py3-none-any.whl",
                               long_file};
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    VfWheel wheel = {.rules = {.what = "w"}};
    g_autoptr (GError) error = NULL;
    g_assert_false (vf_wheel_parse_name (&wheel, cases[i], &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
    g_assert_true (g_str_has_prefix (error->message, "w: rule file-name: "));
    g_assert_null (wheel.name);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wheel-info/names", test_names);
  g_test_add_func ("/wheel-info/bad-names", test_bad_names);
  return g_test_run ();
}

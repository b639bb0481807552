#include "tools/pip-options.h"

static void
test_collect (void)
{
  char *words[] = {
      (char *)"x",           (char *)"--pre",       (char *)"-f", (char *)"wheels",
      (char *)"-f",          (char *)"https://h/w", (char *)"-i", (char *)"https://h/s",
      (char *)"--no-binary", (char *)"a,b",         NULL};
  g_auto (GStrv) arguments = g_strdupv (words);
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_option_context_add_main_entries (context, vf_pip_option_entries, NULL);
  g_assert_true (g_option_context_parse_strv (context, &arguments, &error));
  g_assert_no_error (error);

  g_auto (GStrv) options = vf_pip_options_collect ();
  g_autofree char *wheels = g_canonicalize_filename ("wheels", NULL);
  g_autofree char *local = g_strconcat ("--find-links=", wheels, NULL);
  const char *expected[] = {"--index-url=https://h/s", local, "--find-links=https://h/w", "--pre",
                            "--no-binary=a,b",         NULL};
  g_assert_true (g_strv_equal ((const char *const *)options, expected));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pip-options/collect", test_collect);
  return g_test_run ();
}

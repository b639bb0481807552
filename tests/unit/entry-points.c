/* layers/entry-points.c */
#include "layers/entry-points.h"

#include <string.h>

#include "layers/error.h"

static VfPackage *
parse (const char *text, guint64 accepted, GError **error)
{
  VfRules rules = {.what = "w.whl", .accepted = accepted};
  g_autoptr (VfPackage) package = vf_package_new ("n", "1", "n-1.dist-info");
  if (!vf_entry_points_parse (text, strlen (text), &rules, package, error))
    return NULL;
  /* Sorts. */
  g_bytes_unref (vf_package_serialize (package));
  return g_steal_pointer (&package);
}

static void
expect_entry (const VfPackage *package, guint index, gboolean gui, const char *name,
              const char *module, const char *attribute)
{
  g_assert_cmpuint (package->entry_points->len, >, index);
  const VfEntryPoint *entry_point = &g_array_index (package->entry_points, VfEntryPoint, index);
  g_assert_cmpint (entry_point->gui, ==, gui);
  g_assert_cmpstr (entry_point->name, ==, name);
  g_assert_cmpstr (entry_point->module, ==, module);
  g_assert_cmpstr (entry_point->attribute, ==, attribute);
}

static void
test_sections (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfPackage) package = parse ("stray = x:y\n"
                                         "[console_scripts]\r\n"
                                         "  b-tool=pkg.cli : App.run [extra, more]\n"
                                         "# comment\n; comment\n\n"
                                         "A tool = pkg:main\n"
                                         "[pytest11]\nplugin = pkg.plugin\nno equals sign\n"
                                         "[gui_scripts]\ngui = pkg.gui:main",
                                         0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (package->entry_points->len, ==, 3);
  expect_entry (package, 0, FALSE, "A tool", "pkg", "main");
  expect_entry (package, 1, FALSE, "b-tool", "pkg.cli", "App.run");
  expect_entry (package, 2, TRUE, "gui", "pkg.gui", "main");
}

static void
test_same_name (void)
{
  g_autoptr (VfPackage) package = parse ("[gui_scripts]\nx = g:g\n[console_scripts]\nx = a:a\n"
                                         "y = a:a\ny = b:b\n",
                                         0, NULL);
  g_assert_cmpuint (package->entry_points->len, ==, 2);
  expect_entry (package, 0, TRUE, "x", "g", "g");
  expect_entry (package, 1, FALSE, "y", "b", "b");
}

static void
expect_broken (const char *line, const char *rule)
{
  g_autofree char *text = g_strconcat ("[console_scripts]\n", line, "\n", NULL);
  g_autoptr (GError) error = NULL;
  g_assert_null (parse (text, 0, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
  g_autofree char *prefix = g_strconcat ("w.whl: rule ", rule, ": ", NULL);
  g_assert_true (g_str_has_prefix (error->message, prefix));
}

static void
test_broken (void)
{
  static const char *const lines[] = {"x",         "x = m",     "x = m:",        "x = :f",
                                      "= m:f",     "x: m:f",    "x = m:f()",     "x = m;n:f",
                                      "x = m:f g", "x = m-n:f", "x = m:f [a] b", "x = m:f:g"};
  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    expect_broken (lines[i], "entry-point");
  expect_broken ("../x = m:f", "entry-point-name");
  expect_broken ("a/b = m:f", "entry-point-name");
  expect_broken ("a\\b = m:f", "entry-point-name");
  expect_broken (".. = m:f", "entry-point-name");
  expect_broken ("a\tb = m:f", "entry-point-name");
  expect_broken ("python = m:f", "reserved-name");
  expect_broken ("Python3.13t.exe = m:f", "reserved-name");
  g_autofree char *long_name = g_strnfill (256, 'x');
  g_autofree char *line = g_strconcat (long_name, " = m:f", NULL);
  expect_broken (line, "entry-point-name");
}

static void
test_accepted_is_left_out (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfPackage) package = parse ("[console_scripts]\nbad = m\ngood = m:f\n",
                                         G_GUINT64_CONSTANT (1) << VF_RULE_ENTRY_POINT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (package->entry_points->len, ==, 1);
  expect_entry (package, 0, FALSE, "good", "m", "f");
}

static void
test_reserved (void)
{
  static const char *const reserved[] = {"python",    "python3",       "python3.13", "python3.13t",
                                         "PYTHON3.9", "python.exe",    "python3.py", "pythonw",
                                         "python.py", "python3.13.py", "pypy",       "pypy3",
                                         "pypy3.10",  "pypy3.exe",     "graalpy",    "GraalPy.exe"};
  static const char *const free_names[] = {"python-config",
                                           "pythonic",
                                           "ipython",
                                           "pypyr",
                                           "python-argcomplete-check-easy-install-script",
                                           "py",
                                           "pytest",
                                           "python3-config",
                                           "bpython"};
  for (guint i = 0; i < G_N_ELEMENTS (reserved); i++)
    g_assert_true (vf_script_name_is_reserved (reserved[i]));
  for (guint i = 0; i < G_N_ELEMENTS (free_names); i++)
    g_assert_false (vf_script_name_is_reserved (free_names[i]));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/entry-points/sections", test_sections);
  g_test_add_func ("/entry-points/same-name", test_same_name);
  g_test_add_func ("/entry-points/broken", test_broken);
  g_test_add_func ("/entry-points/accepted-is-left-out", test_accepted_is_left_out);
  g_test_add_func ("/entry-points/reserved", test_reserved);
  return g_test_run ();
}

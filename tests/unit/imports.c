/* layers/imports.c */
#include "layers/imports.h"

#include <string.h>

/* What each version of CPython has made of the same module. */
static const char *const versions[] = {"38", "39", "310", "311", "312", "313"};

static void
append (const char *name, gsize length, gboolean is_from, gpointer user_data)
{
  g_string_append_printf (user_data, "%s%.*s", is_from ? "." : " ", (int)length, name);
}

static void
load (const char *version, char **out_pyc, gsize *out_length)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_strdup_printf ("cpython-%s", version);
  g_autofree char *path =
      g_test_build_filename (G_TEST_DIST, "..", "fuzz", "corpus", "imports", name, NULL);
  g_file_get_contents (path, out_pyc, out_length, &error);
  g_assert_no_error (error);
}

static void
test_versions (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (versions); i++) {
    g_autofree char *pyc = NULL;
    gsize length;
    g_autoptr (GString) told = g_string_new (NULL);
    load (versions[i], &pyc, &length);
    g_assert_true (vf_imports_scan ((const guint8 *)pyc, length, append, told));
    g_assert_cmpstr (told->str, ==,
                     " __future__.annotations os a.b.c.b.c .sibling.other up.name sub.deep"
                     " conditional fast late late.one");
  }
}

static void
test_refused (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (versions); i++) {
    g_autofree char *pyc = NULL;
    gsize length;
    g_autoptr (GString) told = g_string_new (NULL);
    load (versions[i], &pyc, &length);
    for (gsize cut = 0; cut < length; cut++) {
      g_autofree guint8 *part = g_memdup2 (pyc, cut);
      g_assert_false (vf_imports_scan (part, cut, append, told));
    }
    pyc[0]++;
    g_assert_false (vf_imports_scan ((const guint8 *)pyc, length, append, told));
    g_assert_cmpstr (told->str, ==, "");
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imports/versions", test_versions);
  g_test_add_func ("/imports/refused", test_refused);
  return g_test_run ();
}

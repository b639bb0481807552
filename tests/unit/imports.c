/* layers/imports.c */
#include "layers/imports.h"

#include <string.h>

/* What each version of CPython has made of the same module. */
static const char *const versions[] = {"38", "39", "310", "311", "312", "313", "314", "315"};

static void
append (const char *name, gsize length, gboolean is_from, gpointer user_data)
{
  g_string_append_printf (user_data, "%s%.*s", is_from ? "." : " ", (int)length, name);
}

static GBytes *
load (const char *version)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_strdup_printf ("cpython-%s", version);
  g_autofree char *path =
      g_test_build_filename (G_TEST_DIST, "..", "fuzz", "corpus", "imports", name, NULL);
  char *pyc;
  gsize length;
  g_file_get_contents (path, &pyc, &length, &error);
  g_assert_no_error (error);
  return g_bytes_new_take (pyc, length);
}

/* What is told of the first @length bytes, behind "refused" if they are. */
static void
assert_told (const guint8 *pyc, gsize length, const char *expected)
{
  g_autoptr (GString) told = g_string_new (NULL);
  g_autofree guint8 *copy = g_memdup2 (pyc, length);
  if (!vf_imports_scan (copy, length, append, told))
    g_string_prepend (told, "refused");
  g_assert_cmpstr (told->str, ==, expected);
}

static void
test_versions (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (versions); i++) {
    g_autoptr (GBytes) bytes = load (versions[i]);
    gsize length;
    const guint8 *pyc = g_bytes_get_data (bytes, &length);
    assert_told (pyc, length,
                 " __future__.annotations os a.b.c.b.c .sibling.other up.name sub.deep"
                 " conditional fast late late.one");
    for (gsize cut = 0; cut < length; cut++)
      assert_told (pyc, cut, "refused");
  }
}

static void
test_lazy (void)
{
  g_autoptr (GBytes) bytes = load ("315-lazy");
  gsize length;
  const guint8 *pyc = g_bytes_get_data (bytes, &length);
  assert_told (pyc, length, " now eager.name tried");
}

static void
test_unknown_version (void)
{
  g_autoptr (GBytes) bytes = load (versions[0]);
  gsize length = g_bytes_get_size (bytes);
  g_autofree guint8 *pyc = g_memdup2 (g_bytes_get_data (bytes, NULL), length);
  pyc[0]++;
  assert_told (pyc, length, "refused");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/imports/versions", test_versions);
  g_test_add_func ("/imports/lazy", test_lazy);
  g_test_add_func ("/imports/unknown-version", test_unknown_version);
  return g_test_run ();
}

/* layers/import-order.c */
#include "layers/import-order.h"

#include <string.h>

#include "tests/unit/image-fixture.h"

#define SITE "lib/python3.13/site-packages/"
#define C    "__pycache__"

static void
add_u32 (GByteArray *bytes, guint32 value)
{
  value = GUINT32_TO_LE (value);
  g_byte_array_append (bytes, (const guint8 *)&value, sizeof value);
}

/* A .pyc of CPython 3.13 that does no more than @imports, separated by spaces: "a.b" is imported,
 * ":c" taken from what was imported last. */
static GByteArray *
compile (const char *imports)
{
  static const guint8 header[16] = {0xf3, 0x0d, '\r', '\n'}, numbers[20] = {0};
  g_auto (GStrv) words = g_strsplit (imports, " ", -1);
  guint8 n = (guint8)g_strv_length (words);
  GByteArray *pyc = g_byte_array_new ();
  g_byte_array_append (pyc, header, sizeof header);
  g_byte_array_append (pyc, (const guint8 *)"c", 1);
  g_byte_array_append (pyc, numbers, sizeof numbers);
  g_byte_array_append (pyc, (const guint8 *)"s", 1);
  add_u32 (pyc, n * 2u);
  for (guint8 i = 0; i < n; i++)
    g_byte_array_append (pyc, (const guint8[]){words[i][0] == ':' ? 74 : 75, i}, 2);
  g_byte_array_append (pyc, (const guint8[]){')', 0, ')', n}, 4);
  for (guint8 i = 0; i < n; i++) {
    const char *name = words[i] + (words[i][0] == ':');
    g_byte_array_append (pyc, (const guint8[]){'z', (guint8)strlen (name)}, 2);
    g_byte_array_append (pyc, (const guint8 *)name, (guint)strlen (name));
  }
  g_byte_array_append (pyc, (const guint8 *)"NNNNN\0\0\0\0NN", 11);
  return pyc;
}

/* @modules: path without suffix and imports, in pairs, up to NULL. */
static VfImage *
make_image (Fixture *fixture, const char *const *modules)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfTree) tree = vf_tree_new ();
  for (; *modules; modules += 2) {
    g_autofree char *path = g_strconcat (SITE, modules[0], ".cpython-313.pyc", NULL);
    g_autoptr (GByteArray) pyc = compile (modules[1]);
    g_assert_true (vf_tree_add_inline (tree, path, 0644, pyc->data, pyc->len, &error));
    g_assert_no_error (error);
  }
  g_assert_true (vf_tree_add_inline (tree, SITE "damaged/" C "/__init__.cpython-313.pyc", 0644,
                                     "\xf3\x0d\r\nnonsense", 12, &error));
  g_assert_true (vf_tree_write_image (tree, &image_id, fixture->fd, "image", &error));
  g_assert_no_error (error);
  VfImage *image = vf_image_open (fixture->fd, "image", &error);
  g_assert_no_error (error);
  return image;
}

static void
start (VfImportOrder *order, VfImage *image, const char *directory)
{
  g_autofree char *path = g_strconcat (SITE, directory, NULL);
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, path, &node), ==, 0);
  vf_import_order_start (order, node.index);
}

/* @n more directories, separated by spaces. */
static char *
tell (VfImportOrder *order, VfImage *image, guint n)
{
  g_autoptr (GString) told = g_string_new (NULL);
  guint32 directory;
  while (n > 0 && vf_import_order_next (order, &directory)) {
    VfImageNode node;
    if (directory == 0)
      continue;
    n--;
    g_assert_cmpint (vf_image_get (image, directory, &node), ==, 0);
    g_autofree char *path = vf_image_path_of (image, &node);
    g_assert_true (g_str_has_prefix (path, SITE));
    g_string_append_printf (told, "%s%s", told->len ? " " : "", path + strlen (SITE));
  }
  return g_string_free (g_steal_pointer (&told), FALSE);
}

/* Each directory once, in the order in which the interpreter would come to them: a name may be that
 * of a neighbour, of something above or of something in site-packages; what is taken from a package
 * may be a module of it; what is nowhere here belongs to the standard library. */
static void
test_followed (Fixture *fixture, gconstpointer unused)
{
  static const char *const modules[] = {"top/" C "/__init__",
                                        "os sub :inner :nothing other.deep : :late",
                                        "top/" C "/late",
                                        "",
                                        "top/sub/" C "/__init__",
                                        "",
                                        "top/sub/" C "/inner",
                                        "single up :thing",
                                        "top/up/" C "/__init__",
                                        "",
                                        "top/up/thing/" C "/__init__",
                                        "",
                                        "other/" C "/__init__",
                                        "top",
                                        "other/deep/" C "/__init__",
                                        "damaged",
                                        C "/single",
                                        "other.deep.nowhere",
                                        "unrelated/" C "/__init__",
                                        "top",
                                        NULL};
  g_autoptr (VfImage) image = make_image (fixture, modules);
  VfImportOrder *order = vf_import_order_new (NULL, image);
  g_autofree char *nothing = tell (order, image, 1);
  g_assert_cmpstr (nothing, ==, "");
  start (order, image, "top/" C);
  g_autofree char *all = tell (order, image, G_MAXUINT);
  g_assert_cmpstr (all, ==,
                   "top/" C " top/sub/" C " " C " other/" C " other/deep/" C " damaged/" C
                   " top/up/" C " top/up/thing/" C);
  start (order, image, "top/" C);
  start (order, image, "unrelated/" C);
  g_autofree char *more = tell (order, image, G_MAXUINT);
  g_assert_cmpstr (more, ==, "unrelated/" C);
  vf_import_order_free (order);
}

/* Where an import is comes before what is left of where it was. */
static void
test_the_last_first (Fixture *fixture, gconstpointer unused)
{
  static const char *const modules[] = {"a/" C "/__init__",
                                        "b c",
                                        "b/" C "/__init__",
                                        "",
                                        "c/" C "/__init__",
                                        "",
                                        "d/" C "/__init__",
                                        "e",
                                        "e/" C "/__init__",
                                        "",
                                        NULL};
  g_autoptr (VfImage) image = make_image (fixture, modules);
  VfImportOrder *order = vf_import_order_new (NULL, image);
  start (order, image, "a/" C);
  g_autofree char *first = tell (order, image, 2);
  g_assert_cmpstr (first, ==, "a/" C " b/" C);
  start (order, image, "d/" C);
  g_autofree char *second = tell (order, image, G_MAXUINT);
  g_assert_cmpstr (second, ==, "d/" C " e/" C " c/" C);
  vf_import_order_free (order);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/import-order/followed", test_followed);
  FIXTURE_TEST ("/import-order/the-last-first", test_the_last_first);
  return g_test_run ();
}

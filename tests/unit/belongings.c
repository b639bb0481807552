/* layers/belongings.c */
#include "tests/unit/merge-fixture.h"

#include "layers/belongings.h"
#include "layers/tree.h"

static const char RECORD[] = "one_two/__init__.py,,\n"
                             "one_two/__pycache__/__init__.cpython-313.pyc,,\n"
                             "./one_two//odd.py,,\n"
                             "../../../bin/one,,\n"
                             "../../../../outside,,\n"
                             "/absolute,,\n"
                             "one_two-1.0.dist-info/RECORD,,\n";
#define EXPECTED                                                                                   \
  "bin/one " SITE "one_two-1.0.dist-info/RECORD " SITE "one_two/__init__.py " SITE                 \
  "one_two/__pycache__/__init__.cpython-313.pyc " SITE "one_two/odd.py"

static void
assert_paths (VfBelongings *belongings, const char *expected)
{
  g_auto (GStrv) paths = vf_belongings_paths (belongings);
  g_autofree char *joined = g_strjoinv (" ", paths);
  g_assert_cmpstr (joined, ==, expected);
}

static void
test_image (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfTree) tree = vf_tree_new ();
  VfDigest id = {{0}};
  vf_tree_add_inline (tree, SITE "one_two-1.0.dist-info/RECORD", 0644, RECORD, strlen (RECORD),
                      &error);
  vf_tree_add_inline (tree, SITE "other-1.0.dist-info/RECORD", 0644, "other.py,,\n", 11, &error);
  vf_tree_add_inline (tree, SITE "one_two-not-info", 0644, "x", 1, &error);
  vf_tree_write_image (tree, &id, vf_store_fd (fixture->store), "image", &error);
  g_autoptr (VfImage) image = vf_image_open (vf_store_fd (fixture->store), "image", &error);
  g_assert_no_error (error);

  const char *names[] = {"One.Two", "absent", NULL}, *none[] = {NULL};
  g_autoptr (VfBelongings) belongings = vf_belongings_new (names);
  g_assert_true (vf_belongings_add_image (belongings, image, &error));
  assert_paths (belongings, EXPECTED);
  g_autoptr (VfBelongings) empty = vf_belongings_new (none);
  g_assert_true (vf_belongings_add_image (empty, image, &error));
  assert_paths (empty, "");
}

static void
write_file (const char *root, const char *path, const char *text)
{
  g_autofree char *full = g_build_filename (root, path, NULL);
  g_autofree char *folder = g_path_get_dirname (full);
  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  g_assert_true (g_file_set_contents (full, text, -1, NULL));
}

static void
test_directory (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *root = g_build_filename (vf_store_path (fixture->store), "tree", NULL);
  const char *names[] = {"one-two", "damaged", "without", NULL};
  g_autoptr (VfBelongings) belongings = vf_belongings_new (names);
  g_assert_true (vf_belongings_add_directory (belongings, root, &error));
  assert_paths (belongings, "");
  write_file (root, SITE "one_two-1.0.dist-info/RECORD", RECORD);
  write_file (root, SITE "damaged-1.0.dist-info/RECORD", "a,b,c,d\n");
  write_file (root, SITE "without-1.0.dist-info/METADATA", "");
  write_file (root, SITE "other-1.0.dist-info/RECORD", "other.py,,\n");
  g_assert_true (vf_belongings_add_directory (belongings, root, &error));
  assert_paths (belongings, EXPECTED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/belongings/image", Fixture, NULL, fixture_set_up, test_image, fixture_tear_down);
  g_test_add ("/belongings/directory", Fixture, NULL, fixture_set_up, test_directory,
              fixture_tear_down);
  return g_test_run ();
}

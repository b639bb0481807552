#include "layers/tree.h"

#include <string.h>

#include "layers/error.h"

static VfDigest
digest_of (const char *text)
{
  VfDigest digest;
  vf_digest_of (text, strlen (text), &digest);
  return digest;
}

static void
test_parents_and_replacing (void)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  VfDigest one = digest_of ("one"), two = digest_of ("two"), found;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (vf_tree_n_nodes (tree), ==, 1);
  g_assert_true (vf_tree_add_file (tree, "a/b/c.py", 0644, 3, &one, &error));
  g_assert_cmpuint (vf_tree_n_nodes (tree), ==, 4);
  g_assert_cmpint (vf_tree_find (tree, "", NULL), ==, VF_NODE_DIRECTORY);
  g_assert_cmpint (vf_tree_find (tree, "a", NULL), ==, VF_NODE_DIRECTORY);
  g_assert_cmpint (vf_tree_find (tree, "a/b", NULL), ==, VF_NODE_DIRECTORY);
  g_assert_cmpint (vf_tree_find (tree, "a/b/c.py", &found), ==, VF_NODE_FILE);
  g_assert_true (vf_digest_equal (&found, &one));
  g_assert_cmpint (vf_tree_find (tree, "a/b/d.py", NULL), ==, 0);
  g_assert_cmpint (vf_tree_find (tree, "a/x/c.py", NULL), ==, 0);
  g_assert_cmpint (vf_tree_find (tree, "a/b/c.py/d", NULL), ==, 0);

  g_assert_true (vf_tree_add_file (tree, "a/b/c.py", 0644, 3, &two, &error));
  g_assert_true (vf_tree_add_inline (tree, "a/b/d.py", 0644, "two", 3, &error));
  g_assert_cmpuint (vf_tree_n_nodes (tree), ==, 5);
  vf_tree_find (tree, "a/b/c.py", &found);
  g_assert_true (vf_digest_equal (&found, &two));
  vf_tree_find (tree, "a/b/d.py", &found);
  g_assert_true (vf_digest_equal (&found, &two));
  g_assert_true (vf_tree_add_symlink (tree, "a/b/d.py", "c.py", &error));
  g_assert_cmpint (vf_tree_find (tree, "a/b/d.py", NULL), ==, VF_NODE_SYMLINK);
  g_assert_true (vf_tree_add_view (tree, "a/b/d.py", 0755, "x", 1, &error));
  g_assert_cmpint (vf_tree_find (tree, "a/b/d.py", NULL), ==, VF_NODE_VIEW);
  g_assert_true (vf_tree_add_directory (tree, "a", 0700, &error));
  g_assert_true (vf_tree_add_directory (tree, "", 0700, &error));
  g_assert_no_error (error);
}

static void
assert_refused (VfTree *tree, const char *path)
{
  g_autoptr (GError) error = NULL;
  gsize n = vf_tree_n_nodes (tree);
  g_assert_false (vf_tree_add_inline (tree, path, 0644, "", 0, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_assert_true (g_str_has_prefix (error->message, path));
  g_assert_cmpuint (vf_tree_n_nodes (tree), ==, n);
}

static void
test_refused (void)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *longest = g_strnfill (255, 'n');
  g_autofree char *too_long = g_strnfill (256, 'n');
  g_autofree char *long_target = g_strnfill (4096, 't');

  g_assert_true (vf_tree_add_inline (tree, "d/f", 0644, "", 0, &error));
  g_assert_true (vf_tree_add_inline (tree, longest, 0644, "", 0, &error));
  g_assert_no_error (error);
  const char *bad[] = {"",       "/",   "/a",   "a/",    "d//f",   ".", "..",    "d/..",
                       "d/../f", "./f", "d/f/", "d/f/g", "d/./f2", "d", too_long};
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_refused (tree, bad[i]);
  g_assert_false (vf_tree_add_directory (tree, "d/f", 0755, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_false (vf_tree_add_symlink (tree, "l", "", &error));
  g_clear_error (&error);
  g_assert_false (vf_tree_add_symlink (tree, "l", long_target, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_assert_cmpint (vf_tree_find (tree, "l", NULL), ==, 0);
}

/* Enough nodes to make the table grow several times. */
static void
test_many (void)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  for (int i = 0; i < 5000; i++) {
    g_autofree char *path = g_strdup_printf ("d%d/f%d", i % 17, i);
    g_assert_true (vf_tree_add_inline (tree, path, 0644, path, strlen (path), NULL));
  }
  g_assert_cmpuint (vf_tree_n_nodes (tree), ==, 5018);
  for (int i = 0; i < 5000; i++) {
    g_autofree char *path = g_strdup_printf ("d%d/f%d", i % 17, i);
    g_autofree char *absent = g_strdup_printf ("d%d/f%d", (i + 1) % 17, i);
    VfDigest expected = digest_of (path), found;
    g_assert_cmpint (vf_tree_find (tree, path, &found), ==, VF_NODE_FILE);
    g_assert_true (vf_digest_equal (&found, &expected));
    g_assert_cmpint (vf_tree_find (tree, absent, NULL), ==, 0);
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tree/parents-and-replacing", test_parents_and_replacing);
  g_test_add_func ("/tree/refused", test_refused);
  g_test_add_func ("/tree/many", test_many);
  return g_test_run ();
}

#include "layers/image-layout.h"

#include <string.h>

/* @n empty files in directories of @per_directory, added from the last to the first if @reverse. */
static VfTree *
make_tree (guint n, guint per_directory, gboolean reverse)
{
  VfTree *tree = vf_tree_new ();
  for (guint i = 0; i < n; i++) {
    guint k = reverse ? n - 1 - i : i;
    g_autofree char *path = g_strdup_printf ("d%u/sub/f%u", k / per_directory, k);
    g_assert_true (vf_tree_add_inline (tree, path, 0644, "", 0, NULL));
  }
  return tree;
}

static void
test_order (void)
{
  g_autoptr (VfTree) tree = make_tree (1000, 10, FALSE);
  g_auto (VfLayout) layout = {0};
  g_assert_true (vf_layout_init (&layout, tree, "x", NULL));
  g_assert_cmpuint (layout.n, ==, 1201);
  g_assert_cmpuint (layout.n_children[0], ==, 100);
  g_assert_cmpuint (layout.n_directories[0], ==, 100);
  guint32 next = 1;
  for (guint32 i = 0; i < layout.n; i++) {
    g_assert_true (i == 0 || layout.parents[i] < i);
    if (layout.n_children[i] == 0)
      continue;
    g_assert_cmpuint (layout.first_children[i], ==, next);
    for (guint32 k = 0; k < layout.n_children[i]; k++, next++) {
      g_assert_cmpuint (layout.parents[next], ==, i);
      if (k > 0)
        g_assert_cmpuint (layout.nodes[next - 1]->name_hash, <, layout.nodes[next]->name_hash);
    }
  }
  g_assert_cmpuint (next, ==, layout.n);
}

/* With ids of 11 bits, 1,200 nodes collide hundreds of times; each still gets its own, the same in
 * whichever order they came. */
static void
test_collisions (void)
{
  g_autoptr (VfTree) tree = make_tree (1000, 10, FALSE);
  g_autoptr (VfTree) same = make_tree (1000, 10, TRUE);
  g_auto (VfLayout) layout = {0};
  g_auto (VfLayout) again = {0};
  guint salted = 0;
  tree->id_bits = same->id_bits = 11;
  g_assert_true (vf_layout_init (&layout, tree, "x", NULL));
  g_assert_true (vf_layout_init (&again, same, "x", NULL));
  g_assert_cmpmem (layout.ids, layout.n * sizeof (guint64), again.ids, again.n * sizeof (guint64));
  for (guint32 i = 0; i < layout.n; i++) {
    g_assert_cmpuint (layout.ids[i], <, 1 << 11);
    g_assert_true ((layout.ids[i] == VF_IMAGE_ROOT_ID) == (i == 0));
    g_assert_cmpuint (layout.ids[i], !=, 0);
    g_assert_cmpuint (layout.sorted[i].id, ==, layout.ids[layout.sorted[i].index]);
    g_assert_true (i == 0 || layout.sorted[i - 1].id < layout.sorted[i].id);
    salted += layout.salts[i] > 0;
  }
  g_assert_cmpuint (salted, >, 100);
}

/* More nodes than there are ids. */
static void
test_too_many (void)
{
  g_autoptr (VfTree) tree = make_tree (100, 10, FALSE);
  g_auto (VfLayout) layout = {0};
  g_autoptr (GError) error = NULL;
  tree->id_bits = 5;
  g_assert_false (vf_layout_init (&layout, tree, "x", &error));
  g_assert_nonnull (strstr (error->message, "x: too many nodes with one id"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image-layout/order", test_order);
  g_test_add_func ("/image-layout/collisions", test_collisions);
  g_test_add_func ("/image-layout/too-many", test_too_many);
  return g_test_run ();
}

#include "layers/tree.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "image-fixture.h"

static VfImage *
write_and_open (Fixture *fixture, VfTree *tree, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_tree_write_image (tree, &image_id, fixture->fd, name, &error));
  VfImage *image = vf_image_open (fixture->fd, name, &error);
  g_assert_no_error (error);
  return image;
}

/* Adds @n files, symlinks and views in up to @n / 8 directories, in an order that @seed shuffles.
 */
static VfTree *
make_tree (guint n, guint32 seed)
{
  VfTree *tree = vf_tree_new ();
  g_autoptr (GRand) random = g_rand_new_with_seed (seed);
  g_autofree guint *order = g_new (guint, n);
  for (guint i = 0; i < n; i++)
    order[i] = i;
  for (guint i = n; i > 1; i--) {
    guint k = (guint)g_rand_int_range (random, 0, (gint32)i), value = order[i - 1];
    order[i - 1] = order[k];
    order[k] = value;
  }
  for (guint k = 0; k < n; k++) {
    guint i = order[k];
    g_autofree char *path = g_strdup_printf ("d%u/e%u/__init__%u.py", i % 7, i % (n / 8), i / 2);
    if (i % 2)
      path[strlen (path) - 1] = 't';
    VfDigest digest;
    vf_digest_of (path, strlen (path), &digest);
    if (i % 5 == 0)
      vf_tree_add_symlink (tree, path, "../target", NULL);
    else if (i % 5 == 1)
      vf_tree_add_view (tree, path, 0755, path, strlen (path), NULL);
    else if (i % 5 == 2)
      vf_tree_add_inline (tree, path, 0600, path, i % strlen (path), NULL);
    else
      vf_tree_add_file (tree, path, 0644, i, &digest, NULL);
  }
  return tree;
}

static void
test_reproducible (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GBytes) first = NULL;
  for (guint32 seed = 1; seed <= 3; seed++) {
    g_autofree char *name = g_strdup_printf ("image%u", seed);
    g_autoptr (VfTree) tree = make_tree (800, seed);
    g_autoptr (VfImage) image = write_and_open (fixture, tree, name);
    g_autoptr (GBytes) bytes = vf_read_file (fixture->fd, name, G_MAXINT, name, NULL);
    if (!first)
      first = g_steal_pointer (&bytes);
    else
      g_assert_true (g_bytes_equal (first, bytes));
  }
}

static void
test_empty (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (VfImage) image = write_and_open (fixture, tree, "empty");
  VfImageNode node;
  g_assert_cmpuint (vf_image_n_nodes (image), ==, 1);
  g_assert_cmpint (vf_image_lookup_path (image, "", &node), ==, 0);
  g_assert_cmpuint (node.id, ==, VF_IMAGE_ROOT_ID);
  g_assert_cmpuint (node.n_children, ==, 0);
  g_assert_cmpuint (node.mode, ==, 0755);
  g_assert_cmpint (vf_image_lookup (image, 0, "a", 1, &node), ==, -ENOENT);
  g_assert_true (vf_image_verify (image, NULL));
}

/* What an id and an mtime depend on. */
static void
test_identity (Fixture *fixture, gconstpointer unused)
{
  const char *contents[] = {"1.0", "2.0"};
  VfImageNode dir[2], sub[2], file[2], other[2];
  for (int i = 0; i < 2; i++) {
    g_autofree char *name = g_strdup_printf ("identity%d", i);
    g_autoptr (VfTree) tree = vf_tree_new ();
    vf_tree_add_inline (tree, "d/sub/version.py", 0644, contents[i], 3, NULL);
    vf_tree_add_inline (tree, "d/other.py", 0644, "x", 1, NULL);
    g_autoptr (VfImage) image = write_and_open (fixture, tree, name);
    g_assert_cmpint (vf_image_lookup_path (image, "d", &dir[i]), ==, 0);
    g_assert_cmpint (vf_image_lookup_path (image, "d/sub", &sub[i]), ==, 0);
    g_assert_cmpint (vf_image_lookup_path (image, "d/sub/version.py", &file[i]), ==, 0);
    g_assert_cmpint (vf_image_lookup_path (image, "d/other.py", &other[i]), ==, 0);
    VfDigest digest;
    vf_digest_of (contents[i], 3, &digest);
    g_assert_cmpint (file[i].mtime, ==, vf_content_mtime (&digest));
  }
  g_assert_cmphex (dir[0].id, ==, dir[1].id);
  g_assert_cmphex (sub[0].id, ==, sub[1].id);
  g_assert_cmphex (other[0].id, ==, other[1].id);
  g_assert_cmphex (file[0].id, !=, file[1].id);
  g_assert_cmpint (file[0].mtime, !=, file[1].mtime);
  g_assert_cmpint (sub[0].mtime, !=, sub[1].mtime); /* its listing has a new file */
  g_assert_cmpint (dir[0].mtime, ==, dir[1].mtime); /* its own listing is the same */
}

static void
test_failures (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (GError) error = NULL;
  struct stat st;
  mode_t umask_before = umask (0777);
  g_assert_true (vf_tree_write_image (tree, &image_id, fixture->fd, "i", &error));
  umask (umask_before);
  g_assert_cmpint (fstatat (fixture->fd, "i", &st, 0), ==, 0);
  g_assert_cmpuint (st.st_mode & 0777, ==, 0444);
  g_assert_false (vf_tree_write_image (tree, &image_id, fixture->fd, "i", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, EEXIST);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) FIXTURE_TEST ("/image-write/" name, function)
  ADD ("reproducible", test_reproducible);
  ADD ("empty", test_empty);
  ADD ("identity", test_identity);
  ADD ("failures", test_failures);
  return g_test_run ();
}

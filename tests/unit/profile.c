/* layers/profile.c */
#include "layers/profile.h"
#include "layers/tree.h"

#include "tests/unit/store-fixture.h"

static const VfDigest image_id = {"an image id"};

static char *
profile_path (void)
{
  return vf_digest_path ("cache/reads-", &image_id);
}

static VfProfile *
write_and_open (Fixture *fixture, const VfProfile *known, const VfProfileRange *more, gsize n_more)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_profile_write (known, more, n_more, fixture->store, &image_id, &error));
  g_assert_no_error (error);
  return vf_profile_open (fixture->store, &image_id);
}

static void
assert_group (const VfProfile *profile, guint32 group, gsize n, const VfProfileRange *wanted)
{
  gsize found;
  const VfProfileRange *ranges = vf_profile_group (profile, group, &found);
  g_assert_cmpuint (found, ==, n);
  g_assert_true ((ranges == NULL) == (n == 0));
  for (gsize i = 0; i < n; i++)
    g_assert_cmpmem (&ranges[i], sizeof *ranges, &wanted[i], sizeof *wanted);
}

static void
test_none (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfProfile) profile = vf_profile_open (fixture->store, &image_id);
  assert_group (profile, 0, 0, NULL);
}

/* @groups: 0 behind the last. */
static void
assert_order (const VfProfile *profile, const guint32 *groups)
{
  for (gsize i = 0; groups[i] != 0; i++)
    g_assert_cmpuint (vf_profile_next_group (profile, groups[i]), ==, groups[i + 1]);
}

/* By group, in it in the order of reading, overlaps and neighbours joined. */
static void
test_order (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfProfile) none = vf_profile_open (fixture->store, &image_id);
  const VfProfileRange read[] = {{9, 50, 0, 1},  {4, 30, 8, 2}, {4, 20, 0, 1}, {4, 30, 0, 4},
                                 {4, 30, 3, 2},  {4, 30, 9, 5}, {9, 40, 7, 1}, {9, 50, 1, 1},
                                 {9, 40, 5, 10}, {4, 20, 0, 1}, {9, 40, 20, 1}};
  g_autoptr (VfProfile) profile = write_and_open (fixture, none, read, G_N_ELEMENTS (read));
  assert_group (profile, 4, 3,
                (const VfProfileRange[]){{4, 30, 0, 5}, {4, 30, 8, 6}, {4, 20, 0, 1}});
  assert_group (profile, 9, 3,
                (const VfProfileRange[]){{9, 50, 0, 2}, {9, 40, 5, 10}, {9, 40, 20, 1}});
  assert_group (profile, 5, 0, NULL);
  assert_group (profile, 10, 0, NULL);
  assert_order (profile, (const guint32[]){9, 4, 0});
  g_assert_cmpuint (vf_profile_next_group (profile, 5), ==, 0);
}

/* Groups stand in the order in which imports came to them; a new one behind the one before it,
 * wherever else an import went back to in between. */
static void
test_order_of_groups (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfProfile) none = vf_profile_open (fixture->store, &image_id);
  const VfProfileRange first[] = {{8, 1, 0, 1}, {3, 2, 0, 1}, {8, 4, 0, 1}, {5, 3, 0, 1}};
  g_autoptr (VfProfile) profile = write_and_open (fixture, none, first, G_N_ELEMENTS (first));
  assert_order (profile, (const guint32[]){8, 3, 5, 0});
  const VfProfileRange second[] = {{9, 9, 0, 1}, {3, 2, 0, 1}, {1, 7, 0, 1},
                                   {8, 1, 0, 1}, {2, 8, 0, 1}, {3, 6, 0, 1}};
  g_autoptr (VfProfile) more = write_and_open (fixture, profile, second, G_N_ELEMENTS (second));
  assert_order (more, (const guint32[]){8, 2, 3, 1, 5, 9, 0});
  assert_group (more, 3, 2, (const VfProfileRange[]){{3, 2, 0, 1}, {3, 6, 0, 1}});
}

static void
test_added (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfProfile) none = vf_profile_open (fixture->store, &image_id);
  g_autoptr (VfProfile) first =
      write_and_open (fixture, none, (const VfProfileRange[]){{4, 30, 0, 4}, {4, 20, 0, 1}}, 2);
  g_autoptr (VfProfile) second = write_and_open (
      fixture, first, (const VfProfileRange[]){{4, 10, 0, 1}, {4, 30, 4, 1}, {3, 2, 0, 1}}, 3);
  assert_group (second, 4, 3,
                (const VfProfileRange[]){{4, 30, 0, 5}, {4, 20, 0, 1}, {4, 10, 0, 1}});
  assert_group (second, 3, 1, (const VfProfileRange[]){{3, 2, 0, 1}});
  g_autofree char *relative = profile_path ();
  g_assert_cmpint (store_stat (fixture, relative).st_size, ==, 16 + 4 * 16);
}

static void
test_not_endless (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfProfile) none = vf_profile_open (fixture->store, &image_id);
  g_autofree VfProfileRange *read = g_new0 (VfProfileRange, VF_PROFILE_MAX_RANGES + 7);
  for (guint32 i = 0; i < VF_PROFILE_MAX_RANGES + 7; i++)
    read[i] = (VfProfileRange){1, i, 0, 1};
  g_autoptr (VfProfile) profile = write_and_open (fixture, none, read, VF_PROFILE_MAX_RANGES + 7);
  gsize n;
  g_assert_nonnull (vf_profile_group (profile, 1, &n));
  g_assert_cmpuint (n, ==, VF_PROFILE_MAX_RANGES);
}

static void
assert_ignored (Fixture *fixture, const char *bytes, gsize length)
{
  g_autofree char *relative = profile_path ();
  g_autofree char *path = vf_store_path_of (fixture->store, relative);
  g_assert_true (g_file_set_contents (path, bytes, (gssize)length, NULL));
  g_autoptr (VfProfile) profile = vf_profile_open (fixture->store, &image_id);
  assert_group (profile, 1, 0, NULL);
  assert_group (profile, 2, 0, NULL);
}

static void
test_damaged (Fixture *fixture, gconstpointer unused)
{
  static const char of_two[16] = {2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
  static const char of_one[16] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
  assert_ignored (fixture, "", 0);
  assert_ignored (fixture, "venvfs reads 2\n", 15);
  assert_ignored (fixture,
                  "venvfs reads 1\n\0"
                  "0123456789abcdef",
                  32);
  assert_ignored (fixture,
                  "venvfs reads 2\n\0"
                  "0123456789abcde",
                  31);
  g_autoptr (GString) torn = g_string_new_len ("venvfs reads 2\n", 16);
  g_string_append_len (torn, of_two, sizeof of_two);
  g_string_append_len (torn, of_one, sizeof of_one);
  g_string_append_len (torn, of_two, sizeof of_two);
  assert_ignored (fixture, torn->str, torn->len);
}

/* The top directory of a distribution, or the directory itself where there is none. */
static void
test_group_of (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (GError) error = NULL;
  const char *const paths[] = {"lib/python3.13/site-packages/pkg/sub/__pycache__/m.pyc",
                               "lib/python3.13/site-packages/__pycache__/six.pyc",
                               "other/__pycache__/x.pyc"};
  for (gsize i = 0; i < G_N_ELEMENTS (paths); i++)
    g_assert_true (vf_tree_add_inline (tree, paths[i], 0644, "x", 1, &error));
  g_assert_true (
      vf_tree_write_image (tree, &image_id, vf_store_fd (fixture->store), "tmp/image", &error));
  g_assert_no_error (error);
  g_autoptr (VfImage) image = vf_image_open (vf_store_fd (fixture->store), "tmp/image", &error);
  g_assert_no_error (error);

  const char *const groups[][2] = {
      {"lib/python3.13/site-packages/pkg/sub/__pycache__", "lib/python3.13/site-packages/pkg"},
      {"lib/python3.13/site-packages/pkg", "lib/python3.13/site-packages/pkg"},
      {"lib/python3.13/site-packages/__pycache__", "lib/python3.13/site-packages/__pycache__"},
      {"lib/python3.13/site-packages", "lib/python3.13/site-packages"},
      {"other/__pycache__", "other/__pycache__"},
      {"", ""}};
  for (gsize i = 0; i < G_N_ELEMENTS (groups); i++) {
    VfImageNode directory, group;
    g_assert_cmpint (vf_image_lookup_path (image, groups[i][0], &directory), ==, 0);
    g_assert_cmpint (vf_image_lookup_path (image, groups[i][1], &group), ==, 0);
    g_assert_cmpuint (vf_profile_group_of (image, directory.index), ==, group.index);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/profile/none", test_none);
  FIXTURE_TEST ("/profile/order", test_order);
  FIXTURE_TEST ("/profile/order-of-groups", test_order_of_groups);
  FIXTURE_TEST ("/profile/added", test_added);
  FIXTURE_TEST ("/profile/not-endless", test_not_endless);
  FIXTURE_TEST ("/profile/damaged", test_damaged);
  FIXTURE_TEST ("/profile/group-of", test_group_of);
  return g_test_run ();
}

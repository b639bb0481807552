#include "fs/upper.h"

#define A (VF_UPPER_BORN_BIT | 10)
#define B (VF_UPPER_BORN_BIT | 11)
#define C (VF_UPPER_BORN_BIT | 12)

static void
take (VfUpper *upper, guint64 id, guint64 parent, const char *name, guint16 flags, guint64 n)
{
  VfUpperNode node = {.id = id, .parent = parent, .ino = id & 0xff, .flags = flags};
  vf_upper_take (upper, &node, name, n);
}

static void
test_lives_as_long_as_it_is_looked_up (void)
{
  VfUpper *upper = vf_upper_new ();
  VfUpperNode node;
  take (upper, C, VF_UPPER_ROOT, "file", VF_UPPER_PRESENT, 1);
  take (upper, C, VF_UPPER_ROOT, "file", VF_UPPER_PRESENT, 2);
  g_assert_false (vf_upper_forget (upper, C, 2, NULL, NULL));
  g_assert_true (vf_upper_is_remembered (upper, C));
  char name[VF_NAME_BYTES];
  g_assert_true (vf_upper_forget (upper, C, 1, &node, name));
  g_assert_cmpuint (node.id, ==, C);
  g_assert_cmpstr (name, ==, "file");
  g_assert_false (vf_upper_get (upper, C, &node));
  g_assert_false (vf_upper_forget (upper, C, 1, NULL, NULL));
  g_assert_false (vf_upper_forget (upper, VF_UPPER_ROOT, 100, NULL, NULL));
  g_assert_cmpuint (vf_upper_n_nodes (upper), ==, 1);
  vf_upper_free (upper);
}

/* The name of a file with two is lost to nobody who remembers the file. */
static void
test_parent_outlives_its_lookups (void)
{
  VfUpper *upper = vf_upper_new ();
  take (upper, A, VF_UPPER_ROOT, "a", VF_UPPER_PRESENT | VF_UPPER_DIRECTORY, 1);
  take (upper, B, A, "b", VF_UPPER_PRESENT | VF_UPPER_DIRECTORY, 1);
  take (upper, C, B, "file", VF_UPPER_PRESENT, 1);
  g_assert_false (vf_upper_forget (upper, A, 1, NULL, NULL));
  g_assert_false (vf_upper_forget (upper, B, 1, NULL, NULL));
  g_assert_true (vf_upper_stands_at (upper, C, B, "file"));
  g_assert_cmpuint (vf_upper_n_nodes (upper), ==, 4);
  g_assert_true (vf_upper_forget (upper, C, 1, NULL, NULL));
  g_assert_cmpuint (vf_upper_n_nodes (upper), ==, 1);
  vf_upper_free (upper);
}

static void
test_uncounted_goes_with_the_great_forget (void)
{
  VfUpper *upper = vf_upper_new ();
  take (upper, 77, VF_UPPER_ROOT, "f", VF_UPPER_PRESENT | VF_UPPER_UNCOUNTED, 0);
  take (upper, 77, VF_UPPER_ROOT, "f", VF_UPPER_PRESENT, 2);
  /* One lookup that came to nothing. */
  g_assert_false (vf_upper_forget (upper, 77, 1, NULL, NULL));
  g_assert_true (vf_upper_is_remembered (upper, 77));
  /* The rest, and the one from when it was the image's. */
  g_assert_true (vf_upper_forget (upper, 77, 2, NULL, NULL));
  vf_upper_free (upper);
}

static void
test_moves (void)
{
  VfUpper *upper = vf_upper_new ();
  VfUpperNode node;
  char name[VF_NAME_BYTES];
  take (upper, A, VF_UPPER_ROOT, "a", VF_UPPER_PRESENT | VF_UPPER_DIRECTORY, 0);
  take (upper, C, A, "file", VF_UPPER_PRESENT, 1);
  vf_upper_move (upper, C, VF_UPPER_ROOT, "elsewhere");
  g_assert_true (vf_upper_place (upper, C, &node, name));
  g_assert_cmpuint (node.parent, ==, VF_UPPER_ROOT);
  g_assert_cmpstr (name, ==, "elsewhere");
  /* Nothing held A any more. */
  g_assert_false (vf_upper_get (upper, A, &node));
  vf_upper_orphan (upper, C, "new-1");
  g_assert_true (vf_upper_place (upper, C, &node, name));
  g_assert_cmpstr (name, ==, "new-1");
  g_assert_cmpuint (node.parent, ==, 0);
  g_assert_cmpuint (node.flags, ==, VF_UPPER_PRESENT | VF_UPPER_ORPHAN);
  vf_upper_free (upper);
}

static void
test_unmarked_is_kept (void)
{
  VfUpper *upper = vf_upper_new ();
  take (upper, 90, VF_UPPER_ROOT, "link", VF_UPPER_PRESENT, 1);
  vf_upper_set_ino (upper, 90, 4711);
  vf_upper_keep_unmarked (upper, 90);
  g_assert_false (vf_upper_forget (upper, 90, 1, NULL, NULL));
  g_assert_cmpuint (vf_upper_find_unmarked (upper, 4711), ==, 90);
  vf_upper_remove (upper, 90);
  g_assert_cmpuint (vf_upper_find_unmarked (upper, 4711), ==, 0);
  vf_upper_free (upper);
}

static void
test_counts_directories (void)
{
  VfUpper *upper = vf_upper_new ();
  vf_upper_adjust_n_directories (upper, VF_UPPER_ROOT, 1);
  g_assert_cmpint (vf_upper_n_directories (upper, VF_UPPER_ROOT), ==, -1);
  vf_upper_set_n_directories (upper, VF_UPPER_ROOT, 3);
  vf_upper_adjust_n_directories (upper, VF_UPPER_ROOT, -1);
  g_assert_cmpint (vf_upper_n_directories (upper, VF_UPPER_ROOT), ==, 2);
  vf_upper_free (upper);
}

/* One directory by two ids, as after a switch that gave it something to be merged with. */
static void
test_a_directory_with_two_ids (void)
{
  VfUpper *upper = vf_upper_new ();
  VfUpperNode directory = {
      .id = A, .parent = VF_UPPER_ROOT, .ino = 7, .flags = VF_UPPER_PRESENT | VF_UPPER_DIRECTORY};
  vf_upper_take (upper, &directory, "dir", 1);
  directory.id = B;
  vf_upper_take (upper, &directory, "dir", 1);
  take (upper, C, A, "file", VF_UPPER_PRESENT, 1);
  g_assert_true (vf_upper_stands_at (upper, C, A, "file"));
  g_assert_true (vf_upper_stands_at (upper, C, B, "file"));
  g_assert_false (vf_upper_stands_at (upper, C, B, "other"));
  g_assert_false (vf_upper_stands_at (upper, C, VF_UPPER_ROOT, "file"));
  g_autoptr (GPtrArray) places = vf_upper_places (upper);
  g_assert_cmpuint (places->len, ==, 4);
  vf_upper_expect_twins (upper);
  VfUpperNode node;
  vf_upper_move (upper, A, VF_UPPER_ROOT, "moved");
  g_assert_true (vf_upper_stands_at (upper, B, VF_UPPER_ROOT, "moved"));
  vf_upper_orphan (upper, B, "");
  g_assert_true (vf_upper_get (upper, A, &node));
  g_assert_cmpuint (node.flags, ==, VF_UPPER_ORPHAN | VF_UPPER_DIRECTORY);
  vf_upper_set_n_directories (upper, A, 3);
  vf_upper_clear_n_directories (upper);
  g_assert_cmpint (vf_upper_n_directories (upper, A), ==, -1);
  vf_upper_free (upper);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/upper/lookups", test_lives_as_long_as_it_is_looked_up);
  g_test_add_func ("/upper/parents", test_parent_outlives_its_lookups);
  g_test_add_func ("/upper/uncounted", test_uncounted_goes_with_the_great_forget);
  g_test_add_func ("/upper/moves", test_moves);
  g_test_add_func ("/upper/unmarked", test_unmarked_is_kept);
  g_test_add_func ("/upper/two-ids", test_a_directory_with_two_ids);
  g_test_add_func ("/upper/directories", test_counts_directories);
  return g_test_run ();
}

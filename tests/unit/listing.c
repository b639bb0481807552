#include "overlay-fixture.h"

static void
test_merges (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir");
  assert_names (fixture, dir, "empty exec file link sub");
  make_file (fixture, dir, "new", "");
  make_dir (fixture, dir, "also");
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, dir, "file"), ==, 0);
  g_assert_cmpint (vf_overlay_rename (fixture->overlay, dir, "exec", dir, "moved", 0), ==, 0);
  assert_names (fixture, dir, "also empty link moved new sub");
  assert_names (fixture, id_at (fixture, "dir/also"), "");
  restart (fixture);
  assert_names (fixture, id_at (fixture, "dir"), "also empty link moved new sub");
  g_assert_cmpint (
      vf_overlay_list (fixture->overlay, id_at (fixture, "inline"), 0, collect_name, NULL), ==,
      -ENOTDIR);
}

typedef struct {
  GPtrArray *names;
  guint64 last;
  guint room;
} Page;

static gboolean
collect_page (const char *name, const VfEntry *entry, guint64 position, gpointer user_data)
{
  Page *page = user_data;
  if (page->room == 0)
    return FALSE;
  g_assert_cmpuint (position, >, page->last);
  page->room--;
  page->last = position;
  g_ptr_array_add (page->names, g_strdup (name));
  return TRUE;
}

/* From any position on, with names that come and go meanwhile: none twice, none missed. */
static void
test_pages (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir/empty");
  for (int i = 0; i < 300; i++) {
    g_autofree char *name = g_strdup_printf ("stays-%d", i);
    make_file (fixture, dir, name, "");
  }
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  Page page = {.names = names};
  guint stay = 0;
  for (guint round = 0; page.room == 0; round++) {
    page.room = 7;
    g_assert_cmpint (vf_overlay_list (fixture->overlay, dir, page.last, collect_page, &page), ==,
                     0);
    g_autofree char *name = g_strdup_printf ("comes-%u", round);
    make_file (fixture, dir, name, "");
    if (round % 2)
      g_assert_cmpint (vf_overlay_unlink (fixture->overlay, dir, name), ==, 0);
    if (round % 10 == 0)
      vf_listings_drop (fixture->overlay->listings, dir);
  }
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++) {
    stay += g_str_has_prefix (names->pdata[i], "stays-");
    g_assert_true (i == 0 || strcmp (names->pdata[i - 1], names->pdata[i]) != 0);
  }
  g_assert_cmpuint (stay, ==, 300);
}

/* Names that the caller did not take are not counted as looked up. */
static gboolean
take_one (const char *name, const VfEntry *entry, guint64 position, gpointer user_data)
{
  guint *room = user_data;
  if (strcmp (name, ".") == 0 || strcmp (name, "..") == 0)
    return TRUE;
  return (*room)-- > 0;
}

static void
test_counts_what_is_taken (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir/empty");
  make_file (fixture, dir, "one", "");
  make_file (fixture, dir, "two", "");
  restart (fixture);
  dir = id_at (fixture, "dir/empty");
  gsize before = vf_upper_n_nodes (fixture->overlay->upper);
  guint room = 1;
  g_assert_cmpint (vf_overlay_list (fixture->overlay, dir, 0, take_one, &room), ==, 0);
  g_assert_cmpuint (vf_upper_n_nodes (fixture->overlay->upper), ==, before + 1);
}

static void
test_is_empty (Fixture *fixture, gconstpointer user_data)
{
  guint64 dir = id_at (fixture, "dir");
  g_assert_cmpint (vf_overlay_rmdir (fixture->overlay, dir, "sub"), ==, -ENOTEMPTY);
  guint64 sub = id_at (fixture, "dir/sub");
  make_file (fixture, sub, "new", "");
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, sub, "deep"), ==, 0);
  g_assert_cmpint (vf_overlay_rmdir (fixture->overlay, dir, "sub"), ==, -ENOTEMPTY);
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, sub, "new"), ==, 0);
  assert_names (fixture, sub, "");
  g_assert_cmpint (vf_overlay_rmdir (fixture->overlay, dir, "sub"), ==, 0);
  assert_names (fixture, dir, "empty exec file link");
  /* It may still be somebody's working directory. */
  assert_names (fixture, sub, "");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/listing/merge", test_merges);
  FIXTURE_TEST ("/listing/pages", test_pages);
  FIXTURE_TEST ("/listing/counts", test_counts_what_is_taken);
  FIXTURE_TEST ("/listing/empty", test_is_empty);
  return g_test_run ();
}

#include "overlay-fixture.h"

static VfOverlay *
try_new (Fixture *fixture, int environment_fd, GError **error)
{
  VfOverlayOptions options = {.store = fixture->store, .environment_fd = environment_fd};
  return vf_overlay_new (fixture->image, &options, error);
}

static void
test_makes_its_directories (Fixture *fixture, gconstpointer user_data)
{
  struct stat st;
  g_assert_cmpint (disk_stat (fixture, "upper", &st), ==, 0);
  g_assert_cmpuint (st.st_mode, ==, S_IFDIR | 0755);
  g_assert_cmpint (disk_stat (fixture, "work", &st), ==, 0);
}

static void
test_clears_work (Fixture *fixture, gconstpointer user_data)
{
  g_assert_cmpint (mkdirat (fixture->environment_fd, "work/left", 0), ==, 0);
  g_assert_cmpint (mknodat (fixture->environment_fd, "work/left-too", S_IFCHR, 0), ==, 0);
  restart (fixture);
  assert_work_is_empty (fixture);
  vf_overlay_free (fixture->overlay);
  g_assert_false (disk_has (fixture, "work/whiteout"));
  /* One that a killed daemon left stands in nobody's way. */
  g_assert_cmpint (mknodat (fixture->environment_fd, "work/whiteout", S_IFREG, 0), ==, 0);
  fixture_start (fixture);
  g_assert_true (disk_has_whiteout (fixture, "work/whiteout"));
}

static void
test_refuses_what_leads_away (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_assert_cmpint (mkdirat (fixture->environment_fd, "other", 0755), ==, 0);
  g_assert_cmpint (symlinkat ("/tmp", fixture->environment_fd, "other/upper"), ==, 0);
  VF_AUTOFD fd = openat (fixture->environment_fd, "other", O_PATH | O_DIRECTORY);
  g_assert_null (try_new (fixture, fd, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOTDIR);
  g_assert_true (g_str_has_prefix (error->message, "upper: "));
}

/* Image nodes are whoever's who mounts, not whose the upper is. */
static void
test_owner (Fixture *fixture, gconstpointer user_data)
{
  if (geteuid () != 0) {
    g_test_skip ("only root gives the upper away");
    return;
  }
  g_assert_cmpint (fchownat (fixture->environment_fd, "upper", 12, 34, 0), ==, 0);
  restart (fixture);
  g_assert_cmpuint (entry_at (fixture, "dir").st.st_uid, ==, 0);
  g_assert_cmpuint (entry_at (fixture, "dir/file").st.st_gid, ==, 0);
}

static void
test_statfs (Fixture *fixture, gconstpointer user_data)
{
  struct statvfs overlay, below;
  g_assert_cmpint (vf_overlay_statfs (fixture->overlay, &overlay), ==, 0);
  g_assert_cmpint (statvfs (fixture->root, &below), ==, 0);
  g_assert_cmpuint (overlay.f_namemax, ==, below.f_namemax);
  g_assert_cmpuint (overlay.f_blocks, ==, below.f_blocks);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/overlay/directories", test_makes_its_directories);
  FIXTURE_TEST ("/overlay/work", test_clears_work);
  FIXTURE_TEST ("/overlay/away", test_refuses_what_leads_away);
  FIXTURE_TEST ("/overlay/owner", test_owner);
  FIXTURE_TEST ("/overlay/statfs", test_statfs);
  return g_test_run ();
}

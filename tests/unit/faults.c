/* Faults at each system call of copying up, renaming, linking, making and removing.
 *
 * This program has functions of the names that the overlay calls, which fail once when told to and
 * pass on to the kernel otherwise. (After an ENOSPC there is no room for another name either.) Each
 * scenario runs again and again, with the fault at the first call, the second and so on, until it
 * makes no more calls. Whatever fails, its error reaches the caller as itself and the tree is as it
 * was; or the call succeeds (there is another way to do it) and the tree is as it should be. The
 * same must be seen after a restart, and nothing stays in work/. */
#include "overlay-fixture.h"

#include <stdio.h>
#include <sys/syscall.h>

static gint calls_left; /* the fault comes when it reaches 0; below: no fault */
static int fault;
static gboolean disk_is_full;
static gboolean lacks_whiteouts; /* the file system has no RENAME_WHITEOUT */

static gboolean
fails (void)
{
  if (calls_left <= 0 || --calls_left > 0)
    return FALSE;
  disk_is_full = fault == ENOSPC;
  errno = fault;
  return TRUE;
}

static gboolean
has_no_room (void)
{
  if (!disk_is_full)
    return fails ();
  errno = ENOSPC;
  return TRUE;
}

#define OR_FAULT(call)   (fails () ? -1 : (call))
#define OR_NO_ROOM(call) (has_no_room () ? -1 : (call))

int
renameat2 (int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
  if (lacks_whiteouts && (flags & RENAME_WHITEOUT)) {
    errno = EINVAL;
    return -1;
  }
  return (int)OR_FAULT (syscall (SYS_renameat2, from_fd, from, to_fd, to, flags));
}

int
renameat (int from_fd, const char *from, int to_fd, const char *to)
{
  return (int)OR_FAULT (syscall (SYS_renameat2, from_fd, from, to_fd, to, 0));
}

int
linkat (int from_fd, const char *from, int to_fd, const char *to, int flags)
{
  return (int)OR_NO_ROOM (syscall (SYS_linkat, from_fd, from, to_fd, to, flags));
}

int
mkdirat (int dir_fd, const char *name, mode_t mode)
{
  return (int)OR_NO_ROOM (syscall (SYS_mkdirat, dir_fd, name, mode));
}

int
mknodat (int dir_fd, const char *name, mode_t mode, dev_t rdev)
{
  return (int)OR_NO_ROOM (syscall (SYS_mknodat, dir_fd, name, mode, rdev));
}

int
symlinkat (const char *target, int dir_fd, const char *name)
{
  return (int)OR_NO_ROOM (syscall (SYS_symlinkat, target, dir_fd, name));
}

int
ftruncate (int fd, off_t size)
{
  return (int)OR_FAULT (syscall (SYS_ftruncate, fd, size));
}

int
fdatasync (int fd)
{
  return OR_FAULT (0);
}

/* Of the fixture's store, again and again. */
int
fsync (int fd)
{
  return 0;
}

int
syncfs (int fd)
{
  return 0;
}

int
fsetxattr (int fd, const char *name, const void *value, size_t size, int flags)
{
  return (int)OR_FAULT (syscall (SYS_fsetxattr, fd, name, value, size, flags));
}

int
fremovexattr (int fd, const char *name)
{
  return (int)OR_FAULT (syscall (SYS_fremovexattr, fd, name));
}

int
fchmod (int fd, mode_t mode)
{
  return (int)OR_FAULT (syscall (SYS_fchmod, fd, mode));
}

ssize_t
copy_file_range (int in_fd, off_t *in, int out_fd, off_t *out, size_t size, unsigned flags)
{
  return OR_FAULT (syscall (SYS_copy_file_range, in_fd, in, out_fd, out, size, flags));
}

/* ---- What is seen */

static void picture_of (Fixture *fixture, guint64 directory, const char *path, GString *out);

static void
picture_one (Fixture *fixture, const char *path, GString *out)
{
  VfEntry entry = entry_at (fixture, path);
  /* A symlink that was copied up has another number after a restart: it can carry no mark. What was
   * made here has one of the file system's. */
  gboolean numbered = !S_ISLNK (entry.st.st_mode) && !(entry.id & VF_UPPER_BORN_BIT);
  g_string_append_printf (out, "%s %o %u %" G_GUINT64_FORMAT, path, entry.st.st_mode,
                          (guint)entry.st.st_nlink, numbered ? entry.id : 0);
  g_autofree char *text = NULL;
  if (S_ISREG (entry.st.st_mode))
    text = text_of (fixture, entry.id);
  else if (S_ISLNK (entry.st.st_mode))
    g_assert_cmpint (vf_overlay_readlink (fixture->overlay, entry.id, &text), ==, 0);
  g_string_append_printf (out, " %s\n", text ? text : "");
  if (S_ISDIR (entry.st.st_mode))
    picture_of (fixture, entry.id, path, out);
}

static void
picture_of (Fixture *fixture, guint64 directory, const char *path, GString *out)
{
  g_autoptr (GPtrArray) names = names_in (fixture, directory);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *inner =
        *path ? g_strconcat (path, "/", names->pdata[i], NULL) : g_strdup (names->pdata[i]);
    picture_one (fixture, inner, out);
  }
}

static char *
picture (Fixture *fixture)
{
  GString *out = g_string_new (NULL);
  picture_of (fixture, VF_IMAGE_ROOT_ID, "", out);
  return g_string_free (out, FALSE);
}

/* ---- Scenarios */

typedef struct {
  const char *name;
  void (*prepare) (Fixture *fixture);
  int (*act) (Fixture *fixture);
} Scenario;

static void
prepare_nothing (Fixture *fixture)
{
}

static int
rename_it (Fixture *fixture, const char *from_directory, const char *from, const char *to_directory,
           const char *to, guint flags)
{
  return vf_overlay_rename (fixture->overlay, id_at (fixture, from_directory), from,
                            id_at (fixture, to_directory), to, flags);
}

static int
write_lower (Fixture *fixture)
{
  gsize written;
  return vf_overlay_write (fixture->overlay, id_at (fixture, "dir/sub/deep"), 0, "D", 1, FALSE,
                           &written);
}

static int
set_mode (Fixture *fixture, const char *path, mode_t mode)
{
  VfEntry entry;
  struct stat values = {.st_mode = mode};
  return vf_overlay_setattr (fixture->overlay, id_at (fixture, path), VF_SET_MODE, &values, NULL,
                             &entry);
}

static int
chmod_lower (Fixture *fixture)
{
  return set_mode (fixture, "dir/sub/deep", 0600);
}

static int
chmod_lower_directory (Fixture *fixture)
{
  return set_mode (fixture, "dir/sub", 0700);
}

static void
prepare_stub (Fixture *fixture)
{
  g_assert_cmpint (chmod_lower (fixture), ==, 0);
}

static int
cut_lower (Fixture *fixture)
{
  VfEntry entry;
  struct stat values = {.st_size = 2};
  return vf_overlay_setattr (fixture->overlay, id_at (fixture, "dir/sub/deep"), VF_SET_SIZE,
                             &values, NULL, &entry);
}

static int
write_view (Fixture *fixture)
{
  gsize written;
  return vf_overlay_write (fixture->overlay, id_at (fixture, "view"), 0, "D", 1, FALSE, &written);
}

static int
unlink_lower (Fixture *fixture)
{
  return vf_overlay_unlink (fixture->overlay, id_at (fixture, "dir/sub"), "deep");
}

static int
rmdir_lower (Fixture *fixture)
{
  return vf_overlay_rmdir (fixture->overlay, id_at (fixture, "dir"), "empty");
}

static void
prepare_emptied (Fixture *fixture)
{
  g_assert_cmpint (unlink_lower (fixture), ==, 0);
}

static int
rmdir_emptied (Fixture *fixture)
{
  return vf_overlay_rmdir (fixture->overlay, id_at (fixture, "dir"), "sub");
}

static int
rename_lower (Fixture *fixture)
{
  return rename_it (fixture, "dir/sub", "deep", "dir/empty", "moved", 0);
}

static int
rename_over (Fixture *fixture)
{
  return rename_it (fixture, "dir/sub", "deep", "dir", "file", 0);
}

static void
prepare_written_target (Fixture *fixture)
{
  gsize written;
  g_assert_cmpint (
      vf_overlay_write (fixture->overlay, id_at (fixture, "dir/file"), 0, "D", 1, FALSE, &written),
      ==, 0);
}

static void
prepare_removed_target (Fixture *fixture)
{
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, id_at (fixture, "dir"), "file"), ==, 0);
}

static int
rename_lower_directory (Fixture *fixture)
{
  return rename_it (fixture, "dir", "sub", "", "moved", 0);
}

static int
rename_link (Fixture *fixture)
{
  return rename_it (fixture, "dir", "link", "dir/sub", "link", 0);
}

/* Onto a directory of the upper whose place and whose own the image has, too. */
static void
prepare_touched_empty (Fixture *fixture)
{
  make_file (fixture, id_at (fixture, "dir/empty"), "gone", "");
  g_assert_cmpint (vf_overlay_unlink (fixture->overlay, id_at (fixture, "dir/empty"), "gone"), ==,
                   0);
}

static int
rename_over_directory (Fixture *fixture)
{
  return rename_it (fixture, "dir", "sub", "dir", "empty", 0);
}

static int
exchange_both (Fixture *fixture)
{
  return rename_it (fixture, "dir", "sub", "dir", "file", RENAME_EXCHANGE);
}

static int
link_lower (Fixture *fixture)
{
  VfEntry entry;
  return vf_overlay_link (fixture->overlay, id_at (fixture, "dir/file"), id_at (fixture, "dir/sub"),
                          "linked", &entry);
}

static int
make_again (Fixture *fixture)
{
  VfEntry entry;
  return vf_overlay_mknod (fixture->overlay, &CALLER, id_at (fixture, "dir/sub"), "deep",
                           S_IFREG | 0600, 0, &entry);
}

static int
make_directory_again (Fixture *fixture)
{
  VfEntry entry;
  return vf_overlay_mkdir (fixture->overlay, &CALLER, id_at (fixture, "dir/sub"), "deep", 0755,
                           &entry);
}

static int
make_symlink (Fixture *fixture)
{
  VfEntry entry;
  return vf_overlay_symlink (fixture->overlay, &CALLER, "there", id_at (fixture, "dir/sub"), "new",
                             &entry);
}

static const Scenario scenarios[] = {
    {"write-lower", prepare_nothing, write_lower},
    {"write-stub", prepare_stub, write_lower},
    {"write-view", prepare_nothing, write_view},
    {"chmod", prepare_nothing, chmod_lower},
    {"chmod-directory", prepare_nothing, chmod_lower_directory},
    {"cut", prepare_nothing, cut_lower},
    {"cut-stub", prepare_stub, cut_lower},
    {"unlink", prepare_nothing, unlink_lower},
    {"unlink-stub", prepare_stub, unlink_lower},
    {"rmdir", prepare_nothing, rmdir_lower},
    {"rmdir-emptied", prepare_emptied, rmdir_emptied},
    {"rename", prepare_nothing, rename_lower},
    {"rename-stub", prepare_stub, rename_lower},
    {"rename-over", prepare_nothing, rename_over},
    {"rename-stub-over", prepare_stub, rename_over},
    {"rename-over-written", prepare_written_target, rename_over},
    {"rename-over-removed", prepare_removed_target, rename_over},
    {"rename-directory", prepare_nothing, rename_lower_directory},
    {"rename-link", prepare_nothing, rename_link},
    {"rename-over-directory", prepare_nothing, rename_over_directory},
    {"rename-over-upper-directory", prepare_touched_empty, rename_over_directory},
    {"exchange", prepare_nothing, exchange_both},
    {"link", prepare_nothing, link_lower},
    {"make-again", prepare_emptied, make_again},
    {"make-directory-again", prepare_emptied, make_directory_again},
    {"symlink", prepare_nothing, make_symlink},
};

/* ---- Trying them */

/* TRUE if there was a call to fail. */
static gboolean
try_with_fault (const Scenario *scenario, int n, int error, const char *wanted)
{
  Fixture fixture = {0};
  fixture_set_up (&fixture, NULL);
  scenario->prepare (&fixture);
  g_autofree char *before = picture (&fixture);
  fault = error;
  calls_left = n;
  int result = scenario->act (&fixture);
  gboolean came = calls_left == 0;
  calls_left = 0;
  disk_is_full = FALSE;
  g_test_message ("%s: %s at call %d: %d", scenario->name, g_strerror (error), n, result);
  if (result != 0)
    g_assert_cmpint (result, ==, -error);
  g_autofree char *after = picture (&fixture);
  g_assert_cmpstr (after, ==, result == 0 ? wanted : before);
  restart (&fixture);
  assert_work_is_empty (&fixture);
  g_autofree char *restarted = picture (&fixture);
  g_assert_cmpstr (restarted, ==, after);
  /* Nothing stands in the way of another attempt. */
  if (result != 0)
    g_assert_cmpint (scenario->act (&fixture), ==, 0);
  fixture_tear_down (&fixture, NULL);
  return came;
}

static void
try_scenario (const Scenario *scenario, const int *errors, gsize n_errors)
{
  Fixture fixture = {0};
  fixture_set_up (&fixture, NULL);
  scenario->prepare (&fixture);
  g_assert_cmpint (scenario->act (&fixture), ==, 0);
  g_autofree char *wanted = picture (&fixture);
  fixture_tear_down (&fixture, NULL);
  for (gsize i = 0; i < n_errors; i++) {
    int n = 1;
    while (try_with_fault (scenario, n, errors[i], wanted))
      n++;
    g_assert_cmpint (n, >, 1);
  }
}

static void
test_scenario (gconstpointer user_data)
{
  const int errors[] = {ENOSPC, EDQUOT, EIO, EINTR};
  try_scenario (user_data, errors, G_N_ELEMENTS (errors));
}

static void
test_without_whiteouts (gconstpointer user_data)
{
  const int error = ENOSPC;
  lacks_whiteouts = TRUE;
  try_scenario (user_data, &error, 1);
  lacks_whiteouts = FALSE;
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (scenarios); i++) {
    g_autofree char *path = g_strconcat ("/faults/", scenarios[i].name, NULL);
    g_test_add_data_func (path, &scenarios[i], test_scenario);
    g_autofree char *without = g_strconcat ("/faults/without-whiteouts/", scenarios[i].name, NULL);
    if (g_str_has_prefix (scenarios[i].name, "rename"))
      g_test_add_data_func (without, &scenarios[i], test_without_whiteouts);
  }
  return g_test_run ();
}

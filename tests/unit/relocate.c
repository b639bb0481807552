#include "tools/relocate.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/view.h"

#define OLD "/home/u/proj/.venv"
#define NEW "/srv/new/.venv"

static char *
script (const char *text, const char *former, const char *place)
{
  GString *moved = vf_relocate_script (text, strlen (text), former, place);
  return moved != NULL ? g_string_free (moved, FALSE) : NULL;
}

static void
assert_script (const char *text, const char *former, const char *place, const char *expected)
{
  g_autofree char *moved = script (text, former, place);
  g_assert_cmpstr (moved, ==, expected);
}

static void
test_script (void)
{
  assert_script ("#!" OLD "/bin/python\nimport x\n", OLD, NEW, "#!" NEW "/bin/python\nimport x\n");
  assert_script ("#!" OLD "/bin/python3.13 -E\nimport x\n", OLD, NEW,
                 "#!" NEW "/bin/python3.13 -E\nimport x\n");
  assert_script ("#!/bin/sh\n'''exec' \"/a b/.venv/bin/python\" \"$0\" \"$@\"\n' '''\nimport x\n",
                 "/a b/.venv", NEW, "#!" NEW "/bin/python\nimport x\n");
  assert_script ("#!/bin/sh\n'''exec' /long/.venv/bin/python \"$0\" \"$@\"\n' '''\nimport x\n",
                 "/long/.venv", NEW, "#!" NEW "/bin/python\nimport x\n");
  assert_script ("#!" OLD "/bin/python -E\nimport x\n", OLD, "/a b",
                 "#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\"\n' '''\nimport x\n");
}

static void
test_not_a_script_of_ours (void)
{
  const char *texts[] = {
      "#!/usr/bin/python3\nimport x\n",
      "#!/bin/sh\nexec " OLD "/bin/python \"$@\"\n",
      "#!" OLD "x/bin/python\n",
      "#!" OLD "/bin/\n",
      "#!" OLD "/bin/sub/python\n",
      "#!" OLD "/bin/python",
      "#!",
      "",
      "\177ELF" OLD "/bin/python\n",
      "#!/bin/sh\n'''exec' \"" OLD "/bin/python",
      "#!/bin/sh\n'''exec' \"" OLD "/bin/python\" \"$0\"\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *moved = script (texts[i], OLD, NEW);
    g_assert_null (moved);
  }
}

static void
assert_text (const char *name, const char *text, const char *place, const char *expected)
{
  GString *moved = vf_relocate_text (name, text, strlen (text), OLD, place);
  g_autofree char *result = moved != NULL ? g_string_free (moved, FALSE) : NULL;
  g_assert_cmpstr (result, ==, expected);
}

static void
test_text (void)
{
  assert_text ("pyvenv.cfg", "home = /usr/bin\ncommand = x -m venv " OLD "\n", NEW,
               "home = /usr/bin\ncommand = x -m venv " NEW "\n");
  assert_text ("pyvenv.cfg", "home = " OLD "-other/bin\n", NEW, NULL);
  assert_text ("pyvenv.cfg", "home = /x" OLD "\n", NEW, NULL);

  g_autofree char *quoted = vf_view_quote ("sh", "/it's/.venv");
  g_autofree char *expected = g_strconcat ("VIRTUAL_ENV=", quoted, "\nexport VIRTUAL_ENV\n", NULL);
  assert_text ("activate", "VIRTUAL_ENV='" OLD "'\nexport VIRTUAL_ENV\n", "/it's/.venv", expected);
  assert_text ("activate", "VIRTUAL_ENV=\"" OLD "\"\nexport VIRTUAL_ENV\n", "/it's/.venv",
               expected);
  assert_text ("activate", "VIRTUAL_ENV=" OLD "\nexport VIRTUAL_ENV\n", "/it's/.venv", expected);
  assert_text ("activate", "VIRTUAL_ENV=/elsewhere\n", NEW, NULL);
}

static void
write_upper (const char *directory, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
assert_content (const char *directory, const char *name, const char *expected)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, expected);
}

static void
test_files (void)
{
  /* Not below /tmp's own file system where that has no user attributes. */
  g_autofree char *directory = g_dir_make_tmp ("vf-relocate-XXXXXX", NULL);
  g_autofree char *bin = g_build_filename (directory, "upper", "bin", NULL);
  g_autofree char *work = g_build_filename (directory, "work", NULL);
  g_assert_cmpint (g_mkdir_with_parents (bin, 0755), ==, 0);
  g_assert_cmpint (g_mkdir (work, 0755), ==, 0);
  write_upper (directory, "upper/bin/tool", "#!" OLD "/bin/python\nx\n");
  write_upper (directory, "upper/bin/second", "#!/elsewhere/bin/python\nx\n");
  write_upper (directory, "upper/bin/mine", "#!/usr/bin/perl\nx\n");
  write_upper (directory, "upper/pyvenv.cfg", "command = " OLD "\n");
  g_autofree char *fifo = g_build_filename (bin, "fifo", NULL);
  g_autofree char *tool = g_build_filename (bin, "tool", NULL);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (chmod (tool, 0751), ==, 0);
  struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 1000, .tv_nsec = 7}};
  g_assert_cmpint (utimensat (AT_FDCWD, tool, times, 0), ==, 0);
  gboolean xattrs = setxattr (tool, "user.venvfs.id", "abc", 3, 0) == 0;

  VF_AUTOFD fd = open (directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  const char *const former[] = {OLD, NEW, "/elsewhere", NULL};
  g_assert_true (vf_relocate (fd, former, NEW, NULL));
  assert_content (directory, "upper/bin/tool", "#!" NEW "/bin/python\nx\n");
  assert_content (directory, "upper/bin/second", "#!" NEW "/bin/python\nx\n");
  assert_content (directory, "upper/bin/mine", "#!/usr/bin/perl\nx\n");
  assert_content (directory, "upper/pyvenv.cfg", "command = " NEW "\n");
  struct stat st;
  g_assert_cmpint (stat (tool, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0751);
  g_assert_cmpint (st.st_mtim.tv_sec, ==, 1000);
  g_assert_cmpint (st.st_mtim.tv_nsec, ==, 7);
  char value[8] = "";
  if (xattrs)
    g_assert_cmpint (getxattr (tool, "user.venvfs.id", value, sizeof value), ==, 3);

  /* All is there already: nothing is written again. */
  struct stat after;
  g_assert_true (vf_relocate (fd, former, NEW, NULL));
  g_assert_cmpint (stat (tool, &after), ==, 0);
  g_assert_cmpuint (after.st_ino, ==, st.st_ino);
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, "directory", NULL));
}

static void
test_places (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-places-XXXXXX", NULL);
  VF_AUTOFD fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_auto (GStrv) none = vf_places_read (fd);
  g_assert_cmpuint (g_strv_length (none), ==, 0);
  const char *places[] = {OLD, NEW, OLD};
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    g_assert_true (vf_places_add (fd, places[i], NULL));
  g_auto (GStrv) found = vf_places_read (fd);
  g_assert_cmpuint (g_strv_length (found), ==, 2);
  g_assert_cmpstr (found[0], ==, OLD);
  g_assert_cmpstr (found[1], ==, NEW);
  /* Nothing is mounted, nothing written: no upper at all. */
  g_assert_true (vf_relocate (fd, (const char *const *)found, "/x", NULL));
  g_assert_true (vf_remove_tree (AT_FDCWD, directory, "directory", NULL));
}

/* What somebody has put where the list should be. */
static void
test_odd_places (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-places-XXXXXX", NULL);
  VF_AUTOFD fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (guint kind = 0; kind < 4; kind++) {
    g_autoptr (GError) error = NULL;
    VF_AUTOFD reader = -1;
    if (kind < 2)
      g_assert_cmpint (mkfifoat (fd, "places", 0600), ==, 0);
    else
      g_assert_cmpint (kind == 2 ? symlinkat ("list", fd, "places") : mkdirat (fd, "places", 0700),
                       ==, 0);
    if (kind == 1)
      reader = openat (fd, "places", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    g_assert_false (vf_places_add (fd, NEW, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
    g_assert_cmpstr (error->message, ==, "places: is not a regular file; remove it");
    g_assert_cmpint (unlinkat (fd, "places", kind == 3 ? AT_REMOVEDIR : 0), ==, 0);
  }
  g_assert_true (vf_places_add (fd, NEW, NULL));
  g_assert_cmpint (unlinkat (fd, "places", 0), ==, 0);
  g_assert_cmpint (rmdir (directory), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/relocate/script", test_script);
  g_test_add_func ("/relocate/not-a-script-of-ours", test_not_a_script_of_ours);
  g_test_add_func ("/relocate/text", test_text);
  g_test_add_func ("/relocate/files", test_files);
  g_test_add_func ("/relocate/places", test_places);
  g_test_add_func ("/relocate/odd-places", test_odd_places);
  return g_test_run ();
}

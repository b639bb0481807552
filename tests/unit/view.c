#include "layers/view.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static char *
render (const char *template_text, gsize length, const char *mount_point, const char *prompt)
{
  const VfViewContext context = {.mount_point = mount_point, .prompt = prompt};
  g_autoptr (GBytes) bytes = vf_view_render (template_text, length, &context);
  return bytes ? g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes)) : NULL;
}

static void
test_references (void)
{
  static const struct {
    const char *template_text, *expected;
  } cases[] = {
      {"", ""},
      {"plain\n", "plain\n"},
      {"\1path\2", "/it's"},
      {"a\1path\2b\1path\2", "a/it'sb/it's"},
      {"\1sh\2", "'/it'\\''s'"},
      {"\1csh\2", "'/it'\\''s'"},
      {"\1fish\2", "'/it\\'s'"},
      {"\1nu\2", "\"/it's\""},
      {"\1ps1\2", "'/it''s'"},
      {"\1xsh\2", "'/it\\'s'"},
      {"\1py\2", "'/it\\'s'"},
      {"\1cfg\2", "/it's"},
      {"\1prompt\2", "p'q"},
      {"\1prompt-sh\2", "'p'\\''q'"},
      {"\1prompt-py\2", "'p\\'q'"},
      {"\1\2path\2", "\1path\2"},
      {"\1shebang:python\2x", "#!/it's/bin/python\nx"},
      {"\2", "\2"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    const char *text = cases[i].template_text;
    g_autofree char *result = render (text, strlen (text), "/it's", "p'q");
    g_assert_cmpstr (result, ==, cases[i].expected);
  }
  /* NUL is a byte like any other. */
  const VfViewContext context = {.mount_point = "/m", .prompt = "p"};
  g_autoptr (GBytes) bytes = vf_view_render ("a\0\1path\2\0", 9, &context);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "a\0/m\0", 5);
}

static void
test_damage (void)
{
  static const char *const bad[] = {
      "\1",        "a\1path",      "\1Path\2",         "\1unknown\2",  "\1prompt-\2",
      "\1shebang", "\1shebang:\2", "\1shebang:../x\2", "\1\1path\2\2", "\1prompt-bat\2",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_null (render (bad[i], strlen (bad[i]), "/m", "p"));
  g_assert_null (render ("\1pa\0th\2", 7, "/m", "p"));
  g_autofree char *long_kind = g_strnfill (4096, 'k');
  long_kind[0] = '\1';
  long_kind[4095] = '\2';
  g_assert_null (render (long_kind, 4096, "/m", "p"));
}

/* Anything put into a template as a literal comes out as it was. */
static void
test_literals (void)
{
  for (int i = 0; i < 200; i++) {
    gsize length = (gsize)g_test_rand_int_range (0, 40);
    g_autofree char *data = g_malloc (length + 1);
    for (gsize k = 0; k < length; k++)
      data[k] = (char)g_test_rand_int_range (0, 6);
    g_autoptr (GString) text = g_string_new (NULL);
    vf_view_append_literal (text, data, length);
    vf_view_append_reference (text, "path");
    const VfViewContext context = {.mount_point = "/m", .prompt = "p"};
    g_autoptr (GBytes) bytes = vf_view_render (text->str, text->len, &context);
    g_assert_cmpuint (g_bytes_get_size (bytes), ==, length + 2);
    g_assert_cmpmem (g_bytes_get_data (bytes, NULL), length, data, length);
  }
}

/* A first line has at most 127 bytes, its end included. */
static void
test_shebang_length (void)
{
  for (gsize length = 110; length < 125; length++) {
    g_autofree char *mount_point = g_strnfill (length, 'm');
    mount_point[0] = '/';
    g_autofree char *result = render ("\1shebang:python\2", 16, mount_point, "p");
    gboolean fits = length + strlen ("#!/bin/python\n") <= 127;
    g_assert_cmpint (g_str_has_prefix (result, "#!/mmm"), ==, fits);
    g_assert_cmpint (g_str_has_prefix (result, "#!/bin/sh\n'''exec' \"/mmm"), ==, !fits);
  }
}

/* The form for awkward paths runs python, whatever the path holds, and python reads past it. */
static void
test_shebang_runs (void)
{
  static const char *const names[] = {
      "plain",         "a space", "tab\tand\nline",  "$(touch PWNED)",      "`touch PWNED`",
      "quo\"te",       "o'ne",    "tr'''iple''''''", "back\\slash\\d\\N\\", "\xc3\xa9 \xe6\x97\xa5",
      "all \\\"'$`!*",
  };
  g_autofree char *python = g_find_program_in_path ("python3");
  g_assert_nonnull (python);
  g_autofree char *directory = g_dir_make_tmp ("venvfs-view-XXXXXX", NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *mount_point = g_build_filename (directory, names[i], NULL);
    g_autofree char *bin = g_build_filename (mount_point, "bin", NULL);
    g_autofree char *target = g_build_filename (bin, "python", NULL);
    g_autofree char *script = g_build_filename (bin, "script", NULL);
    g_assert_cmpint (g_mkdir_with_parents (bin, 0755), ==, 0);
    /* Its own name, to see that it was run by this path; no file may be written by a name. */
    g_autofree char *wrapper = g_strdup_printf (
        "#!/bin/sh\nprintf '%%s\\n' \"$0\"\nexec '%s' -W error -I \"$@\"\n", python);
    g_assert_true (g_file_set_contents_full (target, wrapper, -1, 0, 0755, &error));
    static const char text[] = "\1shebang:python\2import sys\nprint(sys.argv[1:], __doc__ and 1)\n";
    g_autofree char *body = render (text, sizeof text - 1, mount_point, "p");
    g_assert_true (g_file_set_contents_full (script, body, -1, 0, 0755, &error));
    char *argv[] = {script, (char *)"a b", (char *)"$c", NULL};
    g_autofree char *output = NULL, *messages = NULL;
    int status = 1;
    g_assert_true (
        g_spawn_sync (directory, argv, NULL, 0, NULL, NULL, &output, &messages, &status, &error));
    g_assert_no_error (error);
    g_assert_cmpstr (messages, ==, "");
    g_assert_cmpint (status, ==, 0);
    g_assert_true (g_str_has_prefix (output, target));
    g_assert_nonnull (strstr (output, "\n['a b', '$c'] "));
    g_remove (script);
    g_remove (target);
    g_rmdir (bin);
    g_rmdir (mount_point);
  }
  g_assert_cmpint (g_rmdir (directory), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/view/references", test_references);
  g_test_add_func ("/view/damage", test_damage);
  g_test_add_func ("/view/literals", test_literals);
  g_test_add_func ("/view/shebang-length", test_shebang_length);
  g_test_add_func ("/view/shebang-runs", test_shebang_runs);
  return g_test_run ();
}

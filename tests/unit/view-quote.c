#include "layers/view.h"

#include <glib/gstdio.h>
#include <string.h>

static const char *const nasty[] = {
    "",
    "/home/user/project/.venv",
    "with a space",
    "$(touch PWNED)",
    "`touch PWNED`",
    "${HOME} $HOME $$ $1 $*",
    "single ' quote, '' two, ''' three",
    "'",
    "'; touch PWNED; '",
    "double \" quote \"\" \"\"\"",
    "back\\slash \\\\ \\n \\' \\\" \\$ end\\",
    "exclamation ! !! !$ !touch \\!",
    "line\nbreak\n",
    "tab\tand\rreturn",
    "glob * ? [a-z] ~ {a,b}",
    "; & | < > ( ) # % ^ =",
    "caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9d\x9c\x8b",
    "typographic \xe2\x80\x98 \xe2\x80\x99; touch PWNED; \xe2\x80\x9a \xe2\x80\x9b",
    "#{x} @path@ %s %d",
};

/* Runs @argv, then a file that holds @script; returns what it wrote. */
static char *
run_script (const char *const *argv, const char *script)
{
  g_autofree char *directory = g_dir_make_tmp ("venvfs-quote-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (directory, "script", NULL);
  g_autofree char *trace = g_build_filename (directory, "PWNED", NULL);
  g_autoptr (GPtrArray) command = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  char *output = NULL;
  int status = 0;

  g_assert_true (g_file_set_contents (file, script, -1, &error));
  for (gsize i = 0; argv[i]; i++)
    g_ptr_array_add (command, (gpointer)argv[i]);
  g_ptr_array_add (command, file);
  g_ptr_array_add (command, NULL);
  g_assert_true (g_spawn_sync (directory, (char **)command->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL,
                               NULL, &output, NULL, &status, &error));
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
  g_assert_false (g_file_test (trace, G_FILE_TEST_EXISTS));
  g_remove (file);
  g_rmdir (directory);
  return output;
}

typedef struct {
  const char *name; /* of the shell */
  const char *dialect;
  const char *argv[4];
} Shell;

static const Shell shells[] = {
    {"sh", "sh", {"sh"}},
    {"bash", "sh", {"bash"}},
    {"bash-posix", "sh", {"bash", "--posix"}},
    {"dash", "sh", {"dash"}},
    {"zsh", "sh", {"zsh", "-f"}},
    {"zsh-rcquotes", "sh", {"zsh", "-f", "-orcquotes"}},
    {"fish", "fish", {"fish", "--no-config"}},
    {"csh", "csh", {"csh", "-f"}},
    {"tcsh", "csh", {"tcsh", "-f"}},
};

static void
test_shell (gconstpointer data)
{
  const Shell *shell = data;
  g_autofree char *program = g_find_program_in_path (shell->argv[0]);
  if (!program) {
    g_test_skip ("this shell is not installed");
    return;
  }
  for (gsize i = 0; i < G_N_ELEMENTS (nasty); i++) {
    g_autofree char *quoted = vf_view_quote (shell->dialect, nasty[i]);
    g_autofree char *script = g_strdup_printf ("printf '<%%s>' %s\n", quoted);
    g_autofree char *output = run_script (shell->argv, script);
    g_autofree char *expected = g_strdup_printf ("<%s>", nasty[i]);
    g_assert_cmpstr (output, ==, expected);
  }
}

static void
assert_python (const char *text)
{
  const char *const argv[] = {"python3", "-I", NULL};
  g_autofree char *quoted = vf_view_quote ("py", text);
  g_autofree char *script =
      g_strdup_printf ("import os, sys\nsys.stdout.buffer.write(os.fsencode(%s))\n", quoted);
  g_autofree char *output = run_script (argv, script);
  g_assert_null (strchr (quoted, '\n'));
  g_assert_cmpstr (output, ==, text);
}

static void
test_python (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (nasty); i++)
    assert_python (nasty[i]);
  assert_python ("\x01\x1f\x7f\xc2\x85\xe2\x80\xa8\xf3\xa0\x80\x81"); /* none can be printed */
  assert_python ("no UTF-8: \xff \xc3 \xe2\x28\xa1 \xed\xa0\x80");
}

/* The dialects whose shells are seldom there, by their rules. */
static void
test_rules (void)
{
  static const struct {
    const char *dialect, *text, *expected;
  } cases[] = {
      {"nu", "a\"b\\c$(d)'e`", "\"a\\\"b\\\\c$(d)'e`\""},
      {"nu", "a\nb\tc\x7f", "\"a\\u{a}b\\u{9}c\\u{7f}\""},
      {"ps1", "a'b\"$(c)`d", "'a''b\"$(c)`d'"},
      {"ps1", "\xe2\x80\x98x\xe2\x80\x9b\xe2\x80\x9c\xe2\x80",
       "'\xe2\x80\x98\xe2\x80\x98x"
       "\xe2\x80\x9b\xe2\x80\x9b\xe2\x80\x9c\xe2\x80'"},
      {"xsh", "it's \\ \xc3\xa9\xff", "'it\\'s \\\\ \xc3\xa9\\udcff'"},
      {"py", "\xc2\x85\xe2\x80\xa8\xf3\xa0\x80\x81", "'\\x85\\u2028\\U000e0001'"},
      {"cfg", "/a b\n\xff\xc3\xa9='\\", "/a b\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9='\\"},
      {"sh", "it's", "'it'\\''s'"},
      {"csh", "it's!\n", "'it'\\''s\\!\\\n'"},
      {"fish", "it's \\", "'it\\'s \\\\'"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *quoted = vf_view_quote (cases[i].dialect, cases[i].text);
    g_assert_cmpstr (quoted, ==, cases[i].expected);
  }
  g_assert_null (vf_view_quote ("", "x"));
  g_assert_null (vf_view_quote ("bat", "x"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (shells); i++) {
    g_autofree char *path = g_strconcat ("/view-quote/", shells[i].name, NULL);
    g_test_add_data_func (path, &shells[i], test_shell);
  }
  g_test_add_func ("/view-quote/python", test_python);
  g_test_add_func ("/view-quote/rules", test_rules);
  return g_test_run ();
}

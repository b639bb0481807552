/* The activation scripts (layers/templates), rendered and run by the shells that are here. */
#include "tests/unit/merge-fixture.h"

#include <gio/gio.h>

#define PLAIN_PROMPT "proj"

/* A directory that holds a rendered environment, as far as activation needs it. */
typedef struct {
  char *root; /* scratch; the working directory of the shells */
  char *mount_point;
  char *bin;
} Environment;

static void
write_view (const Environment *environment, const VfImageNode *node, const char *prompt)
{
  g_autoptr (GError) error = NULL;
  const VfViewContext context = {.mount_point = environment->mount_point, .prompt = prompt};
  g_autoptr (GBytes) bytes = vf_view_render (node->data, node->size, &context);
  g_autofree char *path = g_build_filename (environment->bin, node->name, NULL);
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  g_assert_true (g_file_set_contents (path, data, (gssize)length, &error));
}

static void
environment_init (Environment *environment, const char *name, const char *prompt)
{
  Fixture fixture;
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  VfImageNode bin, node;

  environment->root = g_dir_make_tmp ("venvfs-templates-XXXXXX", NULL);
  environment->mount_point = g_build_filename (environment->root, name, NULL);
  environment->bin = g_build_filename (environment->mount_point, "bin", NULL);
  g_assert_cmpint (g_mkdir_with_parents (environment->bin, 0755), ==, 0);
  fixture_set_up (&fixture, NULL);
  g_autoptr (VfImage) image = build (&fixture, &input, NULL);
  g_assert_cmpint (vf_image_lookup_path (image, "bin", &bin), ==, 0);
  for (guint32 i = 0; i < bin.n_children; i++) {
    g_assert_cmpint (vf_image_get (image, bin.first_child + i, &node), ==, 0);
    if (node.type == VF_NODE_VIEW)
      write_view (environment, &node, prompt);
  }
  fixture_tear_down (&fixture, NULL);
}

static void
environment_clear (Environment *environment)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *trace = g_build_filename (environment->root, "PWNED", NULL);
  g_assert_false (g_file_test (trace, G_FILE_TEST_EXISTS));
  vf_remove_tree (AT_FDCWD, environment->root, environment->root, &error);
  g_assert_no_error (error);
  g_free (environment->root);
  g_free (environment->mount_point);
  g_free (environment->bin);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Environment, environment_clear)

/* Runs @argv on @input with nothing but PATH, HOME and ACTIVATE in its environment, and @extra. */
static char *
run (const Environment *environment, const char *const *argv, const char *activate,
     const char *extra, const char *input, char **out_messages)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocessLauncher) launcher =
      g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                 G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autofree char *script = g_build_filename (environment->bin, activate, NULL);
  g_auto (GStrv) environ_list = NULL;
  char *output = NULL, *messages = NULL;

  environ_list = g_environ_setenv (environ_list, "PATH", "/usr/bin:/bin", TRUE);
  environ_list = g_environ_setenv (environ_list, "HOME", environment->root, TRUE);
  environ_list = g_environ_setenv (environ_list, "LC_ALL", "C.UTF-8", TRUE);
  environ_list = g_environ_setenv (environ_list, "ACTIVATE", script, TRUE);
  if (extra) {
    environ_list = g_environ_setenv (environ_list, "PYTHONHOME", extra, TRUE);
    environ_list = g_environ_setenv (environ_list, "UV_LINK_MODE", extra, TRUE);
  }
  g_subprocess_launcher_set_environ (launcher, environ_list);
  g_subprocess_launcher_set_cwd (launcher, environment->root);
  g_autoptr (GSubprocess) child = g_subprocess_launcher_spawnv (launcher, argv, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_communicate_utf8 (child, input, NULL, &output, &messages, &error));
  g_assert_no_error (error);
  if (!g_subprocess_get_successful (child))
    g_test_message ("%s: %s", argv[0], messages);
  g_assert_true (g_subprocess_get_successful (child));
  if (out_messages)
    *out_messages = messages;
  else
    g_free (messages);
  return output;
}

typedef struct {
  const char *name;
  const char *activate;
  const char *argv[4];
  const char *script; /* prints one "<value>" a line: the order of expect() */
} Shell;

#define SH_SCRIPT                                                                                  \
  "set -eu\n"                                                                                      \
  "PS1='old> '\n"                                                                                  \
  "show () {\n"                                                                                    \
  "  printf '<%s>\\n' \"${VIRTUAL_ENV-unset}\" \"${VIRTUAL_ENV_PROMPT-unset}\" \"$PATH\" \\\n"     \
  "    \"${PYTHONHOME-unset}\" \"${UV_LINK_MODE-unset}\" \"$PS1\"\n"                               \
  "}\n"                                                                                            \
  ". \"$ACTIVATE\"\nshow\n. \"$ACTIVATE\"\nshow\ndeactivate\nshow\n"                               \
  "if command -v deactivate >/dev/null; then echo '<still there>'; fi\n"                           \
  "VIRTUAL_ENV_DISABLE_PROMPT=1\n. \"$ACTIVATE\"\nprintf '<%s>\\n' \"$PS1\"\ndeactivate\n"         \
  "printf '<%s>\\n' \"$PS1\"\n"

static const char fish_script[] =
    "function fish_prompt; printf 'old> '; end\n"
    "function show\n"
    "  for name in VIRTUAL_ENV VIRTUAL_ENV_PROMPT PATH PYTHONHOME UV_LINK_MODE\n"
    "    set -q $name; and printf '<%s>\\n' (string join : -- $$name | string collect);"
    " or echo '<unset>'\n"
    "  end\n"
    "  printf '<%s>\\n' (fish_prompt | string collect)\n"
    "end\n"
    "source $ACTIVATE\nshow\nsource $ACTIVATE\nshow\ndeactivate\nshow\n"
    "if functions -q deactivate; echo '<still there>'; end\n"
    "set VIRTUAL_ENV_DISABLE_PROMPT 1\nsource $ACTIVATE\n"
    "printf '<%s>\\n' (fish_prompt | string collect)\ndeactivate\n"
    "printf '<%s>\\n' (fish_prompt | string collect)\n";

static const char csh_script[] =
    "set prompt='old> '\n"
    "if (! $?PYTHONHOME) set no_home\n"
    "source \"$ACTIVATE:q\"\n"
    "printf '<%s>\\n' \"$VIRTUAL_ENV:q\" \"$VIRTUAL_ENV_PROMPT:q\" \"$PATH:q\"\n"
    "if ($?PYTHONHOME) echo '<set>'\nif (! $?PYTHONHOME) echo '<unset>'\n"
    "printf '<%s>\\n' \"$UV_LINK_MODE\" \"$prompt:q\"\n"
    "source \"$ACTIVATE:q\"\n"
    "printf '<%s>\\n' \"$VIRTUAL_ENV:q\" \"$VIRTUAL_ENV_PROMPT:q\" \"$PATH:q\"\n"
    "if ($?PYTHONHOME) echo '<set>'\nif (! $?PYTHONHOME) echo '<unset>'\n"
    "printf '<%s>\\n' \"$UV_LINK_MODE\" \"$prompt:q\"\n"
    "deactivate\n"
    "if (! $?VIRTUAL_ENV) echo '<unset>'\nif (! $?VIRTUAL_ENV_PROMPT) echo '<unset>'\n"
    "printf '<%s>\\n' \"$PATH:q\"\n"
    "if ($?PYTHONHOME) eval 'printf \"<%s>\\n\" $PYTHONHOME'\n"
    "if (! $?PYTHONHOME) echo '<unset>'\n"
    "if ($?UV_LINK_MODE) eval 'printf \"<%s>\\n\" $UV_LINK_MODE'\n"
    "if (! $?UV_LINK_MODE) echo '<unset>'\n"
    "printf '<%s>\\n' \"$prompt:q\"\n"
    "if (\"`alias deactivate`\" != '') echo '<still there>'\n"
    "setenv VIRTUAL_ENV_DISABLE_PROMPT 1\nsource \"$ACTIVATE:q\"\nprintf '<%s>\\n' \"$prompt:q\"\n"
    "deactivate\nprintf '<%s>\\n' \"$prompt:q\"\n";

static const Shell shells[] = {
    {"sh", "activate", {"sh"}, SH_SCRIPT},
    {"dash", "activate", {"dash"}, SH_SCRIPT},
    {"bash", "activate", {"bash"}, SH_SCRIPT},
    {"bash-posix", "activate", {"bash", "--posix"}, SH_SCRIPT},
    {"zsh", "activate", {"zsh", "-f"}, SH_SCRIPT},
    {"fish", "activate.fish", {"fish", "--no-config"}, fish_script},
    {"csh", "activate.csh", {"csh", "-f"}, csh_script},
    {"tcsh", "activate.csh", {"tcsh", "-f"}, csh_script},
};

static void
append_inside (GString *text, const Environment *environment, const char *prompt)
{
  g_string_append_printf (text,
                          "<%s>\n<%s>\n<%s/bin:/usr/bin:/bin>\n<unset>\n<copy>\n<(%s) old> >\n",
                          environment->mount_point, prompt, environment->mount_point, prompt);
}

static char *
expect (const Environment *environment, const char *prompt, const char *extra)
{
  GString *text = g_string_new (NULL);
  append_inside (text, environment, prompt);
  append_inside (text, environment, prompt);
  g_string_append_printf (text, "<unset>\n<unset>\n</usr/bin:/bin>\n<%s>\n<%s>\n<old> >\n",
                          extra ? extra : "unset", extra ? extra : "unset");
  g_string_append (text, "<old> >\n<old> >\n");
  return g_string_free (text, FALSE);
}

static const Shell *
find_shell (gconstpointer data)
{
  const Shell *shell = data;
  g_autofree char *program = g_find_program_in_path (shell->argv[0]);
  if (!program)
    g_test_skip ("this shell is not installed");
  return program ? shell : NULL;
}

static void
test_activate (gconstpointer data)
{
  static const char *const names[] = {
      ".venv",           "a space",     "$(touch PWNED)", "`touch PWNED`",
      "it's \"quoted\"", "back\\slash", "bang!touch",     "caf\xc3\xa9; touch PWNED #",
  };
  const Shell *shell = find_shell (data);
  for (gsize i = 0; shell && i < G_N_ELEMENTS (names); i++) {
    g_auto (Environment) environment = {0};
    environment_init (&environment, names[i], PLAIN_PROMPT);
    for (gsize k = 0; k < 2; k++) {
      const char *extra = k == 0 ? NULL : "former";
      g_autofree char *expected = expect (&environment, PLAIN_PROMPT, extra);
      g_autofree char *script = g_build_filename (environment.root, "script", NULL);
      g_assert_true (g_file_set_contents (script, shell->script, -1, NULL));
      const char *argv[6] = {shell->argv[0]};
      gsize n = 1;
      for (; shell->argv[n]; n++)
        argv[n] = shell->argv[n];
      argv[n] = script;
      g_autofree char *messages = NULL;
      g_autofree char *output = run (&environment, argv, shell->activate, extra, NULL, &messages);
      g_assert_cmpstr (messages, ==, "");
      g_assert_cmpstr (output, ==, expected);
    }
  }
}

/* A prompt is text, whatever a shell does with prompts. */
static void
test_prompt (gconstpointer data)
{
  static const Shell prompts[] = {
      {"bash", "activate", {"bash"}, ". \"$ACTIVATE\"; printf '%s' \"${PS1@P}\""},
      {"zsh", "activate", {"zsh", "-f"}, ". \"$ACTIVATE\"; printf '%s' \"${(%)PS1}\""},
      {"zsh-subst",
       "activate",
       {"zsh", "-f"},
       "setopt promptsubst; . \"$ACTIVATE\"; printf '%s' \"${(%%)PS1}\""},
      {"fish",
       "activate.fish",
       {"fish", "--no-config"},
       "function fish_prompt; end; source $ACTIVATE; fish_prompt"},
  };
  static const char text[] = "$(touch PWNED) `touch PWNED` \\w ${HOME} it's \"x\"";
  for (gsize i = 0; i < G_N_ELEMENTS (prompts); i++) {
    const Shell *shell = &prompts[i];
    g_autofree char *program = g_find_program_in_path (shell->argv[0]);
    if (!program)
      continue;
    g_auto (Environment) environment = {0};
    environment_init (&environment, ".venv", text);
    const char *argv[6] = {shell->argv[0]};
    gsize n = 1;
    for (; shell->argv[n]; n++)
      argv[n] = shell->argv[n];
    argv[n] = "-c";
    argv[n + 1] = shell->script;
    g_autofree char *output = run (&environment, argv, shell->activate, NULL, NULL, NULL);
    g_autofree char *shown = g_strdup_printf ("(%s) ", text);
    g_assert_cmpstr (output, ==, shown);
  }
}

/* dash shows prompts to interactive users alone. */
static void
test_interactive_prompt (void)
{
  static const char *const argv[] = {"dash", "-i", NULL};
  g_auto (Environment) environment = {0};
  g_autofree char *messages = NULL;
  environment_init (&environment, ".venv", "$(touch PWNED) `touch PWNED`");
  g_autofree char *output =
      run (&environment, argv, "activate", NULL, ". \"$ACTIVATE\"\nexit 0\n", &messages);
  g_assert_nonnull (strstr (messages, "($(touch PWNED) `touch PWNED`) "));
}

static void
test_python (void)
{
  /* The directory that the running Python would look for in the environment, then what it sees. */
  static const char script[] =
      "import os, runpy, sys, sysconfig\n"
      "base = os.path.dirname(os.path.dirname(os.environ['ACTIVATE']))\n"
      "scheme = 'venv' if 'venv' in sysconfig.get_scheme_names() else 'posix_prefix'\n"
      "site = sysconfig.get_path('purelib', scheme, {'base': base, 'platbase': base})\n"
      "os.makedirs(site)\n"
      "runpy.run_path(os.environ['ACTIVATE'])\n"
      "print(os.environ['VIRTUAL_ENV'], os.environ['VIRTUAL_ENV_PROMPT'],\n"
      "      os.environ['PATH'].split(os.pathsep)[0], sys.prefix, sys.path.index(site), "
      "sep='\\n')\n";
  g_autofree char *python = g_find_program_in_path ("python3");
  const char *const argv[] = {python, "-I", "-c", script, NULL};
  g_auto (Environment) environment = {0};
  environment_init (&environment, "it's \"$(touch PWNED)\"", "it's");
  g_autofree char *output = run (&environment, argv, "activate_this.py", NULL, NULL, NULL);
  g_autofree char *expected = g_strdup_printf ("%s\nit's\n%s\n%s\n0\n", environment.mount_point,
                                               environment.bin, environment.mount_point);
  g_assert_cmpstr (output, ==, expected);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (shells); i++) {
    g_autofree char *path = g_strconcat ("/templates/", shells[i].name, NULL);
    g_test_add_data_func (path, &shells[i], test_activate);
  }
  g_test_add_data_func ("/templates/prompt", NULL, test_prompt);
  g_test_add_func ("/templates/interactive-prompt", test_interactive_prompt);
  g_test_add_func ("/templates/python", test_python);
  return g_test_run ();
}

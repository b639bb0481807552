/* venvfs: the command line. Parses it, runs one verb, turns its answer into an exit status.
 *
 * Start-up is a matter of milliseconds, since making an environment is: nothing is initialised
 * here that not every verb needs. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "layers/error.h"
#include "tools/interrupt.h"
#include "tools/suggest.h"
#include "tools/verb.h"

#define EXIT_FAILED      1
#define EXIT_MISUSE      2
#define EXIT_SIGNAL_BASE 128

/* The global options as parsed. */
typedef struct {
  gboolean help, version, json, quiet;
  char *store, *name;
} Globals;

static void
globals_clear (Globals *globals)
{
  g_free (globals->store);
  g_free (globals->name);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Globals, globals_clear)

static void
add_globals (GOptionContext *context, Globals *globals, gboolean with_version)
{
  gpointer targets[] = {&globals->help, &globals->name, &globals->store, &globals->json,
                        &globals->quiet};
  GOptionEntry entries[G_N_ELEMENTS (targets) + 2] = {0};
  for (gsize i = 0; i < G_N_ELEMENTS (targets); i++) {
    entries[i] = vf_verb_global_entries[i];
    entries[i].arg_data = targets[i];
  }
  if (with_version)
    entries[G_N_ELEMENTS (targets)] =
        (GOptionEntry){"version", 0, 0, G_OPTION_ARG_NONE, &globals->version, NULL, NULL};
  g_option_context_add_main_entries (context, entries, NULL);
}

/* GOption's complaint as ours: a usage error, an unknown option with the one that was meant. */
static gboolean
explain_option_error (const VfVerb *verb, const GError *cause, GError **error)
{
  g_autofree char *where = verb ? g_strconcat (verb->name, ": ", NULL) : g_strdup ("");
  const char *dashes = strstr (cause->message, "--");
  const char *near = NULL;
  if (cause->code == G_OPTION_ERROR_UNKNOWN_OPTION && dashes) {
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    for (const GOptionEntry *e = vf_verb_global_entries; e->long_name; e++)
      g_ptr_array_add (names, (gpointer)e->long_name);
    for (const GOptionEntry *e = verb ? verb->entries : NULL; e && e->long_name; e++)
      g_ptr_array_add (names, (gpointer)e->long_name);
    for (const GOptionEntry *e = verb ? verb->more_entries : NULL; e && e->long_name; e++)
      g_ptr_array_add (names, (gpointer)e->long_name);
    g_ptr_array_add (names, NULL);
    g_autofree char *word = g_strndup (dashes + 2, strcspn (dashes + 2, "="));
    near = vf_suggest (word, (const char *const *)names->pdata);
  }
  if (near)
    return vf_error_set (error, VF_ERROR_USAGE, "%s%s; did you mean --%s?", where, cause->message,
                         near);
  return vf_error_set (error, VF_ERROR_USAGE, "%s%s; 'venvfs %s%s--help' lists the options", where,
                       cause->message, verb ? verb->name : "", verb ? " " : "");
}

/* Parses @arguments in place: options out, positionals stay. @verb NULL: up to the verb. */
static gboolean
parse_options (const VfVerb *verb, Globals *globals, char ***arguments, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) cause = NULL;
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_set_strict_posix (context, !verb || verb->options_before_args);
  add_globals (context, globals, !verb);
  if (verb && verb->entries)
    g_option_context_add_main_entries (context, verb->entries, NULL);
  if (verb && verb->more_entries)
    g_option_context_add_main_entries (context, verb->more_entries, NULL);
  if (!g_option_context_parse_strv (context, arguments, &cause))
    return explain_option_error (verb, cause, error);
  return TRUE;
}

/* Removes the first string of a vector that owns them. */
static void
drop_first (char **strings)
{
  gsize n_left = g_strv_length (strings + 1);
  g_free (strings[0]);
  memmove (strings, strings + 1, (n_left + 1) * sizeof *strings);
}

/* Without its program name and a first "--", which GOption leaves where it stood last. */
static void
keep_positionals (const VfVerb *verb, char **arguments)
{
  drop_first (arguments);
  for (gsize i = 0; arguments[i]; i++) {
    if (strcmp (arguments[i], "--") == 0) {
      drop_first (arguments + i);
      return;
    }
    if (verb->options_before_args)
      return;
  }
}

/* Finds the verb and parses the whole line. FALSE with an error; TRUE with *out_verb NULL when only
 * general help or the version was asked for. */
static gboolean
parse_command_line (Globals *globals, char ***arguments, const VfVerb **out_verb, GError **error)
{
  if (!parse_options (NULL, globals, arguments, error))
    return FALSE;
  const char *word = (*arguments)[1];
  if (globals->version || (!word && globals->help))
    return TRUE;
  if (!word)
    return vf_error_set (error, VF_ERROR_USAGE, "a verb is missing; 'venvfs --help' lists them");
  const VfVerb *verb = vf_verb_find (word);
  if (!verb)
    return vf_suggest_verb (word, error);
  *out_verb = verb;
  drop_first (*arguments);
  if (!parse_options (verb, globals, arguments, error))
    return FALSE;
  keep_positionals (verb, *arguments);
  return TRUE;
}

/* What an interruption broke is no failure of its own. */
static void
explain_interruption (const VfInvocation *invocation, GError **error)
{
  if (!*error || !vf_interrupted ())
    return;
  g_clear_error (error);
  if (invocation->interrupted)
    vf_error_set (error, VF_ERROR_CANCELLED, "%s", invocation->interrupted);
  else
    vf_interrupt_check (error);
}

static int
status_of (const GError *error)
{
  if (!error)
    return 0;
  if (g_error_matches (error, VF_ERROR, VF_ERROR_USAGE))
    return EXIT_MISUSE;
  if (g_error_matches (error, VF_ERROR, VF_ERROR_CANCELLED) && vf_interrupted ())
    return EXIT_SIGNAL_BASE + vf_interrupt_signal ();
  return EXIT_FAILED;
}

static int
run_verb (const VfVerb *verb, const Globals *globals, VfOutput *output, char **arguments,
          gint64 start_usec, GError **error)
{
  VfInvocation invocation = {
      .verb = verb,
      .output = output,
      .store_path = globals->store,
      .name = globals->name,
      .start_usec = start_usec,
  };
  vf_interrupt_install ();
  if (!verb->run (&invocation, arguments, error))
    explain_interruption (&invocation, error);
  return invocation.exit_status;
}

/* --json counts for errors in the command line too, wherever it stands. */
static gboolean
wants_json (char **arguments)
{
  for (gsize i = 1; arguments[i] && strcmp (arguments[i], "--") != 0; i++)
    if (strcmp (arguments[i], "--json") == 0)
      return TRUE;
  return FALSE;
}

int
main (int argc, char *argv[])
{
  gint64 start_usec = g_get_monotonic_time ();
  setlocale (LC_CTYPE, "");
  g_set_prgname ("venvfs");

  g_auto (Globals) globals = {0};
  g_auto (GStrv) arguments = g_strdupv (argv);
  const VfVerb *verb = NULL;
  g_autoptr (GError) error = NULL;
  if (!parse_command_line (&globals, &arguments, &verb, &error)) {
    g_autoptr (VfOutput) output = vf_output_new (wants_json (argv), FALSE);
    vf_output_finish (output, verb ? verb->name : NULL, error);
    return status_of (error);
  }
  if (globals.version || globals.help) {
    g_autofree char *help = verb ? vf_verb_help (verb) : vf_verb_overview ();
    g_autoptr (VfOutput) output = vf_output_new (FALSE, FALSE);
    fputs (globals.version ? "venvfs " VF_VERSION "\n" : help, stdout);
    return vf_output_finish (output, NULL, NULL) ? 0 : EXIT_FAILED;
  }

  g_autoptr (VfOutput) output = vf_output_new (globals.json, globals.quiet);
  int status = run_verb (verb, &globals, output, arguments, start_usec, &error);
  gboolean written = vf_output_finish (output, verb->name, error);
  if (error)
    return status != 0 ? status : status_of (error);
  return written ? status : EXIT_FAILED;
}

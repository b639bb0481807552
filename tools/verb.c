/* What all verbs share: finding one, checking its arguments, and the help texts. */
#include "tools/verb.h"

#include <string.h>

#include "layers/error.h"

#define OPTION_COLUMN 28
#define LINE_COLUMNS  80

const GOptionEntry vf_verb_global_entries[] = {
    {"help", 'h', 0, G_OPTION_ARG_NONE, NULL, "Explain the verb and exit", NULL},
    {"name", 'n', 0, G_OPTION_ARG_FILENAME, NULL,
     "Environment to act on (default: the current directory's)", "NAME"},
    {"store", 0, 0, G_OPTION_ARG_FILENAME, NULL, "Store to use (default: $VENVFS_STORE)", "DIR"},
    {"json", 0, 0, G_OPTION_ARG_NONE, NULL, "Print one line of JSON instead of text", NULL},
    {"quiet", 'q', 0, G_OPTION_ARG_NONE, NULL, "Print errors and requested data only", NULL},
    {NULL},
};

const VfVerb *
vf_verb_find (const char *name)
{
  for (gsize i = 0; vf_verbs[i]; i++)
    if (strcmp (vf_verbs[i]->name, name) == 0)
      return vf_verbs[i];
  return NULL;
}

gboolean
vf_verb_check_arguments (const VfInvocation *invocation, char **arguments, int min, int max,
                         GError **error)
{
  const VfVerb *verb = invocation->verb;
  int n = (int)g_strv_length (arguments);
  const char *usage = verb->arguments ? verb->arguments : "";
  if (n < min)
    return vf_error_set (error, VF_ERROR_USAGE, "%s: an argument is missing; usage: venvfs %s %s",
                         verb->name, verb->name, usage);
  if (max >= 0 && n > max)
    return vf_error_set (error, VF_ERROR_USAGE,
                         "%s: '%s' is one argument too many; usage: venvfs %s%s%s", verb->name,
                         arguments[max], verb->name, *usage ? " " : "", usage);
  return TRUE;
}

/* Appends @text, wrapped at LINE_COLUMNS; the cursor is at @column, further lines begin at
 * @indent. */
static void
append_wrapped (GString *out, const char *text, glong column, glong indent)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  for (gsize i = 0; words[i]; i++) {
    glong width = g_utf8_strlen (words[i], -1);
    if (i > 0 && column + 1 + width > LINE_COLUMNS) {
      g_string_append_printf (out, "\n%*s", (int)indent, "");
      column = indent;
    } else if (i > 0) {
      g_string_append_c (out, ' ');
      column++;
    }
    g_string_append (out, words[i]);
    column += width;
  }
  g_string_append_c (out, '\n');
}

static void
append_options (GString *out, const GOptionEntry *entries)
{
  for (const GOptionEntry *entry = entries; entry && entry->long_name; entry++) {
    if (entry->flags & G_OPTION_FLAG_HIDDEN)
      continue;
    g_autoptr (GString) left = g_string_new ("  ");
    if (entry->short_name)
      g_string_append_printf (left, "-%c, ", entry->short_name);
    g_string_append_printf (left, "--%s", entry->long_name);
    if (entry->arg_description)
      g_string_append_printf (left, " %s", entry->arg_description);
    glong width = g_utf8_strlen (left->str, -1);
    g_string_append (out, left->str);
    if (width > OPTION_COLUMN - 2)
      g_string_append_printf (out, "\n%*s", OPTION_COLUMN, "");
    else
      g_string_append_printf (out, "%*s", (int)(OPTION_COLUMN - width), "");
    append_wrapped (out, entry->description, OPTION_COLUMN, OPTION_COLUMN);
  }
}

char *
vf_verb_help (const VfVerb *verb)
{
  GString *out = g_string_new (NULL);
  g_string_append_printf (out, "Usage: venvfs %s%s%s%s%s\n\n%s.\n", verb->name,
                          verb->options_before_args ? " [OPTION…]" : "", verb->arguments ? " " : "",
                          verb->arguments ? verb->arguments : "",
                          verb->options_before_args ? "" : " [OPTION…]", verb->summary);
  if (verb->description)
    g_string_append_printf (out, "\n%s\n", verb->description);
  if (verb->entries && verb->entries->long_name) {
    g_string_append (out, "\nOptions:\n");
    append_options (out, verb->entries);
  }
  if (verb->more_entries) {
    g_string_append_printf (out, "\n%s:\n", verb->more_title);
    append_options (out, verb->more_entries);
  }
  g_string_append (out, "\nOptions of every verb:\n");
  append_options (out, vf_verb_global_entries);
  if (verb->examples)
    g_string_append_printf (out, "\nExamples:\n%s\n", verb->examples);
  return g_string_free (out, FALSE);
}

char *
vf_verb_overview (void)
{
  GString *out = g_string_new (
      "Usage: venvfs VERB [ARGUMENT…] [OPTION…]\n\n"
      "Python virtual environments, each mounted as a copy-on-write overlay of packages\n"
      "that are stored once. Making one costs milliseconds and a few kilobytes.\n\nVerbs:\n");
  for (gsize i = 0; vf_verbs[i]; i++)
    if (!vf_verbs[i]->hidden) {
      g_string_append_printf (out, "  %-12s", vf_verbs[i]->name);
      append_wrapped (out, vf_verbs[i]->summary, 14, 14);
    }
  g_string_append (out, "\nOptions of every verb:\n");
  append_options (out, vf_verb_global_entries);
  g_string_append_printf (out, "  %-*s%s\n", OPTION_COLUMN - 2, "--version", "Print the version");
  g_string_append (out,
                   "\nA first environment:\n"
                   "  venvfs create proj requests     make it, with the newest requests and pip\n"
                   "  venvfs mount proj               show it at ./.venv\n"
                   "  . .venv/bin/activate            use it as any virtual environment\n\n"
                   "'venvfs VERB --help' explains a verb, with examples.\n");
  return g_string_free (out, FALSE);
}

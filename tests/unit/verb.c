#include "tools/verb.h"

#include <string.h>

#include "layers/error.h"

static void
test_arguments (void)
{
  static const VfVerb verb = {.name = "copy", .arguments = "FROM TO"};
  VfInvocation invocation = {.verb = &verb};
  char *none[] = {NULL}, *three[] = {(char *)"a", (char *)"b", (char *)"c", NULL};
  g_autoptr (GError) few = NULL, many = NULL;
  g_assert_false (vf_verb_check_arguments (&invocation, none, 2, 2, &few));
  g_assert_error (few, VF_ERROR, VF_ERROR_USAGE);
  g_assert_cmpstr (few->message, ==, "copy: an argument is missing; usage: venvfs copy FROM TO");
  g_assert_false (vf_verb_check_arguments (&invocation, three, 2, 2, &many));
  g_assert_error (many, VF_ERROR, VF_ERROR_USAGE);
  g_assert_true (vf_verb_check_arguments (&invocation, three, 2, -1, NULL));
}

/* Every verb teaches: a summary for the list, examples, lines that fit 80 columns. */
static void
test_help_of_every_verb (void)
{
  for (gsize i = 0; vf_verbs[i]; i++) {
    g_test_message ("%s", vf_verbs[i]->name);
    g_autofree char *help = vf_verb_help (vf_verbs[i]);
    g_assert_nonnull (vf_verbs[i]->run);
    g_assert_nonnull (vf_verbs[i]->summary);
    g_assert_nonnull (vf_verbs[i]->examples);
    g_assert_true (vf_verb_find (vf_verbs[i]->name) == vf_verbs[i]);
    g_auto (GStrv) lines = g_strsplit (help, "\n", -1);
    for (gsize line = 0; lines[line]; line++)
      if (!strstr (lines[line], "Usage:"))
        g_assert_cmpint (g_utf8_strlen (lines[line], -1), <=, 80);
  }
}

static void
test_overview (void)
{
  g_autofree char *overview = vf_verb_overview ();
  for (gsize i = 0; vf_verbs[i]; i++) {
    g_autofree char *row = g_strdup_printf ("\n  %s ", vf_verbs[i]->name);
    g_assert_true (vf_verbs[i]->hidden || strstr (overview, row));
  }
  g_assert_null (vf_verb_find ("no-such-verb"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/verb/arguments", test_arguments);
  g_test_add_func ("/verb/help-of-every-verb", test_help_of_every_verb);
  g_test_add_func ("/verb/overview", test_overview);
  return g_test_run ();
}

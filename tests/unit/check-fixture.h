/* The check, and what it reported. */
#pragma once

#include "layers/check.h"
#include "world-fixture.h"

static inline void
on_problem (const char *path, const char *problem, gpointer user_data)
{
  g_ptr_array_add (user_data, g_strdup_printf ("%s: %s", path, problem));
}

/* The lines, NULL-terminated. */
static inline char **
run_check (Fixture *fixture, gboolean deep, gboolean repair)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) lines = g_ptr_array_new ();
  VfCheckResult result;
  g_assert_true (vf_check (fixture->store, deep, repair, on_problem, NULL, lines, &result, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (result.problems, ==, lines->len);
  g_assert_cmpuint (result.repaired, <=, repair ? result.problems : 0);
  g_ptr_array_add (lines, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&lines), FALSE);
}

static inline void
assert_clean (Fixture *fixture)
{
  g_auto (GStrv) lines = run_check (fixture, TRUE, FALSE);
  for (char **line = lines; *line; line++)
    g_test_message ("%s", *line);
  g_assert_cmpuint (g_strv_length (lines), ==, 0);
}

/* Exactly one problem, of @path, whose text holds @text. */
static inline void
assert_problem (Fixture *fixture, gboolean deep, const char *path, const char *text)
{
  g_auto (GStrv) lines = run_check (fixture, deep, FALSE);
  for (char **line = lines; *line; line++)
    g_test_message ("%s", *line);
  g_assert_cmpuint (g_strv_length (lines), ==, 1);
  g_autofree char *prefix = g_strconcat (path, ": ", NULL);
  g_assert_true (g_str_has_prefix (lines[0], prefix));
  g_assert_nonnull (strstr (lines[0], text));
}

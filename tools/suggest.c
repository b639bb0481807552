#include "tools/suggest.h"

#include <string.h>

#include "layers/error.h"
#include "tools/verb.h"

#define MAX_LENGTH 64

/* Optimal string alignment distance; words of more than MAX_LENGTH bytes are far from anything. */
static guint
edit_distance (const char *a, const char *b)
{
  gsize n = strlen (a), m = strlen (b);
  if (n > MAX_LENGTH || m > MAX_LENGTH)
    return G_MAXUINT;
  guint rows[3][MAX_LENGTH + 1];
  for (gsize j = 0; j <= m; j++)
    rows[0][j] = (guint)j;
  for (gsize i = 1; i <= n; i++) {
    guint *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
    row[0] = (guint)i;
    for (gsize j = 1; j <= m; j++) {
      guint replace = above[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = MIN (replace, MIN (above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = MIN (row[j], above2[j - 2] + 1);
    }
  }
  return rows[n % 3][m];
}

const char *
vf_suggest (const char *word, const char *const *words)
{
  const char *best = NULL;
  guint best_distance = (guint)MAX (strlen (word) / 3, 1) + 1;
  for (gsize i = 0; words[i]; i++) {
    if (strlen (word) >= 3 && g_str_has_prefix (words[i], word))
      return words[i];
    guint distance = edit_distance (word, words[i]);
    if (distance < best_distance) {
      best = words[i];
      best_distance = distance;
    }
  }
  return best;
}

gboolean
vf_suggest_verb (const char *word, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  for (gsize i = 0; vf_verbs[i]; i++)
    g_ptr_array_add (names, (gpointer)vf_verbs[i]->name);
  g_ptr_array_add (names, NULL);
  const char *near = vf_suggest (word, (const char *const *)names->pdata);
  if (near)
    return vf_error_set (error, VF_ERROR_USAGE, "'%s' is not a verb; did you mean '%s'?", word,
                         near);
  return vf_error_set (error, VF_ERROR_USAGE, "'%s' is not a verb; 'venvfs --help' lists them",
                       word);
}

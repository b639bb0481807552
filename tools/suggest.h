/* "Did you mean": the word nearest to one that nobody knows. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The one of @words (NULL-terminated) nearest to @word: one that @word begins (three characters or
 * more), or one at most a third of its length of edits away (insert, delete, replace, swap of
 * neighbours). NULL if none is near. Borrowed from @words. */
const char *vf_suggest (const char *word, const char *const *words);

/* FALSE with VF_ERROR_USAGE: "'craete' is not a verb; did you mean 'create'?" */
gboolean vf_suggest_verb (const char *word, GError **error);

G_END_DECLS

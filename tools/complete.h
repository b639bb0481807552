/* Completion of a command line that is still being typed: what may stand in place of its last word.
 *
 * Everything is read from the table of verbs, so that a verb or an option is completed from the day
 * it is there: options from their entries, what an argument or an option's value is from the word
 * that the usage line has for it (NAME, FILE, DIR, MOUNTPOINT, VERB, COMMAND, "path|size", …). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  GPtrArray *candidates; /* of char *: a word, or "word<tab>what it is" */
  gboolean environments; /* also the names of environments, each after @prefix … */
  char *prefix;          /* "" or "--name="; owned */
  const char *store;     /* … of this store; borrowed from the words; NULL: of the default one */
  gboolean files, directories; /* also these, which the shell knows best */
  int command; /* the line has a command of its own from this word on; -1: it has none */
} VfCompletion;

/* @words: what follows "venvfs", up to the word at the cursor, which may be empty. */
void vf_complete (const char *const *words, VfCompletion *out_completion);
void vf_completion_clear (VfCompletion *completion);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfCompletion, vf_completion_clear)

G_END_DECLS

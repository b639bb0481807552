#include "tools/complete.h"

#include <string.h>

#include "layers/wheel.h"
#include "tools/verb.h"

/* The line as read so far. */
typedef struct {
  const char *current;        /* the word to complete */
  const VfVerb *verb;         /* NULL until there is one */
  const GOptionEntry *valued; /* the option whose value comes next, or NULL */
  int n_arguments;            /* after the verb */
  gboolean only_arguments;    /* after "--" */
} Line;

static const GOptionEntry version_entry[] = {
    {"version", 0, 0, G_OPTION_ARG_NONE, NULL, "Print the version", NULL},
    {NULL},
};

/* The groups of options that may stand here; ended by NULL. */
static void
list_groups (const VfVerb *verb, const GOptionEntry *out_groups[4])
{
  gsize n = 0;
  if (verb != NULL && verb->entries != NULL)
    out_groups[n++] = verb->entries;
  if (verb != NULL && verb->more_entries != NULL)
    out_groups[n++] = verb->more_entries;
  out_groups[n++] = vf_verb_global_entries;
  out_groups[n] = NULL;
}

/* By the @length bytes of its long name, or by its letter. */
static const GOptionEntry *
find_option (const VfVerb *verb, const char *name, gsize length, char letter)
{
  const GOptionEntry *groups[4];
  list_groups (verb, groups);
  for (gsize i = 0; groups[i] != NULL; i++)
    for (const GOptionEntry *entry = groups[i]; entry->long_name != NULL; entry++) {
      if (name == NULL ? entry->short_name == letter
                       : strlen (entry->long_name) == length &&
                             strncmp (entry->long_name, name, length) == 0)
        return entry;
    }
  return NULL;
}

static gboolean
takes_value (const GOptionEntry *entry)
{
  return entry != NULL && entry->arg != G_OPTION_ARG_NONE;
}

/* The option whose value has to be the next word, or NULL. */
static const GOptionEntry *
read_option (const VfVerb *verb, const char *word)
{
  if (word[1] == '-') {
    gsize length = strcspn (word + 2, "=");
    const GOptionEntry *entry = find_option (verb, word + 2, length, 0);
    return takes_value (entry) && word[2 + length] == '\0' ? entry : NULL;
  }
  for (const char *letter = word + 1; *letter != '\0'; letter++) {
    const GOptionEntry *entry = find_option (verb, NULL, 0, *letter);
    if (takes_value (entry))
      return letter[1] == '\0' ? entry : NULL;
  }
  return NULL;
}

/* FALSE when nothing is known about what follows: an unknown verb, or a command's own words. */
static gboolean
read_word (Line *line, const char *word, VfCompletion *completion)
{
  if (line->valued != NULL) {
    if (strcmp (line->valued->long_name, "store") == 0)
      completion->store = word;
    line->valued = NULL;
  } else if (!line->only_arguments && strcmp (word, "--") == 0) {
    line->only_arguments = line->verb != NULL;
  } else if (!line->only_arguments && word[0] == '-' && word[1] != '\0') {
    if (g_str_has_prefix (word, "--store="))
      completion->store = word + strlen ("--store=");
    line->valued = read_option (line->verb, word);
  } else if (line->verb == NULL) {
    line->verb = vf_verb_find (word);
    return line->verb != NULL;
  } else {
    line->n_arguments++;
    return !line->verb->options_before_args;
  }
  return TRUE;
}

static void
add (VfCompletion *completion, const Line *line, const char *word, const char *what)
{
  g_autofree char *whole = g_strconcat (completion->prefix, word, NULL);
  if (!g_str_has_prefix (whole, line->current))
    return;
  g_ptr_array_add (completion->candidates,
                   what != NULL ? g_strconcat (whole, "\t", what, NULL) : g_steal_pointer (&whole));
}

static void
add_verbs (VfCompletion *completion, const Line *line)
{
  for (gsize i = 0; vf_verbs[i] != NULL; i++)
    if (!vf_verbs[i]->hidden)
      add (completion, line, vf_verbs[i]->name, vf_verbs[i]->summary);
}

static void
add_options (VfCompletion *completion, const Line *line)
{
  const GOptionEntry *groups[5] = {NULL};
  list_groups (line->verb, groups);
  for (gsize i = 0; line->verb == NULL && i < 4; i++)
    if (groups[i] == NULL) {
      groups[i] = version_entry;
      break;
    }
  for (gsize i = 0; groups[i] != NULL; i++)
    for (const GOptionEntry *entry = groups[i]; entry->long_name != NULL; entry++) {
      g_autofree char *word = g_strconcat ("--", entry->long_name, NULL);
      if (!(entry->flags & G_OPTION_FLAG_HIDDEN))
        add (completion, line, word, entry->description);
    }
}

static void
add_rules (VfCompletion *completion, const Line *line)
{
  gsize n;
  const VfWheelRule *rules = vf_wheel_rules (&n);
  for (gsize i = 0; i < n; i++)
    if (rules[i].acceptable)
      add (completion, line, rules[i].name, NULL);
}

/* What the usage line calls @term: in capitals a kind of thing, else the thing itself. */
static void
add_term (VfCompletion *completion, const Line *line, const char *term)
{
  if (strcmp (term, "NAME") == 0)
    completion->environments = line->verb == NULL || !line->verb->makes_name || line->valued;
  else if (strcmp (term, "VERB") == 0)
    add_verbs (completion, line);
  else if (strcmp (term, "RULE") == 0)
    add_rules (completion, line);
  else if (strcmp (term, "DIR") == 0 || strcmp (term, "MOUNTPOINT") == 0)
    completion->directories = TRUE;
  else if (strcmp (term, "FILE") == 0 || strcmp (term, "PYLOCK") == 0 ||
           strcmp (term, "PYTHON") == 0 || strcmp (term, "PACKAGE") == 0)
    completion->files = TRUE;
  else if (g_ascii_islower (term[0]))
    add (completion, line, term, NULL);
}

/* "NAME", "[MOUNTPOINT|NAME]", "[PACKAGE…]". */
static void
add_terms (VfCompletion *completion, const Line *line, const char *usage)
{
  g_auto (GStrv) terms = g_strsplit_set (usage != NULL ? usage : "", "[]|", -1);
  for (gsize i = 0; terms[i] != NULL; i++) {
    char *more = strstr (terms[i], "…");
    if (more != NULL)
      *more = '\0';
    add_term (completion, line, terms[i]);
  }
}

/* The word of the verb's usage line for its next argument. */
static void
add_arguments (VfCompletion *completion, const Line *line)
{
  g_auto (GStrv) usages =
      g_strsplit (line->verb->arguments != NULL ? line->verb->arguments : "", " ", -1);
  int n = (int)g_strv_length (usages);
  if (line->n_arguments < n)
    add_terms (completion, line, usages[line->n_arguments]);
  else if (n > 0 && strstr (usages[n - 1], "…") != NULL)
    add_terms (completion, line, usages[n - 1]);
}

static void
add_current (VfCompletion *completion, Line *line)
{
  const char *word = line->current;
  const char *equals = g_str_has_prefix (word, "--") ? strchr (word, '=') : NULL;
  if (line->valued != NULL) {
    add_terms (completion, line, line->valued->arg_description);
  } else if (!line->only_arguments && equals != NULL) {
    line->valued = find_option (line->verb, word + 2, (gsize)(equals - word - 2), 0);
    g_free (completion->prefix);
    completion->prefix = g_strndup (word, (gsize)(equals - word + 1));
    if (takes_value (line->valued))
      add_terms (completion, line, line->valued->arg_description);
  } else if (!line->only_arguments && word[0] == '-') {
    add_options (completion, line);
  } else if (line->verb == NULL) {
    add_verbs (completion, line);
  } else {
    add_arguments (completion, line);
  }
}

void
vf_complete (const char *const *words, VfCompletion *out_completion)
{
  Line line = {.current = ""};
  int n = (int)g_strv_length ((char **)words);
  *out_completion = (VfCompletion){
      .candidates = g_ptr_array_new_with_free_func (g_free),
      .prefix = g_strdup (""),
      .command = -1,
  };
  for (int i = 0; i < n - 1; i++) {
    if (read_word (&line, words[i], out_completion))
      continue;
    if (line.verb != NULL)
      out_completion->command = i;
    return;
  }
  if (n > 0)
    line.current = words[n - 1];
  if (line.verb != NULL && line.verb->options_before_args && line.valued == NULL &&
      (line.only_arguments || line.current[0] != '-'))
    out_completion->command = n - 1;
  else
    add_current (out_completion, &line);
}

void
vf_completion_clear (VfCompletion *completion)
{
  g_clear_pointer (&completion->candidates, g_ptr_array_unref);
  g_clear_pointer (&completion->prefix, g_free);
}

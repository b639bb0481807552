#include "tools/complete.h"

#include <string.h>

#include "tools/verb.h"

/* The candidates for @line (words separated by one blank each), without explanations. */
static char *
complete (const char *line, VfCompletion *completion)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  vf_complete ((const char *const *)words, completion);
  GString *found = g_string_new (NULL);
  for (guint i = 0; i < completion->candidates->len; i++) {
    const char *candidate = g_ptr_array_index (completion->candidates, i);
    g_string_append_len (found, candidate, (gssize)strcspn (candidate, "\t"));
    g_string_append_c (found, ' ');
  }
  return g_string_free (found, FALSE);
}

typedef struct {
  const char *line;
  const char *candidates; /* each followed by a blank */
  const char *more;       /* "e": environments, "f": files, "d": directories */
  int command;
} Case;

static void
test_lines (void)
{
  static const Case cases[] = {
      {"mou", "mount ", "", -1},
      {"store ", "path size ", "", -1},
      {"help fs", "fsck ", "", -1},
      {"-q mou", "mount ", "", -1},
      {"--vers", "--version ", "", -1},
      {"gc --vers", "", "", -1},
      {"gc --dry", "--dry-run ", "", -1},
      {"gc --dry-run ", "", "", -1},
      {"create --pre", "--pre --prefer-binary ", "", -1},
      {"create ", "", "", -1},
      {"create proj ", "", "f", -1},
      {"create proj one two ", "", "f", -1},
      {"create proj -r ", "", "f", -1},
      {"create proj --requirement ", "", "f", -1},
      {"create proj --requirement=", "", "f", -1},
      {"create proj --find-links ", "", "d", -1},
      {"create proj -qf ", "", "d", -1},
      {"create proj -fplace ", "", "f", -1},
      {"create proj --prompt ", "", "", -1},
      {"create proj --without-pip=", "", "", -1},
      {"create proj --accept record-h", "record-hash ", "", -1},
      {"create proj --accept=record-h", "--accept=record-hash ", "", -1},
      {"mount ", "", "e", -1},
      {"mount -- ", "", "e", -1},
      {"mount -- --al", "", "e", -1},
      {"mount proj ", "", "d", -1},
      {"mount proj place ", "", "", -1},
      {"umount ", "", "ed", -1},
      {"delete one two ", "", "e", -1},
      {"status -n ", "", "e", -1},
      {"-n ", "", "e", -1},
      {"run ", "", "", 1},
      {"run --na", "--name ", "", -1},
      {"run -n proj ", "", "", 3},
      {"run -n proj py -", "", "", 3},
      {"run -- py", "", "", 2},
      {"no-such-verb ", "", "", -1},
      {"", NULL, "", -1},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    const Case *one = &cases[i];
    g_auto (VfCompletion) completion = {0};
    g_autofree char *found = complete (one->line, &completion);
    g_test_message ("%s: %s", one->line, found);
    if (one->candidates != NULL)
      g_assert_cmpstr (found, ==, one->candidates);
    g_assert_cmpint (completion.environments, ==, strchr (one->more, 'e') != NULL);
    g_assert_cmpint (completion.files, ==, strchr (one->more, 'f') != NULL);
    g_assert_cmpint (completion.directories, ==, strchr (one->more, 'd') != NULL);
    g_assert_cmpint (completion.command, ==, one->command);
  }
}

static void
test_every_verb_and_option (void)
{
  for (gsize i = 0; vf_verbs[i] != NULL; i++) {
    const VfVerb *verb = vf_verbs[i];
    g_auto (VfCompletion) completion = {0};
    g_autofree char *found = complete (verb->name, &completion);
    g_autofree char *word = g_strconcat (verb->name, " ", NULL);
    g_assert_true (g_str_has_prefix (found, word) == !verb->hidden);
    for (const GOptionEntry *entry = verb->entries; entry != NULL && entry->long_name; entry++) {
      g_auto (VfCompletion) options = {0};
      g_autofree char *line = g_strconcat (verb->name, " --", entry->long_name, NULL);
      g_autofree char *option = g_strconcat ("--", entry->long_name, " ", NULL);
      g_autofree char *answer = complete (line, &options);
      g_assert_true (strstr (answer, option) != NULL);
    }
  }
}

static void
test_explanations (void)
{
  static const char *const words[] = {"gc", "--dry", NULL};
  g_auto (VfCompletion) completion = {0};
  vf_complete (words, &completion);
  g_assert_cmpuint (completion.candidates->len, ==, 1);
  g_assert_cmpstr (g_ptr_array_index (completion.candidates, 0), ==,
                   "--dry-run\tSay what would go, remove nothing");
}

static void
test_store_and_prefix (void)
{
  static const char *const lines[] = {"--store /s mount --name=a", "mount --store=/s --name=a",
                                      "mount --store /s --name=a"};
  for (gsize i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", -1);
    g_auto (VfCompletion) completion = {0};
    vf_complete ((const char *const *)words, &completion);
    g_assert_cmpstr (completion.store, ==, "/s");
    g_assert_cmpstr (completion.prefix, ==, "--name=");
    g_assert_true (completion.environments);
  }
}

static void
test_nothing (void)
{
  static const char *const none[] = {NULL};
  g_auto (VfCompletion) completion = {0};
  vf_complete (none, &completion);
  g_assert_cmpuint (completion.candidates->len, >, 5);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/complete/lines", test_lines);
  g_test_add_func ("/complete/every-verb-and-option", test_every_verb_and_option);
  g_test_add_func ("/complete/explanations", test_explanations);
  g_test_add_func ("/complete/store-and-prefix", test_store_and_prefix);
  g_test_add_func ("/complete/nothing", test_nothing);
  return g_test_run ();
}

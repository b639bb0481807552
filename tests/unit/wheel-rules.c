/* layers/wheel-rules.c */
#include "layers/wheel-rules.h"

#include <string.h>

#include "layers/error.h"

static void
test_table (void)
{
  gsize n = 0;
  const VfWheelRule *rules = vf_wheel_rules (&n);
  g_assert_cmpuint (n, ==, VF_N_RULES);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  for (gsize i = 0; i < n; i++) {
    g_assert_nonnull (rules[i].name);
    g_assert_cmpuint (strspn (rules[i].name, "abcdefghijklmnopqrstuvwxyz0123456789-"), ==,
                      strlen (rules[i].name));
    g_assert_true (g_hash_table_add (names, (char *)rules[i].name));
    g_assert_cmpuint (strlen (rules[i].summary), >, 10);
    /* Never the container and never what leaves its place. */
    if (g_str_has_prefix (rules[i].name, "zip-") || g_str_has_prefix (rules[i].name, "path-"))
      g_assert_false (rules[i].acceptable);
  }
}

static void
test_accept (void)
{
  static const char *const good[] = {"record-hash", "dist-info-name", NULL};
  static const char *const unknown[] = {"record-hash", "nonsense", NULL};
  static const char *const never[] = {"path-traversal", NULL};
  VfRules rules;
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_rules_init (&rules, "w", NULL, &error));
  g_assert_cmpuint (rules.accepted, ==, 0);
  g_assert_true (vf_rules_init (&rules, "w", good, &error));
  g_assert_no_error (error);
  g_assert_true (vf_rules_break (&rules, VF_RULE_RECORD_HASH, &error, "x"));
  g_assert_no_error (error);
  g_assert_false (vf_rules_break (&rules, VF_RULE_RECORD_SIZE, &error, "x"));
  g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
  g_clear_error (&error);
  g_assert_false (vf_rules_init (&rules, "w", unknown, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_USAGE);
  g_assert_true (g_str_has_prefix (error->message, "nonsense: "));
  g_clear_error (&error);
  g_assert_false (vf_rules_init (&rules, "w", never, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_USAGE);
}

static void
test_message (void)
{
  VfRules rules = {.what = "/tmp/w.whl"};
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_rules_break (&rules, VF_RULE_RECORD_HASH, &error, "%s is \x1b[31m", "a\nb"));
  g_assert_cmpstr (error->message, ==,
                   "/tmp/w.whl: rule record-hash: a?b is ?[31m; another release may be whole, or "
                   "--accept record-hash takes this one as it is");
  g_clear_error (&error);
  g_assert_false (vf_rules_break (&rules, VF_RULE_ZIP_END, &error, "cut off"));
  g_assert_cmpstr (error->message, ==,
                   "/tmp/w.whl: rule zip-end: cut off; download it again or take another release");
  g_clear_error (&error);
  g_autofree char *path = g_strnfill (1 << 20, 'p');
  g_assert_false (vf_rules_break (&rules, VF_RULE_ZIP_END, &error, "of %s it is", path));
  g_assert_true (g_str_has_prefix (error->message, "/tmp/w.whl: rule zip-end: of ppp"));
  g_assert_nonnull (strstr (error->message, "p[…]p"));
  g_assert_true (
      g_str_has_suffix (error->message, "pp it is; download it again or take another release"));
  g_assert_cmpuint (strlen (error->message), <, 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wheel-rules/table", test_table);
  g_test_add_func ("/wheel-rules/accept", test_accept);
  g_test_add_func ("/wheel-rules/message", test_message);
  return g_test_run ();
}

#include "tools/output.h"

#include <errno.h>

#include "layers/error.h"

static void
test_printable (void)
{
  g_autofree char *escape = vf_output_printable ("a\033[31m\nb\x9b");
  g_autofree char *utf8 = vf_output_printable ("päckage – ok");
  g_assert_cmpstr (escape, ==, "a\\033[31m\\012b\\233");
  g_assert_cmpstr (utf8, ==, "päckage – ok");
}

static void
assert_text (char *text, const char *expected)
{
  g_assert_cmpstr (text, ==, expected);
  g_free (text);
}

static void
test_figures (void)
{
  assert_text (vf_output_bytes (0), "0 bytes");
  assert_text (vf_output_bytes (1), "1 byte");
  assert_text (vf_output_bytes (999), "999 bytes");
  assert_text (vf_output_bytes (64000), "64.0 KB");
  assert_text (vf_output_bytes (999950), "1.0 MB");
  assert_text (vf_output_bytes (600100000), "600.1 MB");
  assert_text (vf_output_duration (11600), "12 ms");
  assert_text (vf_output_duration (999499), "999 ms");
  assert_text (vf_output_duration (999500), "1.00 s");
  assert_text (vf_output_duration (125000000), "2 min 5 s");
  assert_text (vf_output_count (1, "package"), "1 package");
  assert_text (vf_output_count (0, "package"), "0 packages");
  assert_text (vf_output_count (123, "package"), "123 packages");
}

static void
test_error_codes (void)
{
  g_autoptr (GError) rule = NULL, system = NULL, foreign = NULL;
  vf_error_set (&rule, VF_ERROR_RULE, "x.whl: rule zip-local-mismatch: bad");
  vf_error_errno (&system, ENOSPC, "x");
  g_set_error_literal (&foreign, G_FILE_ERROR, G_FILE_ERROR_IO, "x");
  g_assert_cmpstr (vf_output_error_code (rule), ==, "rule");
  g_assert_cmpstr (vf_output_error_code (system), ==, "system");
  g_assert_cmpstr (vf_output_error_code (foreign), ==, "failed");
}

static void
emit_success (void)
{
  g_autoptr (VfOutput) output = vf_output_new (TRUE, FALSE);
  vf_output_line (output, "not shown");
  vf_output_warning (output, "odd\n%s", "thing");
  json_object_set_int_member (vf_output_result (output), "packages", 2);
  g_assert_true (vf_output_finish (output, "create", NULL));
}

static void
emit_failure (void)
{
  g_autoptr (VfOutput) output = vf_output_new (TRUE, TRUE);
  g_autoptr (GError) error = NULL;
  vf_error_errno (&error, ENOSPC, "/store: cannot write");
  vf_output_finish (output, NULL, error);
}

static void
test_envelope (void)
{
  if (g_test_subprocess ()) {
    emit_success ();
    emit_failure ();
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stdout (
      "*{\"venvfs\":1,\"verb\":\"create\",\"ok\":true,\"result\":{\"packages\":2},"
      "\"warnings\":[\"odd\\nthing\"]}\n"
      "{\"venvfs\":1,\"verb\":null,\"ok\":false,\"error\":{\"code\":\"system\","
      "\"message\":\"/store: cannot write: No space left on device\",\"errno\":\"ENOSPC\"}}\n*");
  g_test_trap_assert_stderr ("venvfs: warning: odd\\012thing\n"
                             "venvfs: /store: cannot write: No space left on device\n");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/output/printable", test_printable);
  g_test_add_func ("/output/figures", test_figures);
  g_test_add_func ("/output/error-codes", test_error_codes);
  g_test_add_func ("/output/envelope", test_envelope);
  return g_test_run ();
}

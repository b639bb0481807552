/* layers/wheel-record.c: one file against one row. What RECORD as a whole must have is judged in
 * tests/integration/test_wheel_rules.py. */
#include "layers/wheel-private.h"

#include <string.h>

#include "layers/error.h"

static const char abc384[] =
    "sha384=ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP_W-2AhgcroefMI1i67KE0yCWn";
static const char abc512[] =
    "sha512=3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05ohkpkqJ0_BqDa6PCOj_uu9"
    "RU1EI2Q86A4qmslPpUyknw==";

/* The rule that content "abc" at @path breaks with this hash and size in RECORD, or NULL. */
static char *
broken_rule (const char *path, const char *hash, const char *size)
{
  const VfZipEntry entry = {.name = path, .size = 3};
  VfWheelItem item = {.entry = &entry, .row = 1, .has_digest = TRUE};
  VfWheel wheel = {.rules = {.what = "w"}, .dist_info = (char *)"d-1.dist-info"};
  g_autofree char *text = g_strdup_printf ("%s,%s,%s\n", path, hash, size);
  g_autoptr (VfRecord) record = vf_record_parse (text, strlen (text), "RECORD", NULL);
  g_autoptr (GError) error = NULL;
  wheel.record = record;
  vf_digest_of ("abc", 3, &item.digest);
  if (vf_wheel_check_record (&wheel, &item, "abc", &error))
    return NULL;
  g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
  g_assert_true (g_str_has_prefix (error->message, "w: rule "));
  const char *rule = error->message + strlen ("w: rule ");
  return g_strndup (rule, strcspn (rule, ":"));
}

static void
expect (const char *path, const char *hash, const char *size, const char *rule)
{
  g_autofree char *found = broken_rule (path, hash, size);
  g_assert_cmpstr (found, ==, rule);
}

static void
test_row (void)
{
  static const char abc256[] = "sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
  expect ("x", abc256, "3", NULL);
  expect ("x", abc256, "", NULL);
  expect ("x", abc384, "3", NULL);
  expect ("x", abc512, "3", NULL);
  expect ("x", abc256, "4", "record-size");
  expect ("x", "", "3", "record-no-hash");
  expect ("x", "md5=kAFQmDzST7DWlj99KOF_cg", "3", "record-no-hash");
  expect ("x", "SHA256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", "3", "record-no-hash");
  expect ("x", "sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFb0", "3", "record-hash");
  expect ("x", "sha256=short", "3", "record-hash");
  expect ("x", "sha512=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", "3", "record-hash");
  expect ("x", "sha384==", "3", "record-hash");
  g_autofree char *longer = g_strconcat (abc384, "x", NULL);
  expect ("x", longer, "3", "record-hash");
}

static void
test_exempt (void)
{
  expect ("d-1.dist-info/RECORD", "sha256=x", "9", NULL);
  expect ("d-1.dist-info/RECORD.jws", "", "", NULL);
  expect ("d-1.dist-info/RECORD.p7s", "", "", NULL);
  expect ("d-1.dist-info/RECORD2", "", "", "record-no-hash");
  expect ("x/RECORD", "", "", "record-no-hash");
}

static void
test_no_row (void)
{
  const VfZipEntry entry = {.name = "x", .size = 3};
  const VfWheelItem item = {.entry = &entry};
  VfWheel wheel = {.rules = {.what = "w"}, .dist_info = (char *)"d-1.dist-info"};
  /* Whether that may be was decided when RECORD was read. */
  g_assert_true (vf_wheel_check_record (&wheel, &item, "abc", NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wheel-record/row", test_row);
  g_test_add_func ("/wheel-record/exempt", test_exempt);
  g_test_add_func ("/wheel-record/no-row", test_no_row);
  return g_test_run ();
}

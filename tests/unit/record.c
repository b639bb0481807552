/* layers/record.c */
#include "layers/record.h"

#include <string.h>

#include "layers/error.h"

static VfRecord *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  VfRecord *record = vf_record_parse (text, strlen (text), "RECORD", &error);
  g_assert_no_error (error);
  return record;
}

static void
expect_row (const VfRecord *record, guint index, const char *path, const char *algorithm,
            const char *hash, gint64 size)
{
  g_assert_cmpuint (record->rows->len, >, index);
  const VfRecordRow *row = &g_array_index (record->rows, VfRecordRow, index);
  g_assert_cmpstr (row->path, ==, path);
  g_assert_cmpstr (row->algorithm, ==, algorithm);
  g_assert_cmpstr (row->hash, ==, hash);
  g_assert_cmpint (row->has_size ? (gint64)row->size : -1, ==, size);
}

static void
test_plain (void)
{
  g_autoptr (VfRecord) record = parse ("a/b.py,sha256=Ab-_,12\r\n\nx,,\ny,md5=q,\nlast\n");
  g_assert_cmpuint (record->rows->len, ==, 4);
  expect_row (record, 0, "a/b.py", "sha256", "Ab-_", 12);
  expect_row (record, 1, "x", "", "", -1);
  expect_row (record, 2, "y", "md5", "q", -1);
  expect_row (record, 3, "last", "", "", -1);
}

static void
test_quoted (void)
{
  g_autoptr (VfRecord) record =
      parse ("\"a,b\",sha256=x,1\n\"q\"\"r\",,\n\"l1\nl2\",\"sha256=y\",\"2\"\n\"end\"");
  g_assert_cmpuint (record->rows->len, ==, 4);
  expect_row (record, 0, "a,b", "sha256", "x", 1);
  expect_row (record, 1, "q\"r", "", "", -1);
  expect_row (record, 2, "l1\nl2", "sha256", "y", 2);
  expect_row (record, 3, "end", "", "", -1);
}

static void
test_refused (void)
{
  static const struct {
    const char *text, *wrong;
  } cases[] = {
      {"a,,\n\"b,,\n", "RECORD: line 2: a quote"},
      {"\"a\"x,,\n", "RECORD: line 1: a quote"},
      {"\"a\"\"", "RECORD: line 1: a quote"},
      {"a\"b\",,\n", "RECORD: line 1: a quote"},
      {"a,,,\n", "RECORD: line 1: more than three"},
      {"\"x\ny\",,\n\n,,\n", "RECORD: line 4: an empty path"},
      {"a,sha256,1\n", "RECORD: line 1: a hash"},
      {"a,=x,1\n", "RECORD: line 1: a hash"},
      {"a,sha256=,1\n", "RECORD: line 1: a hash"},
      {"a,,-1\n", "RECORD: line 1: a size"},
      {"a,,0x1\n", "RECORD: line 1: a size"},
      {"a,,99999999999999999999\n", "RECORD: line 1: a size"},
      {"\xff,,\n", "RECORD: not UTF-8"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (vf_record_parse (cases[i].text, strlen (cases[i].text), "RECORD", &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
    g_assert_true (g_str_has_prefix (error->message, cases[i].wrong));
  }
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_record_parse ("a\0b,,\n", 6, "RECORD", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
}

/* Rows without commas: each takes time for itself, not for all that follow. */
static void
test_many (void)
{
  const guint n = 2000000;
  g_autoptr (GString) text = g_string_sized_new (2 * n);
  for (guint i = 0; i < n; i++)
    g_string_append (text, "a\n");
  g_autoptr (VfRecord) record = parse (text->str);
  g_assert_cmpuint (record->rows->len, ==, n);
  expect_row (record, n - 1, "a", "", "", -1);
}

static void
test_append (void)
{
  VfDigest digest;
  vf_digest_of ("abc", 3, &digest);
  g_autoptr (GString) text = g_string_new (NULL);
  vf_record_append (text, "pkg/a b.py", &digest, 3);
  vf_record_append (text, "a,\"b\"", &digest, G_GUINT64_CONSTANT (5000000000));
  vf_record_append (text, "pkg-1.dist-info/RECORD", NULL, 0);
  g_assert_cmpstr (text->str, ==,
                   "pkg/a b.py,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\n"
                   "\"a,\"\"b\"\"\",sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,5000000000\n"
                   "pkg-1.dist-info/RECORD,,\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/record/plain", test_plain);
  g_test_add_func ("/record/quoted", test_quoted);
  g_test_add_func ("/record/refused", test_refused);
  g_test_add_func ("/record/many", test_many);
  g_test_add_func ("/record/append", test_append);
  return g_test_run ();
}

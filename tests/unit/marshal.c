#include "layers/marshal.h"

#include <string.h>

/* A code object as CPython 3.11 and newer lay it out: five numbers, eight objects, the first line,
 * two objects. @consts and @names stand for its constants and names; all else is empty. */
static GByteArray *
code_with_names (const void *consts, gsize length, const void *names, gsize names_length,
                 guint8 type)
{
  static const guint8 numbers[20] = {0}, line[4] = {1};
  static const guint8 bytes[] = {'s', 0, 0, 0, 0};
  GByteArray *code = g_byte_array_new ();
  g_byte_array_append (code, &type, 1);
  g_byte_array_append (code, numbers, sizeof numbers);
  g_byte_array_append (code, bytes, sizeof bytes);
  g_byte_array_append (code, consts, (guint)length);
  g_byte_array_append (code, names, (guint)names_length);
  for (int i = 0; i < 5; i++)
    g_byte_array_append (code, bytes, sizeof bytes);
  g_byte_array_append (code, line, sizeof line);
  for (int i = 0; i < 2; i++)
    g_byte_array_append (code, bytes, sizeof bytes);
  return code;
}

static GByteArray *
code_object (const void *consts, gsize length, guint8 type)
{
  return code_with_names (consts, length, "s\0\0\0\0", 5, type);
}

static void
assert_normalized (const char *from, gsize from_length, const char *to, guint8 from_code,
                   guint8 to_code)
{
  g_autoptr (GByteArray) code = code_object (from, from_length, from_code);
  g_autoptr (GByteArray) expected = code_object (to, from_length, to_code);
  g_assert_true (vf_marshal_normalize (code->data, code->len, 13));
  g_assert_cmpmem (code->data, code->len, expected->data, expected->len);
}

/* Type bytes with the flag. */
#define TUPLE  "\xa9" /* ')' */
#define STRING "\xfa" /* 'z' */

static void
test_flags (void)
{
  /* Nobody refers to the code, the tuple or "ab"; the number of "cd" moves up from 3 to 0. */
  static const char from[] = TUPLE "\3" STRING "\2ab" STRING "\2cd"
                                   "r\3\0\0\0";
  static const char to[] = ")\3"
                           "z\2ab" STRING "\2cd"
                           "r\0\0\0\0";
  assert_normalized (from, sizeof from - 1, to, 'c' | 0x80, 'c');
}

static void
test_short_strings (void)
{
  static const char from[] = ")\4"
                             "z\1a"
                             "z\0"
                             "u\2\0\0\0\xc3\xa9"
                             "z\2ab";
  static const char to[] = ")\4"
                           "Z\1a"
                           "Z\0"
                           "t\2\0\0\0\xc3\xa9"
                           "z\2ab";
  assert_normalized (from, sizeof from - 1, to, 'c', 'c');
}

static void
test_all_types (void)
{
  static const char consts[] = "(\17\0\0\0"
                               "N"
                               "T"
                               "F"
                               "S"
                               "."
                               "i\1\0\0\0"
                               "g\0\0\0\0\0\0\0\0"
                               "y\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "l\xfe\xff\xff\xff\1\0\1\0"
                               "s\1\0\0\0x"
                               "A\2\0\0\0ab"
                               "a\2\0\0\0ab"
                               "t\3\0\0\0\xe2\x82\xac"
                               ">\1\0\0\0N"
                               ":NNN";
  assert_normalized (consts, sizeof consts - 1, consts, 'c', 'c');
}

static void
assert_refused (GByteArray *code, int minor)
{
  g_autofree guint8 *before = g_memdup2 (code->data, code->len);
  g_assert_false (vf_marshal_normalize (code->data, code->len, minor));
  g_assert_cmpmem (code->data, code->len, before, code->len);
}

static void
test_refused (void)
{
  g_autoptr (GByteArray) good = code_object (")\0", 2, 'c' | 0x80);
  g_autoptr (GByteArray) list = code_object ("[\0\0\0\0", 5, 'c' | 0x80);
  g_autoptr (GByteArray) bad_ref = code_object ("r\1\0\0\0", 5, 'c' | 0x80);
  assert_refused (good, 10); /* another layout */
  assert_refused (good, 7);
  assert_refused (good, 99);
  assert_refused (list, 13);
  assert_refused (bad_ref, 13);
  g_byte_array_append (good, (const guint8 *)"N", 1);
  assert_refused (good, 13);
  guint8 none[] = {'N'};
  g_assert_false (vf_marshal_normalize (none, 1, 13));
  g_assert_false (vf_marshal_normalize (none, 0, 13));
}

static void
test_truncated (void)
{
  static const char consts[] = TUPLE "\3" STRING "\2ab"
                                     "l\2\0\0\0\1\0\1\0"
                                     "r\2\0\0\0";
  g_autoptr (GByteArray) code = code_object (consts, sizeof consts - 1, 'c' | 0x80);
  for (gsize length = 0; length < code->len; length++) {
    g_autofree guint8 *copy = g_memdup2 (code->data, length);
    g_assert_false (vf_marshal_normalize (copy, length, 13));
    g_assert_cmpmem (copy, length, code->data, length);
  }
  g_assert_true (vf_marshal_normalize (code->data, code->len, 13));
}

static void
test_depth (void)
{
  gsize depth = 5000;
  g_autofree char *nested = g_malloc (2 * depth + 1);
  for (gsize i = 0; i < depth; i++)
    memcpy (nested + 2 * i, ")\1", 2);
  nested[2 * depth] = 'N';
  g_autoptr (GByteArray) code = code_object (nested, 2 * depth + 1, 'c');
  g_assert_false (vf_marshal_normalize (code->data, code->len, 13));
}

/* Short and long strings, and references to what stood in the constants. */
static void
test_names (void)
{
  static const char consts[] = TUPLE "\2" STRING "\2ab"
                                     "N";
  static const char names[] = ")\4"
                              "r\1\0\0\0"
                              "a\3\0\0\0cde"
                              "Z\0"
                              "r\1\0\0\0";
  static const char *const expected[] = {"ab", "cde", "", "ab"};
  g_autoptr (GByteArray) code =
      code_with_names (consts, sizeof consts - 1, names, sizeof names - 1, 'c');
  g_auto (VfMarshalCode) read = {0};
  g_assert_true (vf_marshal_read_code (code->data, code->len, 13, &read));
  g_assert_cmpuint (read.n_bytes, ==, 0);
  g_assert_cmpuint (read.names->len, ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < read.names->len; i++) {
    VfMarshalName name = g_array_index (read.names, VfMarshalName, i);
    g_assert_cmpmem (name.text, name.length, expected[i], strlen (expected[i]));
  }
}

static void
assert_no_names (const char *names, gsize length)
{
  static const char consts[] = TUPLE "\1" STRING "\2ab";
  g_autoptr (GByteArray) code = code_with_names (consts, sizeof consts - 1, names, length, 'c');
  VfMarshalCode read = {0};
  g_assert_false (vf_marshal_read_code (code->data, code->len, 13, &read));
  g_assert_null (read.names);
}

/* No tuple, something in it that is no string, references to a tuple and to themselves. */
static void
test_no_names (void)
{
  assert_no_names ("s\0\0\0\0", 5);
  assert_no_names (")\1N", 3);
  assert_no_names (")\1r\0\0\0\0", 7);
  assert_no_names (")\1\xf2\2\0\0\0", 7);
  assert_no_names ("\xf2\2\0\0\0", 5);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/marshal/flags", test_flags);
  g_test_add_func ("/marshal/short-strings", test_short_strings);
  g_test_add_func ("/marshal/all-types", test_all_types);
  g_test_add_func ("/marshal/refused", test_refused);
  g_test_add_func ("/marshal/truncated", test_truncated);
  g_test_add_func ("/marshal/depth", test_depth);
  g_test_add_func ("/marshal/names", test_names);
  g_test_add_func ("/marshal/no-names", test_no_names);
  return g_test_run ();
}

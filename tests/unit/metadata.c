/* layers/metadata.c */
#include "layers/metadata.h"

#include <string.h>

static void
expect (const char *text, const char *key, const char *value)
{
  g_autofree char *found = vf_metadata_get (text, strlen (text), key);
  g_assert_cmpstr (found, ==, value);
}

static void
test_get (void)
{
  static const char text[] = "Metadata-Version: 2.1\r\nNAME:  foo \r\nName: other\r\nnonsense\r\n"
                             "Long: a\n  b\n\tc\nEmpty:\nVersion: 1\n\nLicense: not here\n";
  expect (text, "name", "foo");
  expect (text, "Version", "1");
  expect (text, "Long", "a\n  b\n\tc");
  expect (text, "Empty", "");
  expect (text, "License", NULL);
  expect (text, "Metadata", NULL);
  expect ("", "Name", NULL);
  expect ("Name: x", "Name", "x");
}

static void
test_nul_ends (void)
{
  g_autofree char *found = vf_metadata_get ("A: 1\n\0B: 2\n", 11, "B");
  g_assert_null (found);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/metadata/get", test_get);
  g_test_add_func ("/metadata/nul-ends", test_nul_ends);
  return g_test_run ();
}

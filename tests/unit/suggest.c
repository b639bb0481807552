#include "tools/suggest.h"

#include <string.h>

static const char *const words[] = {"create", "clone", "mount", "umount", "status", NULL};

static void
test_near (void)
{
  g_assert_cmpstr (vf_suggest ("craete", words), ==, "create");
  g_assert_cmpstr (vf_suggest ("moutn", words), ==, "mount");
  g_assert_cmpstr (vf_suggest ("unmount", words), ==, "umount");
  g_assert_cmpstr (vf_suggest ("stat", words), ==, "status");
}

static void
test_far (void)
{
  char long_word[200];
  memset (long_word, 'a', sizeof long_word - 1);
  long_word[sizeof long_word - 1] = '\0';
  g_assert_null (vf_suggest ("xyzzy", words));
  g_assert_null (vf_suggest ("", words));
  g_assert_null (vf_suggest (long_word, words));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/suggest/near", test_near);
  g_test_add_func ("/suggest/far", test_far);
  return g_test_run ();
}

#include "tools/progress.h"

#include <string.h>

static void
assert_rendered (guint64 done, guint64 total, guint columns, const char *expected)
{
  g_autofree char *line =
      vf_progress_render ("Compiling", VF_PROGRESS_ITEMS, "module", done, total, 2500000, columns);
  g_assert_cmpstr (line, ==, expected);
  g_assert_cmpuint (strlen (line), <=, columns);
}

static void
test_render (void)
{
  assert_rendered (1, 2, 79, "Compiling [############............] 1 of 2 modules, 2 s");
  assert_rendered (7, 0, 79, "Compiling 7 modules, 2 s");
  assert_rendered (9, 2, 79, "Compiling [########################] 2 of 2 modules, 2 s");
  assert_rendered (1, 2, 46, "Compiling [######.......] 1 of 2 modules, 2 s");
  assert_rendered (1, 2, 20, "Compiling 1 of 2 mod");
}

static void
test_silent_at_first (void)
{
  if (g_test_subprocess ()) {
    g_autoptr (VfOutput) output = vf_output_new (FALSE, FALSE);
    g_autoptr (VfProgress) progress =
        vf_progress_new (output, "Compiling", VF_PROGRESS_ITEMS, "module");
    vf_progress_update (progress, 1, 2);
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/progress/render", test_render);
  g_test_add_func ("/progress/silent-at-first", test_silent_at_first);
  return g_test_run ();
}

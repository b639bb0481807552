#include "tools/progress.h"

#include <string.h>

static void
assert_rendered (const VfProgressState *state, guint columns, const char *expected)
{
  g_autofree char *line = vf_progress_render (state, columns);
  g_assert_cmpstr (line, ==, expected);
  g_assert_cmpuint (strlen (line), <=, columns);
}

static void
assert_compiling (guint64 done, guint64 total, guint columns, const char *expected)
{
  VfProgressState state = {
      .label = "Compiling",
      .items = "module",
      .done = done,
      .total = total,
      .elapsed_usec = 2500000,
      .bar = TRUE,
  };
  assert_rendered (&state, columns, expected);
}

static void
test_render (void)
{
  assert_compiling (1, 2, 79, "Compiling [############............] 1 of 2 modules, 2 s");
  assert_compiling (7, 0, 79, "Compiling 7 modules, 2 s");
  assert_compiling (9, 2, 79, "Compiling [########################] 2 of 2 modules, 2 s");
  assert_compiling (1, 2, 46, "Compiling [######.......] 1 of 2 modules, 2 s");
  assert_compiling (1, 2, 20, "Compiling 1 of 2 mod");
}

static void
test_render_bytes (void)
{
  VfProgressState state = {
      .label = "Downloading",
      .items = "wheel",
      .done = 1,
      .total = 2,
      .bytes = 812300000,
      .elapsed_usec = 12000000,
  };
  assert_rendered (&state, 79, "Downloading 1 of 2 wheels, 812.3 MB, 12 s");
  state = (VfProgressState){
      .label = "Unpacking", .unit = VF_PROGRESS_BYTES, .done = 2500000, .total = 9000000};
  assert_rendered (&state, 79, "Unpacking 2.5 MB of 9.0 MB, 0 s");
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
  g_test_add_func ("/progress/render-bytes", test_render_bytes);
  g_test_add_func ("/progress/silent-at-first", test_silent_at_first);
  return g_test_run ();
}

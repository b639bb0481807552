/* Runs a fuzz target over files and directories of inputs: what the fuzzer once found, or was given
 * to begin with, is a test from then on. Fails when there is not one input. */
#include "tests/fuzz/fuzz.h"

#include <glib.h>
#include <stdio.h>

static unsigned n_inputs;

static gboolean
run_file (const char *path)
{
  g_autofree char *data = NULL;
  g_autoptr (GError) error = NULL;
  gsize length = 0;
  if (!g_file_get_contents (path, &data, &length, &error)) {
    fprintf (stderr, "%s\n", error->message);
    return FALSE;
  }
  /* A copy of the exact size, so that a sanitizer sees the first byte read too far. */
  g_autofree uint8_t *exact = g_memdup2 (data, length);
  LLVMFuzzerTestOneInput (length ? exact : (const uint8_t *)"", length);
  n_inputs++;
  return TRUE;
}

static gboolean
run_directory (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  if (!dir)
    return run_file (path);
  gboolean ok = TRUE;
  const char *name;
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    ok = run_file (child) && ok;
  }
  return ok;
}

size_t
LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size)
{
  (void)data, (void)max_size;
  return size;
}

int
main (int argc, char **argv)
{
  gboolean ok = TRUE;
  for (int i = 1; i < argc; i++)
    ok = run_directory (argv[i]) && ok;
  printf ("%u inputs\n", n_inputs);
  return ok && n_inputs > 0 ? 0 : 1;
}

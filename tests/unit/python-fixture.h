/* A store for each test, and the Python that is found in PATH. */
#pragma once

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/error.h"
#include "layers/interpreter.h"

typedef struct {
  char *root; /* scratch, without a symlink in it; allocated by realpath() */
  VfStore *store;
  VfInterpreter *python;
} Fixture;

static inline void
setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *made = g_dir_make_tmp ("venvfs-test-XXXXXX", NULL);
  f->root = realpath (made, NULL);
  g_autofree char *path = g_build_filename (f->root, "store", NULL);
  f->store = vf_store_open (path, &error);
  g_assert_no_error (error);
  g_autofree char *python = g_find_program_in_path ("python3");
  g_assert_nonnull (python);
  f->python = vf_interpreter_probe (f->store, python, &error);
  g_assert_no_error (error);
}

static inline void
teardown (Fixture *f, gconstpointer data)
{
  vf_interpreter_free (f->python);
  vf_store_unref (f->store);
  g_assert_true (vf_remove_tree (AT_FDCWD, f->root, f->root, NULL));
  free (f->root);
}

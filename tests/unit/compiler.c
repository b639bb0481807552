#include "layers/compiler.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

#include "layers/error.h"
#include "layers/probe.h"

typedef struct {
  VfInterpreter *python;
  VfCompiler *compiler;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_find_program_in_path ("python3");
  g_assert_nonnull (path);
  f->python = vf_probe_run (path, VF_PROBE_TIMEOUT_USEC, &error);
  g_assert_no_error (error);
  f->compiler = vf_compiler_new (f->python, NULL);
}

static void
teardown (Fixture *f, gconstpointer data)
{
  vf_compiler_free (f->compiler);
  vf_interpreter_free (f->python);
}

static VfCompileResult
compile (Fixture *f, const char *name, const void *source, gsize length, GByteArray **out_code)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new (source, length);
  VfCompileResult result;
  vf_compiler_send (f->compiler, name, bytes, &error);
  g_assert_no_error (error);
  vf_compiler_receive (f->compiler, &result, out_code, &error);
  g_assert_no_error (error);
  return result;
}

static void
test_compiles (Fixture *f, gconstpointer data)
{
  g_autoptr (GByteArray) code = NULL, empty = NULL;
  const char *source = "def f(x): return x + 'some text'\n";
  g_assert_cmpint (compile (f, "mod.py", source, strlen (source), &code), ==, VF_COMPILED);
  g_assert_nonnull (memmem (code->data, code->len, "some text", 9));
  g_assert_nonnull (memmem (code->data, code->len, "mod.py", 6));
  g_assert_cmpint (compile (f, "mod.py", "", 0, &empty), ==, VF_COMPILED);
}

static void
test_does_not_compile (Fixture *f, gconstpointer data)
{
  GByteArray *code = NULL;
  const char *bad[] = {"print 'x'\n", "\xff\xfe\n", "# coding: nonsense\n", "return 1\n"};
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (compile (f, "bad.py", bad[i], strlen (bad[i]), &code), ==, VF_NOT_COMPILED);
  g_assert_null (code);
  g_assert_cmpint (compile (f, "bad.py", "a\0b", 3, &code), ==, VF_NOT_COMPILED);
  g_autoptr (GByteArray) good = NULL;
  g_assert_cmpint (compile (f, "good.py", "x = '\\d'\n", 9, &good), ==, VF_COMPILED);
}

/* What was compiled before, and in which process, leaves no trace. */
static void
test_reproducible (Fixture *f, gconstpointer data)
{
  const char *source = "a = ('{', '', 'name', 1.5)\nb = x in {None, 'k', ..., 7, (1, 'name')}\n"
                       "def f(name, other='{'): return {'name': other, '{': name}\n";
  const char *before = "import re\nname = other = '{'\nsome = ['{', 'k', 'name', 1.5] * 9\n";
  g_autoptr (GByteArray) first = NULL, between = NULL, second = NULL;
  g_assert_cmpint (compile (f, "m.py", source, strlen (source), &first), ==, VF_COMPILED);
  vf_compiler_free (f->compiler);
  f->compiler = vf_compiler_new (f->python, NULL);
  compile (f, "b.py", before, strlen (before), &between);
  g_assert_cmpint (compile (f, "m.py", source, strlen (source), &second), ==, VF_COMPILED);
  g_assert_cmpmem (first->data, first->len, second->data, second->len);
}

/* A stand-in for an interpreter: answers the magic number, then does @rest. */
static VfCompiler *
fake (VfInterpreter *interpreter, char **out_path, const char *rest, GCancellable *cancellable)
{
  int fd = g_file_open_tmp ("venvfs-compiler-XXXXXX", out_path, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_autofree char *text = g_strdup_printf ("#!/bin/sh\nprintf abcd; %s\n", rest);
  g_assert_true (g_file_set_contents (*out_path, text, -1, NULL));
  g_chmod (*out_path, 0755);
  interpreter->executable = *out_path;
  interpreter->bytecode_magic = (char *)"61626364";
  interpreter->implementation = (char *)"pypy";
  return vf_compiler_new (interpreter, cancellable);
}

static gboolean
exchange (VfCompiler *compiler, VfCompileResult *out_result, GByteArray **out_code, GError **error)
{
  g_autoptr (GBytes) source = g_bytes_new_static ("x", 1);
  return vf_compiler_send (compiler, "m.py", source, error) &&
         vf_compiler_receive (compiler, out_result, out_code, error);
}

static void
test_ends (void)
{
  static const struct {
    const char *what;
    int result; /* -1: an error */
    const char *message;
  } cases[] = {
      {"head -c 12 >/dev/null; kill -SEGV $$", VF_COMPILER_DIED, NULL},
      {"head -c 12 >/dev/null; kill -ABRT $$", VF_COMPILER_DIED, NULL},
      {"head -c 12 >/dev/null; printf '\\003\\0\\0\\0ab'; kill -BUS $$", VF_COMPILER_DIED, NULL},
      {"head -c 12 >/dev/null; printf '\\003\\0\\0\\0abc'; sleep 60", VF_COMPILED, NULL},
      {"head -c 12 >/dev/null; kill -KILL $$", -1,
       ": the process that compiles modules was killed by signal 9"},
      {"head -c 12 >/dev/null; echo why >&2; exit 4", -1,
       ": the process that compiles modules ended, exit status 4: why"},
      {"head -c 12 >/dev/null; printf '\\377\\377\\377\\377'; sleep 60", -1, ": answers nonsense"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    VfInterpreter interpreter = {0};
    g_autofree char *path = NULL;
    g_autoptr (GError) error = NULL;
    g_autoptr (GByteArray) code = NULL;
    g_autoptr (VfCompiler) compiler = fake (&interpreter, &path, cases[i].what, NULL);
    VfCompileResult result;
    gboolean ok = exchange (compiler, &result, &code, &error);
    g_unlink (path);
    if (cases[i].result >= 0) {
      g_assert_no_error (error);
      g_assert_cmpint (result, ==, cases[i].result);
      continue;
    }
    g_assert_false (ok);
    g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
    g_assert_cmpstr (error->message + strlen (path), ==, cases[i].message);
  }
}

static void
test_other_magic (void)
{
  VfInterpreter interpreter = {0};
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  GByteArray *code = NULL;
  g_autoptr (VfCompiler) compiler = fake (&interpreter, &path, "sleep 60", NULL);
  interpreter.bytecode_magic = (char *)"00000000";
  VfCompileResult result;
  g_assert_false (exchange (compiler, &result, &code, &error));
  g_unlink (path);
  g_assert_true (g_str_has_suffix (error->message, ": changed while it was in use; try again"));
}

static gpointer
cancel (gpointer cancellable)
{
  g_usleep (G_USEC_PER_SEC / 20);
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* While it waits for the code, and while it waits for the worker to start. */
static void
test_cancelled (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  for (int i = 0; i < 2; i++) {
    VfInterpreter interpreter = {0};
    g_autofree char *path = NULL;
    g_autoptr (GError) error = NULL;
    GByteArray *code = NULL;
    g_autoptr (VfCompiler) compiler = fake (&interpreter, &path, "exec sleep 600", cancellable);
    VfCompileResult result;
    GThread *thread = g_thread_new ("cancel", cancel, cancellable);
    g_assert_false (exchange (compiler, &result, &code, &error));
    g_thread_join (thread);
    g_unlink (path);
    g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/compiler/compiles", Fixture, NULL, setup, test_compiles, teardown);
  g_test_add ("/compiler/does-not-compile", Fixture, NULL, setup, test_does_not_compile, teardown);
  g_test_add ("/compiler/reproducible", Fixture, NULL, setup, test_reproducible, teardown);
  g_test_add_func ("/compiler/ends", test_ends);
  g_test_add_func ("/compiler/other-magic", test_other_magic);
  g_test_add_func ("/compiler/cancelled", test_cancelled);
  return g_test_run ();
}

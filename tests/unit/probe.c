#include "layers/probe.h"

#include <glib/gstdio.h>
#include <string.h>

#include "layers/error.h"

#define TIMEOUT_USEC (20 * G_USEC_PER_SEC)

/* An answer with all that is needed, for a shell to print. */
#define ANSWER_BODY                                                                                \
  "\"major\": 3, \"minor\": 13, \"micro\": 7, \"executable\": \"/x/bin/python3.13\", "             \
  "\"stdlib\": \"/x/lib\", \"implementation\": \"cpython\", \"version_info\": "                    \
  "\"3.13.7.final.0\", \"cache_tag\": \"cpython-313\", \"bytecode_magic\": \"f30d0d0a\", "         \
  "\"lib_name\": \"python3.13\", \"purelib\": \"lib/p\", \"platlib\": \"lib/p\", "                 \
  "\"scripts\": \"bin\", \"data\": \"\", \"headers\": \"include\", \"lib64\": true, "              \
  "\"names\": [\"python\"], \"ensurepip_dir\": null, "

typedef struct {
  char *directory, *script;
} Fixture;

static void
setup (Fixture *f, gconstpointer data)
{
  f->directory = g_dir_make_tmp ("venvfs-probe-XXXXXX", NULL);
  f->script = g_build_filename (f->directory, "python", NULL);
}

static void
teardown (Fixture *f, gconstpointer data)
{
  g_unlink (f->script);
  g_assert_cmpint (g_rmdir (f->directory), ==, 0);
  g_free (f->directory);
  g_free (f->script);
}

static VfInterpreter *
probe_script (Fixture *f, const char *body, gint64 timeout_usec, GError **error)
{
  g_autofree char *text = g_strconcat ("#!/bin/sh\n", body, "\n", NULL);
  g_assert_true (g_file_set_contents (f->script, text, -1, NULL));
  g_chmod (f->script, 0755);
  return vf_probe_run (f->script, timeout_usec, error);
}

static void
assert_refused (Fixture *f, const char *body, const char *message)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (probe_script (f, body, TIMEOUT_USEC, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_assert_true (g_str_has_prefix (error->message, f->script));
  g_assert_cmpstr (error->message + strlen (f->script), ==, message);
}

static void
test_answer (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfInterpreter) interpreter =
      probe_script (f,
                    "echo noise; cat <<'END'\n\nvenvfs-probe: {" ANSWER_BODY
                    "\"tags\": [\"a-b-c\", \"d-e-f\"]}\nEND",
                    TIMEOUT_USEC, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (interpreter->version, ==, "3.13.7");
  g_assert_cmpstr (interpreter->executable, ==, "/x/bin/python3.13");
  g_assert_cmpstr (interpreter->data, ==, "");
  g_assert_null (interpreter->ensurepip_dir);
  g_assert_true (interpreter->lib64);
  g_assert_cmpstr (interpreter->tags[1], ==, "d-e-f");
  g_assert_null (interpreter->tags[2]);
}

static void
test_bad_answers (Fixture *f, gconstpointer data)
{
  const char *not_python = ": does not answer like a Python interpreter";
  assert_refused (f, "echo hello", not_python);
  assert_refused (f, "exit 0", not_python);
  assert_refused (f, "echo; echo 'venvfs-probe: {'", not_python);
  assert_refused (f, "echo; echo 'venvfs-probe: []'", not_python);
  assert_refused (f, "yes", not_python);
  assert_refused (f, "echo oops >&2; exit 3",
                  ": does not work as a Python interpreter, exit status 3: oops");
  assert_refused (f, "kill -SEGV $$", ": does not start, killed by signal 11");
  assert_refused (f, "echo; echo 'venvfs-probe: {\"major\": 2, \"minor\": 7, \"micro\": 18}'",
                  ": is Python 2.7.18, but 3.8 or newer is needed");
  assert_refused (f, "echo; echo 'venvfs-probe: {\"major\": 3, \"minor\": 9, \"micro\": 1}'",
                  ": Python 3.9.1 answers something that is not understood");
  assert_refused (f, "cat <<'END'\n\nvenvfs-probe: {" ANSWER_BODY "\"tags\": [\"a\", 1]}\nEND",
                  ": Python 3.13.7 answers something that is not understood");
  assert_refused (
      f, "cat <<'END'\n\nvenvfs-probe: {" ANSWER_BODY "\"tags\": [], \"purelib\": \"../up\"}\nEND",
      ": Python 3.13.7 answers something that is not understood");
}

static void
test_hang (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  gint64 start_usec = g_get_monotonic_time ();
  g_assert_null (probe_script (f, "sleep 600 & sleep 600", 200000, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_assert_true (g_str_has_suffix (error->message, "does not answer; is it a Python interpreter?"));
  g_assert_cmpint (g_get_monotonic_time () - start_usec, <, 10 * G_USEC_PER_SEC);
}

/* A shell that is taken for a Python must not run the script's lines. */
static void
test_shell (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (probe_script (f, "shift 4; exec /bin/sh \"$@\"", TIMEOUT_USEC, &error));
  g_assert_true (
      g_str_has_suffix (error->message, ": does not work as a Python interpreter, exit status 1"));
}

static void
test_real_python (void)
{
  g_autofree char *python = g_find_program_in_path ("python3");
  g_assert_nonnull (python);
  g_autoptr (GError) error = NULL;
  g_autoptr (VfInterpreter) interpreter = vf_probe_run (python, TIMEOUT_USEC, &error);
  g_assert_no_error (error);
  g_assert_cmpint (interpreter->major, ==, 3);
  g_assert_true (g_file_test (interpreter->executable, G_FILE_TEST_IS_EXECUTABLE));
  g_autofree char *lib = g_strdup_printf ("lib/python3.%d/site-packages", interpreter->minor);
  g_assert_cmpstr (interpreter->purelib, ==, lib);
  g_assert_cmpstr (interpreter->platlib, ==, lib);
  g_assert_cmpstr (interpreter->scripts, ==, "bin");
  g_assert_cmpstr (interpreter->names[0], ==, "python");
}

static void
test_missing (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_probe_run (f->script, TIMEOUT_USEC, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/probe/answer", Fixture, NULL, setup, test_answer, teardown);
  g_test_add ("/probe/bad-answers", Fixture, NULL, setup, test_bad_answers, teardown);
  g_test_add ("/probe/hang", Fixture, NULL, setup, test_hang, teardown);
  g_test_add ("/probe/shell", Fixture, NULL, setup, test_shell, teardown);
  g_test_add ("/probe/missing", Fixture, NULL, setup, test_missing, teardown);
  g_test_add_func ("/probe/real-python", test_real_python);
  return g_test_run ();
}

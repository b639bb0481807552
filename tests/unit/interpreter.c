#include <sys/resource.h>

#include "python-fixture.h"

static char *
write_file (Fixture *f, const char *name, const char *text, int mode)
{
  char *path = g_build_filename (f->root, name, NULL);
  g_autofree char *directory = g_path_get_dirname (path);
  g_assert_cmpint (g_mkdir_with_parents (directory, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_chmod (path, (mode_t)mode);
  return path;
}

static void
assert_same (Fixture *f, const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfInterpreter) found = vf_interpreter_probe (f->store, path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (found->executable, ==, f->python->executable);
  g_assert_cmpstr (found->probe_id, ==, f->python->probe_id);
}

static void
assert_fails (Fixture *f, const char *path, int code, const char *message)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_interpreter_probe (f->store, path, &error));
  g_assert_error (error, VF_ERROR, code);
  g_assert_true (g_str_has_prefix (error->message, path));
  g_assert_cmpstr (error->message + strlen (path), ==, message);
}

static void
test_fields (Fixture *f, gconstpointer data)
{
  const VfInterpreter *p = f->python;
  g_assert_true (g_path_is_absolute (p->real_executable));
  g_assert_true (g_file_test (p->real_executable, G_FILE_TEST_IS_EXECUTABLE));
  g_autofree char *home = g_path_get_dirname (p->executable);
  g_assert_cmpstr (p->home, ==, home);
  g_assert_cmpint (strlen (p->probe_id), ==, VF_DIGEST_HEX);
  g_autofree char *tag = g_strdup_printf ("cpython-3%d", p->minor);
  g_assert_true (g_str_has_prefix (p->cache_tag, tag));
  g_assert_cmpint (strlen (p->bytecode_magic), ==, 8);
}

static glong
children_faults (void)
{
  struct rusage usage;
  g_assert_cmpint (getrusage (RUSAGE_CHILDREN, &usage), ==, 0);
  return usage.ru_minflt;
}

/* The second time nothing is started, and every field is the same. */
static void
test_cache (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  glong faults = children_faults ();
  gint64 start_usec = g_get_monotonic_time ();
  const int rounds = 20;
  for (int i = 0; i < rounds; i++) {
    g_autoptr (VfInterpreter) again =
        vf_interpreter_probe (f->store, f->python->executable, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (again->probe_id, ==, f->python->probe_id);
    g_assert_cmpstr (again->version, ==, f->python->version);
    g_assert_cmpint (again->minor, ==, f->python->minor);
    g_assert_cmpstr (again->ensurepip_dir, ==, f->python->ensurepip_dir);
    g_assert_true (
        g_strv_equal ((const char *const *)again->tags, (const char *const *)f->python->tags));
  }
  gint64 each_usec = (g_get_monotonic_time () - start_usec) / rounds;
  g_test_message ("a cached probe takes %d µs", (int)each_usec);
  /* A child that ran has touched pages. */
  g_assert_cmpint (children_faults (), ==, faults);
}

/* A damaged entry is made anew, whatever it holds. */
static void
test_damaged_cache (Fixture *f, gconstpointer data)
{
  g_autofree char *directory = g_build_filename (vf_store_path (f->store), "interpreters", NULL);
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;
  guint n = 0;
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (directory, name, NULL);
    g_assert_true (g_file_set_contents (path, "[key]\nkey=\xff\n[interpreter]\n", -1, NULL));
    n++;
  }
  g_assert_cmpint (n, >=, 1);
  assert_same (f, f->python->executable);
  assert_same (f, f->python->executable);
}

/* The cache is not asked about another file in the same place. */
static void
test_replaced (Fixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->root, "python", NULL);
  g_assert_cmpint (symlink (f->python->executable, path), ==, 0);
  assert_same (f, path);
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (symlink ("/bin/true", path), ==, 0);
  assert_fails (f, path, VF_ERROR_INVALID, ": does not answer like a Python interpreter");
}

/* What a shim starts may change at any time: it is asked each time. */
static void
test_shim (Fixture *f, gconstpointer data)
{
  g_autofree char *text = g_strdup_printf ("#!/bin/sh\nexec '%s' \"$@\"\n", f->python->executable);
  g_autofree char *shim = write_file (f, "shims/python", text, 0755);
  assert_same (f, shim);
  g_autofree char *other = write_file (f, "shims/python", "#!/bin/sh\nexit 7\n", 0755);
  assert_fails (f, shim, VF_ERROR_INVALID,
                ": does not work as a Python interpreter, exit status 7");
}

static void
test_virtual_environment (Fixture *f, gconstpointer data)
{
  g_autofree char *config =
      g_strdup_printf ("HOME = %s\nversion = %s\n", f->python->home, f->python->version);
  g_autofree char *file = write_file (f, "env/pyvenv.cfg", config, 0644);
  g_autofree char *copied = write_file (f, "env/bin/python", "never started", 0755);
  assert_same (f, copied);
  g_autofree char *nested_config = g_strdup_printf ("home = %s/env/bin\n", f->root);
  g_autofree char *nested_file = write_file (f, "nested/pyvenv.cfg", nested_config, 0644);
  g_autofree char *nested = write_file (f, "nested/bin/python", "", 0755);
  assert_same (f, nested);
}

static void
test_broken_environment (Fixture *f, gconstpointer data)
{
  g_autofree char *file = write_file (f, "env/pyvenv.cfg", "home = /nowhere/bin\n", 0644);
  g_autofree char *bin = write_file (f, "env/bin/x", "", 0644);
  g_autofree char *python = g_build_filename (f->root, "env/bin/python", NULL);
  g_assert_cmpint (symlink ("/nowhere/bin/python", python), ==, 0);
  assert_fails (f, python, VF_ERROR_INVALID,
                ": belongs to a virtual environment whose base Python is gone (/nowhere/bin)");
}

static void
test_endless (Fixture *f, gconstpointer data)
{
  g_autofree char *a_home = g_strdup_printf ("home = %s/b/bin\n", f->root);
  g_autofree char *b_home = g_strdup_printf ("home = %s/a/bin\n", f->root);
  g_autofree char *a_file = write_file (f, "a/pyvenv.cfg", a_home, 0644);
  g_autofree char *b_file = write_file (f, "b/pyvenv.cfg", b_home, 0644);
  g_autofree char *a = write_file (f, "a/bin/python", "", 0755);
  g_autofree char *b = write_file (f, "b/bin/python", "", 0755);
  assert_fails (f, a, VF_ERROR_INVALID, ": leads from one Python to another without end");
}

static void
test_refused (Fixture *f, gconstpointer data)
{
  g_autofree char *missing = g_build_filename (f->root, "missing", NULL);
  assert_fails (f, missing, VF_ERROR_NOT_FOUND, ": no such Python interpreter");
  assert_fails (f, f->root, VF_ERROR_INVALID, ": a directory; name the Python interpreter in it");
  g_autofree char *plain = write_file (f, "plain", "text", 0644);
  assert_fails (f, plain, VF_ERROR_INVALID, ": not an executable file");
}

/* What was refused leaves nothing in the cache. */
static void
test_refused_is_not_cached (Fixture *f, gconstpointer data)
{
  g_autofree char *other = g_build_filename (f->root, "other store", NULL);
  g_autoptr (VfStore) store = vf_store_open (other, NULL);
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_interpreter_probe (store, "/bin/true", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_autofree char *cache = g_build_filename (other, "interpreters", NULL);
  g_autoptr (GDir) dir = g_dir_open (cache, 0, NULL);
  g_assert_null (g_dir_read_name (dir));
}

#define ADD(name, function)                                                                        \
  g_test_add ("/interpreter/" name, Fixture, NULL, setup, function, teardown)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  ADD ("fields", test_fields);
  ADD ("cache", test_cache);
  ADD ("damaged-cache", test_damaged_cache);
  ADD ("replaced", test_replaced);
  ADD ("shim", test_shim);
  ADD ("virtual-environment", test_virtual_environment);
  ADD ("broken-environment", test_broken_environment);
  ADD ("endless", test_endless);
  ADD ("refused", test_refused);
  ADD ("refused-is-not-cached", test_refused_is_not_cached);
  return g_test_run ();
}

#include "tools/find-python.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

/* A directory with pyenv, uv and a PATH of its own; the environment variables point into it. */
typedef struct {
  char *root;
} Fixture;

static char *
make_executable (Fixture *fixture, const char *relative)
{
  char *path = g_build_filename (fixture->root, relative, NULL);
  g_autofree char *directory = g_path_get_dirname (path);
  g_assert_cmpint (g_mkdir_with_parents (directory, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, "\177ELF", 4, NULL));
  g_assert_cmpint (chmod (path, 0755), ==, 0);
  return path;
}

static void
setup (Fixture *fixture, gconstpointer data)
{
  fixture->root = g_dir_make_tmp ("find-python-XXXXXX", NULL);
  g_autofree char *bin = g_build_filename (fixture->root, "bin", NULL);
  g_autofree char *shims = g_build_filename (fixture->root, "pyenv", "shims", NULL);
  g_autofree char *path = g_strconcat ("relative:", shims, ":", bin, NULL);
  g_autofree char *pyenv = g_build_filename (fixture->root, "pyenv", NULL);
  g_autofree char *uv = g_build_filename (fixture->root, "uv", NULL);
  g_autofree char *work = g_build_filename (fixture->root, "work", NULL);
  g_assert_cmpint (g_mkdir_with_parents (work, 0700), ==, 0);
  g_assert_cmpint (chdir (work), ==, 0);
  g_setenv ("PATH", path, TRUE);
  g_setenv ("PYENV_ROOT", pyenv, TRUE);
  g_setenv ("UV_PYTHON_INSTALL_DIR", uv, TRUE);
  g_unsetenv ("PYENV_VERSION");
}

static void
teardown (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (chdir ("/"), ==, 0);
  g_assert_true (vf_remove_tree (AT_FDCWD, fixture->root, fixture->root, NULL));
  g_free (fixture->root);
}

static void
assert_first (Fixture *fixture, const char *request, const char *expected)
{
  g_autoptr (GPtrArray) candidates = vf_find_python_candidates (request);
  g_autofree char *path = expected ? g_build_filename (fixture->root, expected, NULL) : NULL;
  g_assert_cmpstr (candidates->len > 0 ? candidates->pdata[0] : NULL, ==, path);
}

static void
test_versions (void)
{
  g_assert_true (vf_find_python_is_version ("3"));
  g_assert_true (vf_find_python_is_version ("3.13.0"));
  g_assert_true (vf_find_python_is_version ("3.13t"));
  g_assert_false (vf_find_python_is_version ("3."));
  g_assert_false (vf_find_python_is_version ("3.13.0.1"));
  g_assert_false (vf_find_python_is_version ("pypy3.9"));
  g_assert_true (vf_find_python_matches ("3.1", "3.1.5", FALSE));
  g_assert_false (vf_find_python_matches ("3.1", "3.13.0", FALSE));
  g_assert_true (vf_find_python_matches ("3.13t", "3.13.0", TRUE));
  g_assert_false (vf_find_python_matches ("3.13", "3.13.0", TRUE));
}

static void
test_path_before_pyenv (Fixture *fixture, gconstpointer data)
{
  g_free (make_executable (fixture, "pyenv/versions/3.13.0/bin/python3"));
  assert_first (fixture, "3.13", "pyenv/versions/3.13.0/bin/python3");
  assert_first (fixture, "3.1", NULL);
  g_free (make_executable (fixture, "bin/python3.13"));
  assert_first (fixture, "3.13", "bin/python3.13");
  assert_first (fixture, "cpython@3.13", "bin/python3.13");
  assert_first (fixture, "python3.13", "bin/python3.13");
}

static void
test_newest_of_pyenv_and_uv (Fixture *fixture, gconstpointer data)
{
  g_free (make_executable (fixture, "pyenv/versions/3.12.9/bin/python3"));
  g_free (make_executable (fixture, "pyenv/versions/3.12.10/bin/python3"));
  assert_first (fixture, "3.12", "pyenv/versions/3.12.10/bin/python3");
  g_free (make_executable (fixture, "uv/cpython-3.11.4-linux-x86_64-gnu/bin/python3"));
  assert_first (fixture, "3.11", "uv/cpython-3.11.4-linux-x86_64-gnu/bin/python3");
  g_free (make_executable (fixture, "pyenv/versions/pypy3.9-7.3/bin/python3"));
  assert_first (fixture, "pypy3.9-7.3", "pyenv/versions/pypy3.9-7.3/bin/python3");
}

static void
test_shims (Fixture *fixture, gconstpointer data)
{
  g_free (make_executable (fixture, "pyenv/shims/python3"));
  g_free (make_executable (fixture, "pyenv/versions/3.10.2/bin/python3"));
  g_free (make_executable (fixture, "pyenv/versions/3.9.1/bin/python3"));
  assert_first (fixture, NULL, NULL);
  g_assert_true (g_file_set_contents ("../pyenv/version", "3.10.2\n", -1, NULL));
  assert_first (fixture, NULL, "pyenv/versions/3.10.2/bin/python3");
  g_assert_true (g_file_set_contents (".python-version", "# why\n\n\t3.9 this\r\n", -1, NULL));
  assert_first (fixture, NULL, "pyenv/versions/3.9.1/bin/python3");
  g_setenv ("PYENV_VERSION", "system", TRUE);
  g_free (make_executable (fixture, "bin/python3"));
  assert_first (fixture, NULL, "bin/python3");
}

/* As pyenv reads it; also through a link. */
static void
test_pinned (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (g_file_set_contents ("../pin", "# why\n\n ./none this\n3.9\n", -1, NULL));
  g_assert_cmpint (symlink ("../pin", ".python-version"), ==, 0);
  g_assert_null (vf_find_python (NULL, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_autofree char *expected = g_strconcat (
      fixture->root,
      "/work/.python-version: ./none: no Python here; give an executable or a directory with "
      "bin/python",
      NULL);
  g_assert_cmpstr (error->message, ==, expected);
}

static void
test_paths (Fixture *fixture, gconstpointer data)
{
  g_free (make_executable (fixture, "work/venv/bin/python"));
  assert_first (fixture, "./venv", "work/venv/bin/python");
  assert_first (fixture, "venv/bin/python", "work/venv/bin/python");
  assert_first (fixture, "venv", "work/venv/bin/python");
  assert_first (fixture, "./nothing", NULL);
  assert_first (fixture, "nothing", NULL);
  g_assert_cmpint (chmod ("venv/bin/python", 0644), ==, 0);
  assert_first (fixture, "venv/bin/python", NULL);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/find-python/versions", test_versions);
  g_test_add ("/find-python/path-before-pyenv", Fixture, NULL, setup, test_path_before_pyenv,
              teardown);
  g_test_add ("/find-python/newest", Fixture, NULL, setup, test_newest_of_pyenv_and_uv, teardown);
  g_test_add ("/find-python/shims", Fixture, NULL, setup, test_shims, teardown);
  g_test_add ("/find-python/pinned", Fixture, NULL, setup, test_pinned, teardown);
  g_test_add ("/find-python/paths", Fixture, NULL, setup, test_paths, teardown);
  return g_test_run ();
}

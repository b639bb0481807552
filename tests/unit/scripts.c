#include "tests/unit/merge-fixture.h"

static VfImage *
build_one (Fixture *fixture, VfPackage *package)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  g_ptr_array_add (installed, install (fixture, package, FALSE, NULL));
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  return build (fixture, &input, NULL);
}

#define BODY(module, first, call)                                                                  \
  "#!/m/bin/python\n"                                                                              \
  "import sys\n"                                                                                   \
  "from " module " import " first "\n"                                                             \
  "if __name__ == '__main__':\n"                                                                   \
  "    if sys.argv[0].endswith('.exe'):\n"                                                         \
  "        sys.argv[0] = sys.argv[0][:-4]\n"                                                       \
  "    sys.exit(" call "())\n"

static void
test_entry_points (Fixture *fixture, gconstpointer unused)
{
  VfPackage *package = make_package ("pkg", "1.0");
  add_text (fixture, package, VF_SCHEME_PURELIB, "mod.py", 0644, "abc", 0);
  vf_package_add_entry_point (package, FALSE, "tool", "pkg.cli", "main");
  vf_package_add_entry_point (package, TRUE, "Window-1.0", "pkg", "App.run");
  vf_package_add_entry_point (package, FALSE, "pip3", "pkg", "main");
  g_autoptr (VfImage) image = build_one (fixture, package);
  assert_text (fixture, image, "bin/tool", 0755, BODY ("pkg.cli", "main", "main"));
  assert_text (fixture, image, "bin/Window-1.0", 0755, BODY ("pkg", "App", "App.run"));
  assert_text (fixture, image, "bin/pip3", 0755, BODY ("pkg", "main", "main"));
}

/* pip's scripts are the target's, whatever its wheel says. */
static void
test_pip (Fixture *fixture, gconstpointer unused)
{
  VfPackage *package = make_package ("pip", "24.0");
  add_text (fixture, package, VF_SCHEME_PURELIB, "pip/__init__.py", 0644, "abc", 0);
  vf_package_add_entry_point (package, FALSE, "pip", "pip._internal", "main");
  vf_package_add_entry_point (package, FALSE, "pip3", "pip._internal", "main");
  vf_package_add_entry_point (package, FALSE, "pip3.8", "pip._internal", "main");
  vf_package_add_entry_point (package, FALSE, "pip-extra", "pip", "x");
  g_autoptr (VfImage) image = build_one (fixture, package);
  assert_text (fixture, image, "bin/pip", 0755, BODY ("pip._internal", "main", "main"));
  assert_text (fixture, image, "bin/pip3", 0755, BODY ("pip._internal", "main", "main"));
  assert_text (fixture, image, "bin/pip3.13", 0755, BODY ("pip._internal", "main", "main"));
  assert_text (fixture, image, "bin/pip-extra", 0755, BODY ("pip", "x", "x"));
  assert_absent (image, "bin/pip3.8");
}

static void
test_shipped (Fixture *fixture, gconstpointer unused)
{
  VfPackage *package = make_package ("pkg", "1.0");
  VfPackageFileFlags flags = VF_PACKAGE_FILE_PYTHON_SCRIPT;
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "one", 0755, "#!python -u\nprint(1)\n", flags);
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "two", 0755, "#!pythonw", flags);
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "three", 0755, "#!python\nx = '\1path\2'\n",
            flags);
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "shell", 0755, "#!/bin/sh\n", 0);
  g_autoptr (VfImage) image = build_one (fixture, package);
  assert_text (fixture, image, "bin/one", 0755, "#!/m/bin/python\nprint(1)\n");
  assert_text (fixture, image, "bin/two", 0755, "#!/m/bin/python\n");
  assert_text (fixture, image, "bin/three", 0755, "#!/m/bin/python\nx = '\1path\2'\n");
  assert_text (fixture, image, "bin/shell", 0755, "#!/bin/sh\n");
}

static void
test_shipped_is_gone (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  g_autoptr (GError) error = NULL;
  VfDigest id;
  VfPackage *package = make_package ("pkg", "1.0");
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "one", 0755, "#!python\n",
            VF_PACKAGE_FILE_PYTHON_SCRIPT);
  g_ptr_array_add (installed, install (fixture, package, FALSE, NULL));
  g_autofree char *object = object_path ("#!python\n");
  g_autofree char *path = vf_store_path_of (fixture->store, object);
  g_assert_cmpint (g_unlink (path), ==, 0);
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  g_assert_false (vf_merge_build (fixture->store, &input, NULL, &id, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/scripts/entry-points", test_entry_points);
  FIXTURE_TEST ("/scripts/pip", test_pip);
  FIXTURE_TEST ("/scripts/shipped", test_shipped);
  FIXTURE_TEST ("/scripts/shipped-is-gone", test_shipped_is_gone);
  return g_test_run ();
}

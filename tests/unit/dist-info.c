#include "tests/unit/merge-fixture.h"

#define INFO SITE "pkg-1.0.dist-info/"

static VfImage *
build_one (Fixture *fixture, VfPackage *package, gboolean requested, const char *direct_url)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  g_ptr_array_add (installed, install (fixture, package, requested, direct_url));
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  return build (fixture, &input, NULL);
}

/* "abc" has the digest that FIPS 180-2 gives for it. */
static void
test_record (Fixture *fixture, gconstpointer unused)
{
  VfPackage *package = make_package ("pkg", "1.0");
  add_text (fixture, package, VF_SCHEME_PURELIB, "pkg/a,b\"c.txt", 0644, "abc", 0);
  add_text (fixture, package, VF_SCHEME_PURELIB, "pkg/mod.py", 0644, "abc", 0);
  add_text (fixture, package, VF_SCHEME_HEADERS, "pkg.h", 0644, "abc", 0);
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "native", 0755, "abc", 0);
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "shipped", 0755, "#!python\n",
            VF_PACKAGE_FILE_PYTHON_SCRIPT);
  add_text (fixture, package, VF_SCHEME_DATA, "share/x", 0644, "abc", 0);
  vf_package_add_entry_point (package, FALSE, "tool", "pkg.cli", "main");
  g_autoptr (VfImage) image = build_one (fixture, package, FALSE, NULL);
#define HASH "sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\n"
  assert_text (fixture, image, INFO "RECORD", 0644,
               "../../../bin/tool,,\n"
               "\"pkg/a,b\"\"c.txt\"," HASH "pkg/mod.py," HASH
               "../../../include/site/python3.13/pkg/pkg.h," HASH "../../../bin/native," HASH
               "../../../bin/shipped,,\n"
               "../../../share/x," HASH
               "pkg-1.0.dist-info/INSTALLER,sha256=5SDLHzoxY4hFZzcgYgCBUpgdJNjVnWNJ_c_IxgliNYE,7\n"
               "pkg-1.0.dist-info/RECORD,,\n");
  assert_text (fixture, image, INFO "INSTALLER", 0644, "venvfs\n");
  assert_absent (image, INFO "REQUESTED");
  assert_absent (image, INFO "direct_url.json");
}

static void
test_marks (Fixture *fixture, gconstpointer unused)
{
  VfPackage *package = make_package ("pkg", "1.0");
  add_text (fixture, package, VF_SCHEME_PURELIB, "mod.py", 0644, "abc", 0);
  g_autoptr (VfImage) image = build_one (fixture, package, TRUE, "{\"url\": \"file:///x\"}");
  assert_text (fixture, image, INFO "REQUESTED", 0644, "");
  assert_text (fixture, image, INFO "direct_url.json", 0644, "{\"url\": \"file:///x\"}");
  g_autofree char *record = read_path (fixture, image, INFO "RECORD");
  g_assert_nonnull (strstr (record, "pkg-1.0.dist-info/REQUESTED,sha256="
                                    "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"));
  g_assert_nonnull (strstr (record, "pkg-1.0.dist-info/direct_url.json,sha256="));
}

/* Where platform libraries lie apart, RECORD lies with them and names the others from there. */
static void
test_platlib (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  interpreter.platlib = (char *)"platform/python3.13";
  VfPackage *package = make_package ("pkg", "1.0");
  package->root_is_purelib = FALSE;
  add_text (fixture, package, VF_SCHEME_PLATLIB, "_c.so", 0755, "abc", 0);
  add_text (fixture, package, VF_SCHEME_PURELIB, "mod.py", 0644, "abc", 0);
  g_ptr_array_add (installed, install (fixture, package, FALSE, NULL));
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  g_autoptr (VfImage) image = build (fixture, &input, NULL);
  g_autofree char *record =
      read_path (fixture, image, "platform/python3.13/pkg-1.0.dist-info/RECORD");
  g_assert_nonnull (strstr (record, "../../" SITE "mod.py,sha256="));
  g_assert_nonnull (strstr (record, "\n_c.so,sha256="));
  assert_text (fixture, image, "platform/python3.13/_c.so", 0755, "abc");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/dist-info/record", test_record);
  FIXTURE_TEST ("/dist-info/marks", test_marks);
  FIXTURE_TEST ("/dist-info/platlib", test_platlib);
  return g_test_run ();
}

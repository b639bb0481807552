#include "tests/unit/merge-fixture.h"

#include <signal.h>
#include <sys/resource.h>

static void
test_schemes (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  VfPackage *package = make_package ("Green_Let", "1.0");
  add_text (fixture, package, VF_SCHEME_PURELIB, "pkg/__init__.py", 0644, "init", 0);
  add_text (fixture, package, VF_SCHEME_PLATLIB, "pkg/_c.so", 0755, "so", 0);
  add_text (fixture, package, VF_SCHEME_HEADERS, "green.h", 0644, "h", 0);
  add_text (fixture, package, VF_SCHEME_SCRIPTS, "tool", 0755, "binary", 0);
  add_text (fixture, package, VF_SCHEME_DATA, "share/man/tool.1", 0644, "man", 0);
  add_text (fixture, package, VF_SCHEME_DATA, "lib64/x/data", 0644, "data", 0);
  g_ptr_array_add (installed, install (fixture, package, FALSE, NULL));
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (VfImage) image = build (fixture, &input, warnings);

  g_assert_cmpuint (warnings->len, ==, 0);
  assert_text (fixture, image, SITE "pkg/__init__.py", 0644, "init");
  assert_text (fixture, image, SITE "pkg/_c.so", 0755, "so");
  assert_text (fixture, image, "include/site/python3.13/Green_Let/green.h", 0644, "h");
  assert_text (fixture, image, "bin/tool", 0755, "binary");
  assert_text (fixture, image, "share/man/tool.1", 0644, "man");
  assert_text (fixture, image, "lib/x/data", 0644, "data");
  assert_text (fixture, image, "lib64", 0777, "lib");
}

/* The same packages, asked for in another order, are the same image. */
static void
test_order_does_not_matter (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  add_file_only (fixture, installed, "b", "b.py", "b");
  add_file_only (fixture, installed, "a", "a.py", "a");
  add_file_only (fixture, installed, "c", "c.py", "c");
  VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  g_autoptr (VfImage) image = build (fixture, &input, NULL);
  gpointer first = installed->pdata[0];
  installed->pdata[0] = installed->pdata[2];
  installed->pdata[2] = first;
  g_autoptr (VfImage) again = build (fixture, &input, NULL);
  g_assert_true (vf_digest_equal (vf_image_id (image), vf_image_id (again)));
  g_assert_cmpuint (store_count (fixture, "images"), ==, 1);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

/* Whatever shows in the tree is in the id. */
static void
test_id (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GHashTable) seen = g_hash_table_new (vf_digest_hash, vf_digest_equal);
  VfDigest ids[7];
  for (int i = 0; i < 7; i++) {
    g_autoptr (GPtrArray) installed = new_installed ();
    g_autoptr (GError) error = NULL;
    VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
    add_file_only (fixture, installed, "a", "a.py", i == 1 ? "other" : "a");
    VfInstalled *only = g_ptr_array_index (installed, 0);
    only->requested = i == 2;
    only->direct_url = i == 3 ? g_strdup ("{}") : NULL;
    input.system_site_packages = i == 4;
    interpreter.probe_id = (char *)(i == 5 ? "01" : "00");
    if (i == 6)
      add_file_only (fixture, installed, "b", "b.py", "b");
    g_assert_true (vf_merge_image_id (fixture->store, &input, &ids[i], &error));
    g_assert_true (g_hash_table_add (seen, &ids[i]));
  }
}

static void
test_overlap (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  add_file_only (fixture, installed, "Zed", "ns/util.py", "zed");
  add_file_only (fixture, installed, "alpha", "ns/util.py", "alpha");
  add_file_only (fixture, installed, "same", "ns/util.py", "alpha");
  add_file_only (fixture, installed, "under", "ns/util.py/file", "x");
  add_file_only (fixture, installed, "over", "ns", "x");
  add_file_only (fixture, installed, "home", "other.py", "x");
  VfPackage *package = make_package ("home-taker", "2.0");
  add_text (fixture, package, VF_SCHEME_DATA, "pyvenv.cfg", 0644, "home = /evil\n", 0);
  g_ptr_array_add (installed, install (fixture, package, FALSE, NULL));
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (VfImage) image = build (fixture, &input, warnings);

  assert_text (fixture, image, SITE "ns/util.py", 0644, "alpha");
  g_autofree char *cfg = read_path (fixture, image, "pyvenv.cfg");
  g_assert_true (g_str_has_prefix (cfg, "home = /opt/python/bin\n"));
  g_assert_cmpuint (warnings->len, ==, 4);
  g_assert_cmpstr (warnings->pdata[0], ==,
                   "home-taker 2.0: pyvenv.cfg gives way to what is there already");
  g_assert_cmpstr (warnings->pdata[1], ==,
                   "over 1.0: " SITE "ns gives way to what is there already");
  g_assert_cmpstr (warnings->pdata[2], ==,
                   "under 1.0: " SITE "ns/util.py/file gives way to what is there already");
  g_assert_cmpstr (warnings->pdata[3], ==, "Zed 1.0: " SITE "ns/util.py gives way to alpha 1.0");
}

static void
put_bytecode (Fixture *fixture, const VfInterpreter *interpreter, const VfInstalled *installed,
              const char *code)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, TRUE, sizeof (VfBytecodeEntry));
  g_autoptr (GError) error = NULL;
  VfBytecodeEntry entry = {.source = 0, .size = (guint32)strlen (code)};
  entry.digest = add_object (fixture, code);
  g_array_append_val (entries, entry);
  g_autoptr (GBytes) bytes = vf_bytecode_serialize (entries);
  g_autofree char *path = vf_bytecode_path (interpreter, &installed->digest);
  g_autofree char *full = vf_store_path_of (fixture->store, path);
  g_autofree char *directory = g_path_get_dirname (full);
  g_assert_cmpint (g_mkdir_with_parents (directory, 0755), ==, 0);
  g_assert_true (vf_store_put (fixture->store, path, g_bytes_get_data (bytes, NULL),
                               g_bytes_get_size (bytes), &error));
}

static void
test_bytecode (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  g_autoptr (GError) error = NULL;
  VfDigest id;
  add_file_only (fixture, installed, "a", "pkg/mod.py", "a");
  add_file_only (fixture, installed, "b", "pkg/mod.py", "b");
  add_file_only (fixture, installed, "top", "single.py", "x");
  VfMergeInput input = {.interpreter = &interpreter, .installed = installed, .compile = TRUE};
  g_assert_false (vf_merge_build (fixture->store, &input, NULL, &id, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
  put_bytecode (fixture, &interpreter, installed->pdata[0], "code of a");
  put_bytecode (fixture, &interpreter, installed->pdata[1], "code of b");
  put_bytecode (fixture, &interpreter, installed->pdata[2], "code of single");
  g_autoptr (VfImage) image = build (fixture, &input, NULL);
  /* b's source is not there, so its bytecode is not either. */
  assert_text (fixture, image, SITE "pkg/mod.py", 0644, "a");
  assert_text (fixture, image, SITE "pkg/__pycache__/mod.cpython-313.pyc", 0644, "code of a");
  assert_text (fixture, image, SITE "__pycache__/single.cpython-313.pyc", 0644, "code of single");
  g_autofree char *record = read_path (fixture, image, SITE "a-1.0.dist-info/RECORD");
  g_assert_nonnull (strstr (record, "\npkg/__pycache__/mod.cpython-313.pyc,,\n"));

  input.compile = FALSE;
  g_autoptr (VfImage) plain = build (fixture, &input, NULL);
  g_assert_false (vf_digest_equal (vf_image_id (image), vf_image_id (plain)));
  assert_absent (plain, SITE "pkg/__pycache__");
}

static void
test_refused (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  g_autoptr (GError) error = NULL;
  VfDigest id;
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  add_file_only (fixture, installed, "Same.Name", "a.py", "a");
  add_file_only (fixture, installed, "same-name", "b.py", "b");
  g_assert_false (vf_merge_build (fixture->store, &input, NULL, &id, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  g_clear_error (&error);
  g_ptr_array_set_size (installed, 0);
  vf_digest_of ("absent", 6, &id);
  g_ptr_array_add (installed, vf_installed_new (&id, FALSE, NULL));
  g_assert_false (vf_merge_build (fixture->store, &input, NULL, &id, &error));
  g_assert_nonnull (error);
  g_assert_cmpuint (store_count (fixture, "images"), ==, 0);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

/* Told with the path of the file that could not be written. */
static void
test_no_room (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (GPtrArray) installed = new_installed ();
  g_autoptr (GError) error = NULL;
  VfDigest id;
  const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
  struct rlimit former, small;
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &former), ==, 0);
  small = (struct rlimit){1024, former.rlim_max};
  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  gboolean built = vf_merge_build (fixture->store, &input, NULL, &id, &error);
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &former), ==, 0);
  g_assert_false (built);
  g_assert_error (error, VF_SYSTEM_ERROR, EFBIG);
  g_autofree char *pattern =
      g_strconcat (vf_store_path (fixture->store), "/tmp/*/image: *: File too large", NULL);
  g_assert_true (g_pattern_match_simple (pattern, error->message));
  g_assert_cmpuint (store_count (fixture, "images"), ==, 0);
  g_assert_cmpuint (store_count (fixture, "tmp"), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/merge/schemes", test_schemes);
  FIXTURE_TEST ("/merge/order-does-not-matter", test_order_does_not_matter);
  FIXTURE_TEST ("/merge/id", test_id);
  FIXTURE_TEST ("/merge/overlap", test_overlap);
  FIXTURE_TEST ("/merge/bytecode", test_bytecode);
  FIXTURE_TEST ("/merge/refused", test_refused);
  FIXTURE_TEST ("/merge/no-room", test_no_room);
  return g_test_run ();
}

#include "layers/bytecode.h"

#include <string.h>

#include "layers/error.h"

static VfPackage *
package_of (const char *const *paths, VfScheme scheme)
{
  VfPackage *package = vf_package_new ("Demo", "1.0", "Demo-1.0.dist-info");
  VfDigest digest = {{1}};
  for (; *paths; paths++)
    vf_package_add_file (package, scheme, *paths, 0644, 3, &digest, 0);
  return package;
}

static GBytes *
listing (guint n)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (VfBytecodeEntry));
  for (guint i = 0; i < n; i++) {
    VfBytecodeEntry entry = {.source = 2 * i + 1, .size = 100 + i, .digest = {{(guint8)i}}};
    g_array_append_val (entries, entry);
  }
  return vf_bytecode_serialize (entries);
}

static void
test_form (void)
{
  g_autoptr (GBytes) bytes = listing (2);
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  g_assert_cmpint (length, ==, 12 + 2 * 40);
  g_assert_cmpmem (data, 12, "VfPyc 1\n\2\0\0\0", 12);
  g_assert_cmpmem (data + 12, 8, "\1\0\0\0\x64\0\0\0", 8);
  g_assert_cmpmem (data + 52, 9, "\3\0\0\0\x65\0\0\0\1", 9);
}

static void
test_round_trip (void)
{
  for (guint n = 0; n < 4; n++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GBytes) bytes = listing (n);
    g_autoptr (VfBytecode) parsed = vf_bytecode_parse (bytes, NULL, "x", &error);
    g_assert_no_error (error);
    g_assert_cmpint (parsed->entries->len, ==, n);
    g_autoptr (GBytes) again = vf_bytecode_serialize (parsed->entries);
    g_assert_true (g_bytes_equal (bytes, again));
    VfDigest digest;
    vf_digest_of (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), &digest);
    g_assert_true (vf_digest_equal (&digest, &parsed->digest));
  }
}

static void
assert_damaged (const guint8 *data, gsize length, const VfPackage *package)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new (data, length);
  g_assert_null (vf_bytecode_parse (bytes, package, "bytecode/t/d", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_cmpstr (error->message, ==,
                   "bytecode/t/d: not a valid bytecode listing; run 'venvfs fsck'");
}

static void
test_damaged (void)
{
  g_autoptr (GBytes) bytes = listing (2);
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  for (gsize i = 0; i < length; i++)
    assert_damaged (data, i, NULL);
  g_autofree guint8 *copy = g_malloc0 (length + 1);
  memcpy (copy, data, length);
  assert_damaged (copy, length + 1, NULL);
  copy[7] = ' '; /* the magic */
  assert_damaged (copy, length, NULL);
  copy[7] = '\n';
  copy[12] = 3; /* the same source twice */
  assert_damaged (copy, length, NULL);
  copy[12] = 4; /* descending */
  assert_damaged (copy, length, NULL);
  copy[12] = 1;
  copy[16] = 0; /* an empty .pyc */
  assert_damaged (copy, length, NULL);
  copy[16] = 100;
  memset (copy + 8, 0xff, 4); /* a count that overflows 32 bits when multiplied */
  assert_damaged (copy, length, NULL);
}

static void
test_against_package (void)
{
  const char *good_paths[] = {"a.txt", "b.py", "c.txt", "d.py", NULL};
  const char *bad_paths[] = {"a.txt", "b.py", "c.txt", "d.txt", NULL};
  const char *few_paths[] = {"a.txt", "b.py", NULL};
  g_autoptr (VfPackage) good = package_of (good_paths, VF_SCHEME_PLATLIB);
  g_autoptr (VfPackage) bad = package_of (bad_paths, VF_SCHEME_PURELIB);
  g_autoptr (VfPackage) few = package_of (few_paths, VF_SCHEME_PURELIB);
  g_autoptr (VfPackage) scripts = package_of (good_paths, VF_SCHEME_SCRIPTS);
  g_autoptr (GBytes) bytes = listing (2);
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  g_autoptr (VfBytecode) parsed = vf_bytecode_parse (bytes, good, "x", NULL);
  g_assert_nonnull (parsed);
  assert_damaged (data, length, bad);
  assert_damaged (data, length, few);
  assert_damaged (data, length, scripts);
}

static void
test_is_module (void)
{
  static const struct {
    const char *path;
    VfScheme scheme;
    gboolean is;
  } cases[] = {
      {"m.py", VF_SCHEME_PURELIB, TRUE},          {"p/m-1.2.py", VF_SCHEME_PLATLIB, TRUE},
      {"bin.py", VF_SCHEME_SCRIPTS, FALSE},       {"share/x.py", VF_SCHEME_DATA, FALSE},
      {"include/x.py", VF_SCHEME_HEADERS, FALSE}, {"m.pyi", VF_SCHEME_PURELIB, FALSE},
      {".py", VF_SCHEME_PURELIB, FALSE},          {"p/.py", VF_SCHEME_PURELIB, FALSE},
      {"m.PY", VF_SCHEME_PURELIB, FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    VfPackageFile file = {.scheme = cases[i].scheme, .path = cases[i].path};
    g_assert_cmpint (vf_bytecode_is_module (&file), ==, cases[i].is);
  }
}

static void
test_path (void)
{
  VfInterpreter interpreter = {.cache_tag = (char *)"cpython-313",
                               .bytecode_magic = (char *)"f30d0d0a"};
  VfDigest digest = {{0xab}};
  g_autofree char *path = vf_bytecode_path (&interpreter, &digest);
  g_assert_cmpstr (path, ==,
                   "bytecode/cpython-313.f30d0d0a/"
                   "ab00000000000000000000000000000000000000000000000000000000000000");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/bytecode/form", test_form);
  g_test_add_func ("/bytecode/round-trip", test_round_trip);
  g_test_add_func ("/bytecode/damaged", test_damaged);
  g_test_add_func ("/bytecode/against-package", test_against_package);
  g_test_add_func ("/bytecode/is-module", test_is_module);
  g_test_add_func ("/bytecode/path", test_path);
  return g_test_run ();
}

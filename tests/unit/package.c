/* layers/package.c: the canonical bytes, and that nothing else is read. */
#include "layers/package.h"

#include <string.h>

#include "layers/error.h"

static VfDigest
digest_of (const char *text)
{
  VfDigest digest;
  vf_digest_of (text, strlen (text), &digest);
  return digest;
}

static VfPackage *
sample (gboolean reversed)
{
  static const char *const paths[] = {"pkg/__init__.py", "pkg/a.py", "pkg-1.dist-info/METADATA",
                                      "pkg/b c.py"};
  VfPackage *package = vf_package_new ("Pkg", "1", "pkg-1.dist-info");
  package->root_is_purelib = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    guint k = reversed ? G_N_ELEMENTS (paths) - 1 - i : i;
    VfDigest digest = digest_of (paths[k]);
    vf_package_add_file (package, VF_SCHEME_PURELIB, paths[k], 0644, 10 + k, &digest, 0);
  }
  VfDigest script = digest_of ("script");
  vf_package_add_file (package, VF_SCHEME_SCRIPTS, "tool", 0755, G_GUINT64_CONSTANT (1) << 40,
                       &script, VF_PACKAGE_FILE_PYTHON_SCRIPT);
  vf_package_add_entry_point (package, reversed ? TRUE : FALSE, reversed ? "z" : "a", "pkg.cli",
                              "main");
  vf_package_add_entry_point (package, reversed ? FALSE : TRUE, reversed ? "a" : "z", "pkg.cli",
                              "main");
  return package;
}

static GBytes *
sample_bytes (void)
{
  g_autoptr (VfPackage) package = sample (FALSE);
  return vf_package_serialize (package);
}

static void
test_round_trip (void)
{
  g_autoptr (GBytes) bytes = sample_bytes ();
  g_autoptr (GError) error = NULL;
  g_autoptr (VfPackage) package = vf_package_parse (bytes, "p", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (package->name, ==, "Pkg");
  g_assert_cmpstr (package->version, ==, "1");
  g_assert_cmpstr (package->dist_info, ==, "pkg-1.dist-info");
  g_assert_true (package->root_is_purelib);
  g_assert_cmpuint (package->files->len, ==, 5);
  const VfPackageFile *files = (const VfPackageFile *)package->files->data;
  g_assert_cmpstr (files[0].path, ==, "pkg-1.dist-info/METADATA");
  g_assert_cmpstr (files[3].path, ==, "pkg/b c.py");
  g_assert_cmpuint (files[3].size, ==, 13);
  g_assert_cmpuint (files[3].mode, ==, 0644);
  VfDigest digest = digest_of ("pkg/b c.py");
  g_assert_cmpmem (files[3].digest.bytes, 32, digest.bytes, 32);
  g_assert_cmpint (files[4].scheme, ==, VF_SCHEME_SCRIPTS);
  g_assert_cmpint (files[4].flags, ==, VF_PACKAGE_FILE_PYTHON_SCRIPT);
  g_assert_cmpuint (files[4].mode, ==, 0755);
  g_assert_cmpuint (files[4].size, ==, G_GUINT64_CONSTANT (1) << 40);
  g_assert_cmpuint (package->entry_points->len, ==, 2);
  const VfEntryPoint *entry_points = (const VfEntryPoint *)package->entry_points->data;
  g_assert_cmpstr (entry_points[0].name, ==, "a");
  g_assert_false (entry_points[0].gui);
  g_assert_cmpstr (entry_points[1].module, ==, "pkg.cli");
  g_assert_cmpstr (entry_points[1].attribute, ==, "main");
  g_assert_true (entry_points[1].gui);
  g_autoptr (GBytes) again = vf_package_serialize (package);
  g_assert_true (g_bytes_equal (bytes, again));
}

static void
test_canonical (void)
{
  g_autoptr (GBytes) bytes = sample_bytes ();
  g_autoptr (VfPackage) package = sample (TRUE);
  g_autoptr (GBytes) reversed = vf_package_serialize (package);
  g_assert_true (g_bytes_equal (bytes, reversed));
  VfDigest digest;
  gsize length;
  const void *data = g_bytes_get_data (bytes, &length);
  vf_digest_of (data, length, &digest);
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&digest, hex);
  /* The format may not change without a new magic: stores hold packages under this name. */
  g_assert_cmpstr (hex, ==, "5ede100d33c8b728360173550670be3bbeab5bd2524e73a0f78ce32efed885e0");
}

static void
test_added_to_parsed (void)
{
  g_autoptr (GBytes) bytes = sample_bytes ();
  g_autoptr (VfPackage) package = vf_package_parse (bytes, "p", NULL);
  VfDigest digest = digest_of ("new");
  vf_package_add_file (package, VF_SCHEME_DATA, "share/new", 0644, 3, &digest, 0);
  g_autoptr (GBytes) larger = vf_package_serialize (package);
  g_autoptr (VfPackage) again = vf_package_parse (larger, "p", NULL);
  g_assert_nonnull (again);
  g_assert_cmpuint (again->files->len, ==, 6);
}

/* Every prefix is refused; every changed byte is refused, or gives a package whose bytes are
 * exactly the changed ones. */
static void
test_damage (void)
{
  g_autoptr (GBytes) bytes = sample_bytes ();
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  for (gsize n = 0; n < length; n++) {
    g_autoptr (GBytes) prefix = g_bytes_new (data, n);
    g_autoptr (GError) error = NULL;
    g_assert_null (vf_package_parse (prefix, "packages/x", &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
    g_assert_true (g_str_has_prefix (error->message, "packages/x: "));
  }
  for (gsize at = 0; at < length; at++)
    for (guint bit = 0; bit < 8; bit++) {
      g_autofree guint8 *copy = g_memdup2 (data, length);
      copy[at] ^= (guint8)(1u << bit);
      g_autoptr (GBytes) changed = g_bytes_new (copy, length);
      g_autoptr (VfPackage) package = vf_package_parse (changed, "x", NULL);
      if (!package)
        continue;
      g_autoptr (GBytes) again = vf_package_serialize (package);
      g_assert_true (g_bytes_equal (changed, again));
    }
}

static void
expect_refused (VfScheme scheme, const char *path, VfPackageFileFlags flags, const char *wrong)
{
  g_autoptr (VfPackage) package = sample (FALSE);
  VfDigest digest = digest_of ("x");
  vf_package_add_file (package, scheme, path, 0644, 1, &digest, flags);
  g_autoptr (GBytes) bytes = vf_package_serialize (package);
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_package_parse (bytes, "x", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_nonnull (strstr (error->message, wrong));
}

static void
test_refused (void)
{
  expect_refused (VF_SCHEME_PURELIB, "../x", 0, "path");
  expect_refused (VF_SCHEME_PURELIB, "/x", 0, "path");
  expect_refused (VF_SCHEME_PURELIB, "a//x", 0, "path");
  expect_refused (VF_SCHEME_PURELIB, "a/./x", 0, "path");
  expect_refused (VF_SCHEME_PURELIB, "a/", 0, "path");
  expect_refused (VF_SCHEME_PURELIB, "", 0, "path");
  expect_refused (VF_SCHEME_PURELIB, "pkg/a.py", 0, "order");
  expect_refused (VF_SCHEME_PURELIB, "x", VF_PACKAGE_FILE_PYTHON_SCRIPT, "record");
  g_autofree char *name = g_strnfill (256, 'n');
  expect_refused (VF_SCHEME_PURELIB, name, 0, "path");
}

static void
test_refused_entry_points (void)
{
  static const struct {
    const char *name, *module, *attribute;
  } bad[] = {{"../x", "m", "f"}, {"x/y", "m", "f"},       {"..", "m", "f"},   {"x", "m;os", "f"},
             {"x", "", "f"},     {"x", "m", ""},          {"x", "m..n", "f"}, {"x", "m.", "f"},
             {"x", "m", "f()"},  {"x", "m\nimport", "f"}, {"x", "1m", "f"},   {"a", "m", "f"}};
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (VfPackage) package = sample (FALSE);
    vf_package_add_entry_point (package, FALSE, bad[i].name, bad[i].module, bad[i].attribute);
    g_autoptr (GBytes) bytes = vf_package_serialize (package);
    g_autoptr (GError) error = NULL;
    g_assert_null (vf_package_parse (bytes, "x", &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
    g_assert_nonnull (strstr (error->message, "entry point"));
  }
}

static void
test_normalize (void)
{
  static const char *const names[][2] = {{"Foo.Bar", "foo-bar"},
                                         {"a-_.-b", "a-b"},
                                         {"ruamel.yaml.clib", "ruamel-yaml-clib"},
                                         {"plain", "plain"}};
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *normalized = vf_package_normalize_name (names[i][0]);
    g_assert_cmpstr (normalized, ==, names[i][1]);
  }
}

/* 123 packages of 236 files each are parsed for every image that is made. */
static void
test_speed (void)
{
  g_autoptr (VfPackage) package = vf_package_new ("p", "1", "p-1.dist-info");
  VfDigest digest = digest_of ("x");
  for (guint i = 0; i < 29000; i++) {
    g_autofree char *path = g_strdup_printf ("package/sub%u/another/module_%u.py", i / 40, i);
    vf_package_add_file (package, VF_SCHEME_PURELIB, path, 0644, i, &digest, 0);
  }
  g_autoptr (GBytes) bytes = vf_package_serialize (package);
  gint64 best = G_MAXINT64;
  for (guint i = 0; i < 20; i++) {
    gint64 start = g_get_monotonic_time ();
    g_autoptr (VfPackage) parsed = vf_package_parse (bytes, "x", NULL);
    best = MIN (best, g_get_monotonic_time () - start);
    g_assert_nonnull (parsed);
  }
  g_test_message ("29000 files: %" G_GINT64_FORMAT " us, %" G_GSIZE_FORMAT " bytes", best,
                  g_bytes_get_size (bytes));
  g_assert_cmpint (best, <, 500000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/package/round-trip", test_round_trip);
  g_test_add_func ("/package/canonical", test_canonical);
  g_test_add_func ("/package/added-to-parsed", test_added_to_parsed);
  g_test_add_func ("/package/damage", test_damage);
  g_test_add_func ("/package/refused", test_refused);
  g_test_add_func ("/package/refused-entry-points", test_refused_entry_points);
  g_test_add_func ("/package/normalize", test_normalize);
  g_test_add_func ("/package/speed", test_speed);
  return g_test_run ();
}

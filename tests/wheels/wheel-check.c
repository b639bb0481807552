/* Judges wheels for the tests, without or with a store.
 *
 *   wheel-check [--accept RULE]… [--expect HEX] WHEEL…        prints each package, or its error
 *   wheel-check --store DIRECTORY [--workers N] … WHEEL…      ingests them, prints what they became
 *   wheel-check --rules                                       NAME, acceptable or never, SUMMARY
 *
 * Exit status 0, or 1 when one was refused. Lines of a package: "package NAME VERSION DIST-INFO
 * purelib|platlib SHA256", "file SCHEME MODE SIZE SHA256 -|python PATH", "script console|gui NAME
 * MODULE ATTRIBUTE", "warning TEXT"; separated by tabs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/ingest.h"

static char **accept_rules;
static char *expect_hex, *store_path;
static int n_workers;
static gboolean list_rules, quiet;
static char **wheel_paths;

static const GOptionEntry options[] = {
    {"accept", 0, 0, G_OPTION_ARG_STRING_ARRAY, &accept_rules, NULL, "RULE"},
    {"expect", 0, 0, G_OPTION_ARG_STRING, &expect_hex, NULL, "HEX"},
    {"store", 0, 0, G_OPTION_ARG_FILENAME, &store_path, NULL, "DIRECTORY"},
    {"workers", 0, 0, G_OPTION_ARG_INT, &n_workers, NULL, "N"},
    {"rules", 0, 0, G_OPTION_ARG_NONE, &list_rules, NULL, NULL},
    {"quiet", 0, 0, G_OPTION_ARG_NONE, &quiet, NULL, NULL},
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &wheel_paths, NULL, NULL},
    {0},
};

static void
print_rules (void)
{
  gsize n = 0;
  const VfWheelRule *rules = vf_wheel_rules (&n);
  for (gsize i = 0; i < n; i++)
    printf ("%s\t%s\t%s\n", rules[i].name, rules[i].acceptable ? "acceptable" : "never",
            rules[i].summary);
}

static void
print_package (VfPackage *package, const VfDigest *sha256)
{
  char hex[VF_DIGEST_HEX + 1];
  g_autoptr (GBytes) sorted = vf_package_serialize (package);
  vf_digest_to_hex (sha256, hex);
  printf ("package\t%s\t%s\t%s\t%s\t%s\n", package->name, package->version, package->dist_info,
          package->root_is_purelib ? "purelib" : "platlib", hex);
  for (guint i = 0; i < package->files->len; i++) {
    const VfPackageFile *file = &g_array_index (package->files, VfPackageFile, i);
    vf_digest_to_hex (&file->digest, hex);
    printf ("file\t%s\t%o\t%" G_GUINT64_FORMAT "\t%s\t%s\t%s\n", vf_scheme_name (file->scheme),
            file->mode, file->size, hex,
            file->flags & VF_PACKAGE_FILE_PYTHON_SCRIPT ? "python" : "-", file->path);
  }
  for (guint i = 0; i < package->entry_points->len; i++) {
    const VfEntryPoint *entry_point = &g_array_index (package->entry_points, VfEntryPoint, i);
    printf ("script\t%s\t%s\t%s\t%s\n", entry_point->gui ? "gui" : "console", entry_point->name,
            entry_point->module, entry_point->attribute);
  }
}

static void
print_warnings (GPtrArray *warnings)
{
  for (guint i = 0; i < warnings->len; i++)
    printf ("warning\t%s\n", (const char *)warnings->pdata[i]);
}

static gboolean
judge (const char *path, const VfDigest *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  VfWheelOptions wheel_options = {
      .accept = (const char *const *)accept_rules,
      .expected = expected,
      .warnings = warnings,
  };
  VfDigest sha256;
  g_autoptr (VfPackage) package =
      vf_wheel_ingest (NULL, path, &wheel_options, &sha256, NULL, &error);
  if (!package) {
    fprintf (stderr, "%s\n", error->message);
    return FALSE;
  }
  print_warnings (warnings);
  if (!quiet)
    print_package (package, &sha256);
  return TRUE;
}

static gboolean
ingest_into (VfStore *store, gsize n, const VfDigest *expected, GError **error)
{
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, error);
  if (!write)
    return FALSE;
  g_autofree VfIngestWheel *wheels = g_new0 (VfIngestWheel, n);
  g_autofree VfIngestResult *results = g_new0 (VfIngestResult, n);
  for (gsize i = 0; i < n; i++)
    wheels[i] = (VfIngestWheel){.path = wheel_paths[i], .expected = expected};
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  VfIngestOptions ingest_options = {
      .accept = (const char *const *)accept_rules,
      .n_workers = (guint)n_workers,
      .warnings = warnings,
  };
  guint64 new_bytes = 0;
  gint64 start = g_get_monotonic_time ();
  if (!vf_ingest_wheels (store, wheels, n, &ingest_options, results, &new_bytes, error))
    return FALSE;
  fprintf (stderr, "%" G_GSIZE_FORMAT " wheels in %.3f s, %" G_GUINT64_FORMAT " new bytes\n", n,
           (double)(g_get_monotonic_time () - start) / G_USEC_PER_SEC, new_bytes);
  print_warnings (warnings);
  for (gsize i = 0; i < n && !quiet; i++) {
    g_autoptr (VfPackage) package = vf_package_load (store, &results[i].package, error);
    if (!package)
      return FALSE;
    printf ("known\t%s\n", results[i].known ? "yes" : "no");
    print_package (package, &results[i].wheel);
  }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_add_main_entries (context, options, NULL);
  VfDigest expected;
  if (!g_option_context_parse (context, &argc, &argv, &error) ||
      (expect_hex && !vf_digest_from_hex (expect_hex, strlen (expect_hex), &expected))) {
    fprintf (stderr, "%s\n", error ? error->message : "--expect: not a SHA-256");
    return 2;
  }
  if (list_rules)
    print_rules ();
  gsize n = wheel_paths ? g_strv_length (wheel_paths) : 0;
  gboolean ok = TRUE;
  if (store_path) {
    g_autoptr (VfStore) store = vf_store_open (store_path, &error);
    ok = store && ingest_into (store, n, expect_hex ? &expected : NULL, &error);
    if (!ok)
      fprintf (stderr, "%s\n", error->message);
  } else {
    for (gsize i = 0; i < n; i++)
      ok = judge (wheel_paths[i], expect_hex ? &expected : NULL) && ok;
  }
  return ok ? 0 : 1;
}

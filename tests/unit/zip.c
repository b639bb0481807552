/* layers/zip.c: local headers, data, and a file that changes while it is read. */
#include "layers/zip.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tests/unit/wheel-fixture.h"

static const FixtureFile files[] = {
    {"a/one.txt", "the first", 0100644},
    {"a/", "", 0040755},
    {"run", "#!/bin/sh\n", 0100700},
    {"link", "a/one.txt", 0120777},
};

typedef struct {
  int fd;
  VfRules rules;
  GByteArray *bytes;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autofree char *path = NULL;
  f->rules = (VfRules){.what = "w.whl"};
  f->bytes = fixture_zip (files, G_N_ELEMENTS (files));
  f->fd = g_file_open_tmp ("zip-XXXXXX", &path, NULL);
  g_assert_cmpint (f->fd, >=, 0);
  g_unlink (path);
  g_assert_true (vf_write_all (f->fd, f->bytes->data, f->bytes->len, "w", NULL));
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  close (f->fd);
  g_byte_array_unref (f->bytes);
}

static void
test_whole (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfZip) zip = vf_zip_open (f->fd, &f->rules, &error);
  g_assert_no_error (error);
  gsize n;
  const VfZipEntry *entries = vf_zip_entries (zip, &n);
  g_assert_cmpuint (n, ==, 4);
  static const VfZipType types[] = {VF_ZIP_FILE, VF_ZIP_DIRECTORY, VF_ZIP_FILE, VF_ZIP_SYMLINK};
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  for (gsize i = 0; i < n; i++) {
    char content[32] = {0};
    g_assert_cmpstr (entries[i].name, ==, files[i].name);
    g_assert_cmpint (entries[i].type, ==, types[i]);
    g_assert_cmpint (entries[i].executable, ==, i == 2);
    g_assert_true (vf_zip_fetch (zip, &entries[i], hasher, &error));
    g_assert_true (vf_zip_unpack (zip, &entries[i], content, &error));
    g_assert_cmpstr (content, ==, files[i].text);
  }
  g_assert_true (vf_zip_hash_rest (zip, hasher, &error));
  VfDigest found, expected;
  vf_hasher_finish (hasher, &found);
  vf_digest_of (f->bytes->data, f->bytes->len, &expected);
  g_assert_true (vf_digest_equal (&found, &expected));
}

/* A byte of the local header at @at is another one: which rule, or NULL. */
static void
expect_local (Fixture *f, gsize at, guint8 value, const char *rule)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfZip) zip = vf_zip_open (f->fd, &f->rules, &error);
  g_assert_no_error (error);
  gsize n;
  const VfZipEntry *entries = vf_zip_entries (zip, &n);
  g_assert_cmpint (pwrite (f->fd, &value, 1, (off_t)at), ==, 1);
  char content[32];
  gboolean ok = vf_zip_fetch (zip, &entries[0], NULL, &error) &&
                vf_zip_unpack (zip, &entries[0], content, &error);
  g_assert_cmpint (pwrite (f->fd, f->bytes->data + at, 1, (off_t)at), ==, 1);
  g_assert_false (ok);
  g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
  g_autofree char *prefix = g_strconcat ("w.whl: rule ", rule, ": ", NULL);
  g_assert_true (g_str_has_prefix (error->message, prefix));
}

static void
test_local (Fixture *f, gconstpointer data)
{
  expect_local (f, 0, 'Q', "zip-local");
  expect_local (f, 6, 1, "zip-local");
  expect_local (f, 8, 8, "zip-local");
  expect_local (f, 14, 0, "zip-local");
  expect_local (f, 18, 8, "zip-local");
  expect_local (f, 22, 8, "zip-local");
  expect_local (f, 29, 1, "zip-overlap");
  expect_local (f, 30, 'b', "zip-local");
  expect_local (f, 40, 'T', "zip-data");
}

/* No SIGBUS, and no entry made of half a file. */
static void
test_shrinks (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfZip) zip = vf_zip_open (f->fd, &f->rules, &error);
  gsize n;
  const VfZipEntry *entries = vf_zip_entries (zip, &n);
  g_assert_cmpint (ftruncate (f->fd, 20), ==, 0);
  g_assert_false (vf_zip_fetch (zip, &entries[0], NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_cmpstr (error->message, ==, "w.whl: ends too early");
  g_clear_error (&error);
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_assert_false (vf_zip_hash_rest (zip, hasher, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
}

static void
test_not_regular (void)
{
  VfRules rules = {.what = "w.whl"};
  g_autoptr (GError) error = NULL;
  VF_AUTOFD fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  g_assert_null (vf_zip_open (fd, &rules, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/zip/whole", Fixture, NULL, set_up, test_whole, tear_down);
  g_test_add ("/zip/local", Fixture, NULL, set_up, test_local, tear_down);
  g_test_add ("/zip/shrinks", Fixture, NULL, set_up, test_shrinks, tear_down);
  g_test_add_func ("/zip/not-regular", test_not_regular);
  return g_test_run ();
}

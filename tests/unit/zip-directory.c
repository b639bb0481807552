/* layers/zip-directory.c: extra fields; end records and central directories, every byte of which is
 * made wrong. The cases by name are in tests/integration/test_wheel_rules.py. */
#include "layers/zip-private.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "tests/unit/wheel-fixture.h"

static const FixtureFile files[] = {{"one", "1", 0100644}, {"two", "22", 0100755}};

static int
file_of (const void *data, gsize length)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("zip-XXXXXX", &path, NULL);
  g_assert_cmpint (fd, >=, 0);
  g_unlink (path);
  g_assert_true (vf_write_all (fd, data, length, "w", NULL));
  return fd;
}

static void
test_layout (void)
{
  g_autoptr (GByteArray) bytes = fixture_zip (files, 2);
  VF_AUTOFD fd = file_of (bytes->data, bytes->len);
  VfRules rules = {.what = "w"};
  g_autoptr (VfZip) zip = vf_zip_open (fd, &rules, NULL);
  gsize n;
  const VfZipEntry *entries = vf_zip_entries (zip, &n);
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpuint (entries[0].offset, ==, 0);
  g_assert_cmpuint (entries[0].end, ==, 34);
  g_assert_cmpuint (entries[1].offset, ==, 34);
  g_assert_cmpuint (entries[1].end, ==, 69);
  g_assert_cmpuint (entries[1].size, ==, 2);
  g_assert_cmpuint (zip->tail_size, ==, bytes->len - 69);
}

static void
test_empty (void)
{
  g_autoptr (GByteArray) bytes = fixture_zip (files, 0);
  VF_AUTOFD fd = file_of (bytes->data, bytes->len);
  VfRules rules = {.what = "w"};
  g_autoptr (VfZip) zip = vf_zip_open (fd, &rules, NULL);
  gsize n = 1;
  vf_zip_entries (zip, &n);
  g_assert_cmpuint (n, ==, 0);
}

/* Reads all of a zip. */
static gboolean
read_all (int fd, const VfRules *rules, GError **error)
{
  g_autoptr (VfZip) zip = vf_zip_open (fd, rules, error);
  if (!zip)
    return FALSE;
  gsize n;
  const VfZipEntry *entries = vf_zip_entries (zip, &n);
  for (gsize i = 0; i < n; i++) {
    g_autofree char *content = g_malloc (entries[i].size);
    if (!vf_zip_fetch (zip, &entries[i], NULL, error) ||
        !vf_zip_unpack (zip, &entries[i], content, error))
      return FALSE;
  }
  return TRUE;
}

/* Any other error than a broken rule would be a failure of ours; what is taken in spite of a wrong
 * byte has it where nothing depends on it: versions, times, attributes. */
static void
test_every_byte (void)
{
  g_autoptr (GByteArray) bytes = fixture_zip (files, 2);
  VfRules rules = {.what = "w"};
  guint taken = 0;
  for (gsize at = 69; at < bytes->len; at++) {
    g_autofree guint8 *copy = g_memdup2 (bytes->data, bytes->len);
    copy[at] ^= 0x81;
    VF_AUTOFD fd = file_of (copy, bytes->len);
    g_autoptr (GError) error = NULL;
    if (read_all (fd, &rules, &error)) {
      taken++;
      continue;
    }
    g_assert_error (error, VF_ERROR, VF_ERROR_RULE);
    g_assert_true (g_str_has_prefix (error->message, "w: rule zip-"));
  }
  /* Of each central header: versions 4, time 4, internal attributes 2, external 4 (a mode without a
   * type is a file's). */
  g_assert_cmpuint (taken, ==, 2 * (4 + 4 + 2 + 4));
}

static gboolean
parse (const char *extra, gsize length, guint64 plain, gboolean local, VfZipSizes *out_sizes)
{
  gboolean zip64;
  *out_sizes = (VfZipSizes){.compressed = plain, .size = plain, .offset = 7};
  return vf_zip_parse_extra ((const guint8 *)extra, length, out_sizes, local, &zip64);
}

static void
test_extra (void)
{
  static const char both[] = "\1\0\20\0\5\0\0\0\1\0\0\0\6\0\0\0\0\0\0\0";
  VfZipSizes sizes;
  g_assert_true (parse ("", 0, 3, TRUE, &sizes));
  g_assert_true (parse ("UT\1\0x\0\0\0\0", 9, 3, TRUE, &sizes));
  g_assert_cmpuint (sizes.size, ==, 3);
  g_assert_true (parse (both, 20, G_MAXUINT32, FALSE, &sizes));
  g_assert_cmpuint (sizes.size, ==, G_GUINT64_CONSTANT (0x100000005));
  g_assert_cmpuint (sizes.compressed, ==, 6);
  g_assert_cmpuint (sizes.offset, ==, 7);
  g_assert_false (parse (both, 20, 3, FALSE, &sizes));
  g_assert_false (parse (both, 20, 3, TRUE, &sizes));
  g_assert_false (parse (both, 19, G_MAXUINT32, FALSE, &sizes));
  g_assert_false (parse ("", 0, G_MAXUINT32, FALSE, &sizes));
  g_assert_false (parse ("\x75\x70\0\0", 4, 3, FALSE, &sizes));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/zip-directory/layout", test_layout);
  g_test_add_func ("/zip-directory/empty", test_empty);
  g_test_add_func ("/zip-directory/every-byte", test_every_byte);
  g_test_add_func ("/zip-directory/extra", test_extra);
  return g_test_run ();
}

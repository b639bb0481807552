/* Small wheels for unit tests: stored entries, a right RECORD. What needs more than that is
 * tests/wheels/builder.py's. */
#pragma once

#include <libdeflate.h>
#include <string.h>

#include "layers/record.h"

typedef struct {
  const char *name;
  const char *text;
  guint32 mode; /* as in the zip; 0: none */
} FixtureFile;

static inline void
fixture_u16 (GByteArray *out, guint value)
{
  guint16 wire = GUINT16_TO_LE ((guint16)value);
  g_byte_array_append (out, (const guint8 *)&wire, sizeof wire);
}

static inline void
fixture_u32 (GByteArray *out, guint32 value)
{
  guint32 wire = GUINT32_TO_LE (value);
  g_byte_array_append (out, (const guint8 *)&wire, sizeof wire);
}

/* What local and central headers have in common, from the flags on. */
static inline void
fixture_header (GByteArray *out, const FixtureFile *file)
{
  guint32 length = (guint32)strlen (file->text);
  fixture_u16 (out, 0);
  fixture_u16 (out, 0);
  fixture_u32 (out, 0x210000);
  fixture_u32 (out, libdeflate_crc32 (0, file->text, length));
  fixture_u32 (out, length);
  fixture_u32 (out, length);
  fixture_u16 (out, (guint)strlen (file->name));
  fixture_u16 (out, 0);
}

static inline GByteArray *
fixture_zip (const FixtureFile *files, gsize n)
{
  GByteArray *out = g_byte_array_new ();
  g_autofree guint32 *offsets = g_new (guint32, n);
  for (gsize i = 0; i < n; i++) {
    offsets[i] = out->len;
    fixture_u32 (out, 0x04034b50);
    fixture_u16 (out, 20);
    fixture_header (out, &files[i]);
    g_byte_array_append (out, (const guint8 *)files[i].name, (guint)strlen (files[i].name));
    g_byte_array_append (out, (const guint8 *)files[i].text, (guint)strlen (files[i].text));
  }
  guint32 directory = out->len;
  for (gsize i = 0; i < n; i++) {
    fixture_u32 (out, 0x02014b50);
    fixture_u16 (out, 0x0314);
    fixture_u16 (out, 20);
    fixture_header (out, &files[i]);
    fixture_u16 (out, 0);
    fixture_u32 (out, 0);
    fixture_u32 (out, files[i].mode << 16);
    fixture_u32 (out, offsets[i]);
    g_byte_array_append (out, (const guint8 *)files[i].name, (guint)strlen (files[i].name));
  }
  guint32 end = out->len;
  fixture_u32 (out, 0x06054b50);
  fixture_u32 (out, 0);
  fixture_u16 (out, (guint)n);
  fixture_u16 (out, (guint)n);
  fixture_u32 (out, end - directory);
  fixture_u32 (out, directory);
  fixture_u16 (out, 0);
  return out;
}

/* Writes @directory/<name>-1.0-py3-none-any.whl of @files and a .dist-info; its path. */
static inline char *
fixture_wheel (const char *directory, const char *name, const FixtureFile *files, gsize n)
{
  g_autofree FixtureFile *all = g_new0 (FixtureFile, n + 3);
  g_autofree char *metadata_name = g_strconcat (name, "-1.0.dist-info/METADATA", NULL);
  g_autofree char *wheel_name = g_strconcat (name, "-1.0.dist-info/WHEEL", NULL);
  g_autofree char *record_name = g_strconcat (name, "-1.0.dist-info/RECORD", NULL);
  g_autofree char *metadata = g_strconcat ("Name: ", name, "\nVersion: 1.0\n", NULL);
  g_autoptr (GString) record = g_string_new (NULL);
  memcpy (all, files, n * sizeof *files);
  all[n] = (FixtureFile){.name = metadata_name, .text = metadata};
  all[n + 1] =
      (FixtureFile){.name = wheel_name, .text = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"};
  for (gsize i = 0; i < n + 2; i++) {
    VfDigest digest;
    vf_digest_of (all[i].text, strlen (all[i].text), &digest);
    vf_record_append (record, all[i].name, &digest, strlen (all[i].text));
  }
  vf_record_append (record, record_name, NULL, 0);
  all[n + 2] = (FixtureFile){.name = record_name, .text = record->str};

  g_autoptr (GByteArray) bytes = fixture_zip (all, n + 3);
  g_autofree char *file_name = g_strconcat (name, "-1.0-py3-none-any.whl", NULL);
  char *path = g_build_filename (directory, file_name, NULL);
  g_assert_true (g_file_set_contents (path, (const char *)bytes->data, bytes->len, NULL));
  return path;
}

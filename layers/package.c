/* Package indexes: the model in memory and the canonical bytes (docs/store-format.md, "Package
 * index"). Reading and writing them in a store is package-store.c's.
 *
 * Invariants: a parsed package is exactly what its bytes say, vf_package_serialize() of it gives
 * the same bytes again; its strings point into the bytes, which it keeps. Nothing is believed that
 * the writer would not have written: order, lengths, paths, spare bits. */
#include "layers/package.h"

#include <string.h>

#include "layers/error.h"
#include "layers/little-endian.h"

#define MAGIC             "vfpkg 1\n"
#define MAGIC_BYTES       8
#define HEADER_BYTES      28
#define FILE_BYTES        44
#define ENTRY_POINT_BYTES 8

#define HEADER_PURELIB  1u
#define FILE_EXECUTABLE 1u
#define FILE_SCRIPT     2u

#define PATH_MAX_BYTES    4095
#define SEGMENT_MAX_BYTES 255
#define SEGMENTS_MAX      128 /* each directory's whole path is held in memory, here and there */

static const char *const scheme_names[] = {
    [VF_SCHEME_PURELIB] = "purelib", [VF_SCHEME_PLATLIB] = "platlib",
    [VF_SCHEME_HEADERS] = "headers", [VF_SCHEME_SCRIPTS] = "scripts",
    [VF_SCHEME_DATA] = "data",
};

const char *
vf_scheme_name (VfScheme scheme)
{
  return (guint)scheme < G_N_ELEMENTS (scheme_names) ? scheme_names[scheme] : "unknown";
}

VfPackage *
vf_package_new (const char *name, const char *version, const char *dist_info)
{
  VfPackage *package = g_new0 (VfPackage, 1);
  package->name = g_strdup (name);
  package->version = g_strdup (version);
  package->dist_info = g_strdup (dist_info);
  package->files = g_array_new (FALSE, FALSE, sizeof (VfPackageFile));
  package->entry_points = g_array_new (FALSE, FALSE, sizeof (VfEntryPoint));
  package->strings = g_string_chunk_new (4096);
  return package;
}

void
vf_package_free (VfPackage *package)
{
  g_free (package->name);
  g_free (package->version);
  g_free (package->dist_info);
  g_array_unref (package->files);
  g_array_unref (package->entry_points);
  if (package->strings)
    g_string_chunk_free (package->strings);
  if (package->bytes)
    g_bytes_unref (package->bytes);
  g_free (package);
}

/* A parsed package has none until somebody adds to it. */
static const char *
keep_string (VfPackage *package, const char *string)
{
  if (!package->strings)
    package->strings = g_string_chunk_new (4096);
  return g_string_chunk_insert (package->strings, string);
}

void
vf_package_add_file (VfPackage *package, VfScheme scheme, const char *path, guint32 mode,
                     guint64 size, const VfDigest *digest, VfPackageFileFlags flags)
{
  VfPackageFile file = {
      .scheme = scheme,
      .flags = flags,
      .mode = mode,
      .size = size,
      .path = keep_string (package, path),
      .digest = *digest,
  };
  g_array_append_val (package->files, file);
}

void
vf_package_add_entry_point (VfPackage *package, gboolean gui, const char *name, const char *module,
                            const char *attribute)
{
  VfEntryPoint entry_point = {
      .gui = gui,
      .name = keep_string (package, name),
      .module = keep_string (package, module),
      .attribute = keep_string (package, attribute),
  };
  g_array_append_val (package->entry_points, entry_point);
}

static int
compare_files (gconstpointer a, gconstpointer b)
{
  const VfPackageFile *first = a, *second = b;
  if (first->scheme != second->scheme)
    return first->scheme < second->scheme ? -1 : 1;
  return strcmp (first->path, second->path);
}

static int
compare_entry_points (gconstpointer a, gconstpointer b)
{
  return strcmp (((const VfEntryPoint *)a)->name, ((const VfEntryPoint *)b)->name);
}

/* --- What is written --- */

static void
put_u16 (GByteArray *out, gsize value)
{
  guint16 wire = GUINT16_TO_LE ((guint16)value);
  g_byte_array_append (out, (const guint8 *)&wire, sizeof wire);
}

static void
put_u32 (GByteArray *out, gsize value)
{
  guint32 wire = GUINT32_TO_LE ((guint32)value);
  g_byte_array_append (out, (const guint8 *)&wire, sizeof wire);
}

static void
put_u64 (GByteArray *out, guint64 value)
{
  guint64 wire = GUINT64_TO_LE (value);
  g_byte_array_append (out, (const guint8 *)&wire, sizeof wire);
}

static void
put_string (GByteArray *out, const char *string)
{
  g_byte_array_append (out, (const guint8 *)string, (guint)strlen (string) + 1);
}

static void
put_file (GByteArray *out, const VfPackageFile *file)
{
  guint8 bits = (file->mode & 0111) ? FILE_EXECUTABLE : 0;
  if (file->flags & VF_PACKAGE_FILE_PYTHON_SCRIPT)
    bits |= FILE_SCRIPT;
  guint8 scheme = (guint8)file->scheme;
  g_byte_array_append (out, file->digest.bytes, VF_DIGEST_BYTES);
  put_u64 (out, file->size);
  g_byte_array_append (out, &scheme, 1);
  g_byte_array_append (out, &bits, 1);
  put_u16 (out, strlen (file->path));
}

static void
put_entry_point (GByteArray *out, const VfEntryPoint *entry_point)
{
  put_u16 (out, entry_point->gui ? 1 : 0);
  put_u16 (out, strlen (entry_point->name));
  put_u16 (out, strlen (entry_point->module));
  put_u16 (out, strlen (entry_point->attribute));
}

GBytes *
vf_package_serialize (VfPackage *package)
{
  g_array_sort (package->files, compare_files);
  g_array_sort (package->entry_points, compare_entry_points);

  GByteArray *out = g_byte_array_sized_new (HEADER_BYTES + 110 * package->files->len + 256);
  g_byte_array_append (out, (const guint8 *)MAGIC, MAGIC_BYTES);
  put_u32 (out, package->root_is_purelib ? HEADER_PURELIB : 0);
  put_u32 (out, package->files->len);
  put_u32 (out, package->entry_points->len);
  put_u16 (out, strlen (package->name));
  put_u16 (out, strlen (package->version));
  put_u16 (out, strlen (package->dist_info));
  put_u16 (out, 0);

  for (guint i = 0; i < package->files->len; i++)
    put_file (out, &g_array_index (package->files, VfPackageFile, i));
  for (guint i = 0; i < package->entry_points->len; i++)
    put_entry_point (out, &g_array_index (package->entry_points, VfEntryPoint, i));

  put_string (out, package->name);
  put_string (out, package->version);
  put_string (out, package->dist_info);
  for (guint i = 0; i < package->files->len; i++)
    put_string (out, g_array_index (package->files, VfPackageFile, i).path);
  for (guint i = 0; i < package->entry_points->len; i++) {
    const VfEntryPoint *entry_point = &g_array_index (package->entry_points, VfEntryPoint, i);
    put_string (out, entry_point->name);
    put_string (out, entry_point->module);
    put_string (out, entry_point->attribute);
  }
  return g_byte_array_free_to_bytes (out);
}

/* --- What is read --- */

/* The strings stand one after the other, in the order of the records that give their lengths. */
typedef struct {
  const guint8 *record;
  const char *string;
  gsize string_bytes; /* left from @string on */
} Reader;

/* NULL unless exactly @length bytes other than NUL and then a NUL are next. */
static const char *
next_string (Reader *reader, gsize length)
{
  const char *string = reader->string;
  if (length == 0 || length >= reader->string_bytes || memchr (string, 0, length) ||
      string[length] != '\0')
    return NULL;
  reader->string += length + 1;
  reader->string_bytes -= length + 1;
  return string;
}

gboolean
vf_package_check_path (const char *path, gsize length)
{
  if (length == 0 || length > PATH_MAX_BYTES)
    return FALSE;
  const char *end = path + length;
  for (guint n = 1; n <= SEGMENTS_MAX; n++) {
    const char *slash = memchr (path, '/', (gsize)(end - path));
    gsize segment = (gsize)((slash ? slash : end) - path);
    if (segment == 0 || segment > SEGMENT_MAX_BYTES || (segment == 1 && path[0] == '.') ||
        (segment == 2 && path[0] == '.' && path[1] == '.'))
      return FALSE;
    if (!slash)
      return TRUE;
    path = slash + 1;
  }
  return FALSE;
}

static gboolean
is_segment (const char *name, gsize length)
{
  return !memchr (name, '/', length) && vf_package_check_path (name, length);
}

/* What a Python file may say between `from` and `import`: never anything that could end the
 * statement. Identifiers are not restricted to ASCII. */
gboolean
vf_package_check_dotted (const char *name, gsize length)
{
  gboolean at_start = TRUE;
  for (gsize i = 0; i < length; i++) {
    char c = name[i];
    if (c == '.' && at_start)
      return FALSE;
    if (c != '.' && c != '_' && !g_ascii_isalpha (c) && (guint8)c < 0x80 &&
        (at_start || !g_ascii_isdigit (c)))
      return FALSE;
    at_start = c == '.';
  }
  return !at_start;
}

static const char *
parse_files (Reader *reader, VfPackage *package, guint32 n)
{
  g_array_set_size (package->files, n);
  VfPackageFile *files = (VfPackageFile *)package->files->data;
  for (guint32 i = 0; i < n; i++, reader->record += FILE_BYTES) {
    const guint8 *record = reader->record;
    guint8 scheme = record[40], bits = record[41];
    guint16 length = vf_get_u16 (record + 42);
    const char *path = next_string (reader, length);
    if (!path || !vf_package_check_path (path, length))
      return "a file's path";
    if (scheme > VF_SCHEME_DATA || (bits & ~(FILE_EXECUTABLE | FILE_SCRIPT)) ||
        ((bits & FILE_SCRIPT) && scheme != VF_SCHEME_SCRIPTS))
      return "a file's record";
    VfPackageFile *file = &files[i];
    memcpy (file->digest.bytes, record, VF_DIGEST_BYTES);
    file->size = vf_get_u64 (record + VF_DIGEST_BYTES);
    file->scheme = scheme;
    file->mode = bits & FILE_EXECUTABLE ? 0755 : 0644;
    file->flags = bits & FILE_SCRIPT ? VF_PACKAGE_FILE_PYTHON_SCRIPT : 0;
    file->path = path;
    if (i > 0 && compare_files (&files[i - 1], file) >= 0)
      return "the order of files";
  }
  return NULL;
}

static const char *
parse_entry_points (Reader *reader, VfPackage *package, guint32 n)
{
  g_array_set_size (package->entry_points, n);
  VfEntryPoint *entry_points = (VfEntryPoint *)package->entry_points->data;
  for (guint32 i = 0; i < n; i++, reader->record += ENTRY_POINT_BYTES) {
    const guint8 *record = reader->record;
    VfEntryPoint *entry_point = &entry_points[i];
    entry_point->gui = vf_get_u16 (record);
    entry_point->name = next_string (reader, vf_get_u16 (record + 2));
    entry_point->module = next_string (reader, vf_get_u16 (record + 4));
    entry_point->attribute = next_string (reader, vf_get_u16 (record + 6));
    if (vf_get_u16 (record) > 1 || !entry_point->name || !entry_point->module ||
        !entry_point->attribute || !is_segment (entry_point->name, vf_get_u16 (record + 2)) ||
        !vf_package_check_dotted (entry_point->module, vf_get_u16 (record + 4)) ||
        !vf_package_check_dotted (entry_point->attribute, vf_get_u16 (record + 6)))
      return "an entry point";
    if (i > 0 && compare_entry_points (&entry_points[i - 1], entry_point) >= 0)
      return "the order of entry points";
  }
  return NULL;
}

/* NULL, or what is wrong. */
static const char *
parse_header (Reader *reader, VfPackage *package, const guint8 *header)
{
  gsize name = vf_get_u16 (header + 20), version = vf_get_u16 (header + 22);
  gsize dist_info = vf_get_u16 (header + 24);
  const char *strings[3];
  if (vf_get_u32 (header + 8) & ~HEADER_PURELIB || vf_get_u16 (header + 26) != 0)
    return "the header";
  if (!(strings[0] = next_string (reader, name)) || !(strings[1] = next_string (reader, version)) ||
      !(strings[2] = next_string (reader, dist_info)))
    return "the names in the header";
  if (!is_segment (strings[2], dist_info) || !g_str_has_suffix (strings[2], ".dist-info"))
    return "the name of the .dist-info directory";
  package->root_is_purelib = vf_get_u32 (header + 8) & HEADER_PURELIB;
  package->name = g_strdup (strings[0]);
  package->version = g_strdup (strings[1]);
  package->dist_info = g_strdup (strings[2]);
  return NULL;
}

static const char *
parse_body (VfPackage *package, const guint8 *data, gsize length)
{
  if (length < HEADER_BYTES || memcmp (data, MAGIC, MAGIC_BYTES) != 0)
    return "the header";
  guint32 n_files = vf_get_u32 (data + 12), n_entry_points = vf_get_u32 (data + 16);
  guint64 strings_at =
      HEADER_BYTES + (guint64)n_files * FILE_BYTES + (guint64)n_entry_points * ENTRY_POINT_BYTES;
  if (strings_at > length)
    return "the number of files";

  Reader reader = {
      .record = data + HEADER_BYTES,
      .string = (const char *)data + strings_at,
      .string_bytes = length - (gsize)strings_at,
  };
  const char *wrong = parse_header (&reader, package, data);
  if (!wrong)
    wrong = parse_files (&reader, package, n_files);
  if (!wrong)
    wrong = parse_entry_points (&reader, package, n_entry_points);
  if (!wrong && reader.string_bytes != 0)
    wrong = "its length";
  return wrong;
}

VfPackage *
vf_package_parse (GBytes *bytes, const char *what, GError **error)
{
  gsize length = 0;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  g_autoptr (VfPackage) package = g_new0 (VfPackage, 1);
  package->files = g_array_new (FALSE, FALSE, sizeof (VfPackageFile));
  package->entry_points = g_array_new (FALSE, FALSE, sizeof (VfEntryPoint));
  package->bytes = g_bytes_ref (bytes);
  const char *wrong = parse_body (package, data, length);
  if (wrong) {
    vf_error_set (error, VF_ERROR_DAMAGED,
                  "%s: damaged package index: %s is wrong; run venvfs fsck", what, wrong);
    return NULL;
  }
  return g_steal_pointer (&package);
}

char *
vf_package_normalize_name (const char *name)
{
  GString *out = g_string_sized_new (strlen (name));
  for (; *name; name++) {
    gboolean separator = *name == '-' || *name == '_' || *name == '.';
    if (!separator)
      g_string_append_c (out, g_ascii_tolower (*name));
    else if (out->len == 0 || out->str[out->len - 1] != '-')
      g_string_append_c (out, '-');
  }
  return g_string_free (out, FALSE);
}

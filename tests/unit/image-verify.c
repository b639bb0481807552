#include "layers/image.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "layers/io.h"
#include "layers/tree.h"

/* Writes a small image into a new directory and reads it back. */
static char *
make_image (gsize *out_length)
{
  g_autofree char *path = g_dir_make_tmp ("venvfs-image-verify-XXXXXX", NULL);
  VF_AUTOFD fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (GError) error = NULL;
  const VfDigest id = {"id"};
  vf_tree_add_inline (tree, "a/one", 0644, "1", 1, NULL);
  vf_tree_add_inline (tree, "a/two", 0644, "2", 1, NULL);
  vf_tree_add_directory (tree, "b", 0755, NULL);
  g_assert_true (vf_tree_write_image (tree, &id, fd, "image", &error));
  g_autoptr (GBytes) bytes = vf_read_file (fd, "image", G_MAXINT, "image", &error);
  g_assert_no_error (error);
  g_assert_true (vf_remove_tree (AT_FDCWD, path, path, &error));
  *out_length = g_bytes_get_size (bytes);
  return g_memdup2 (g_bytes_get_data (bytes, NULL), *out_length);
}

/* Opens the bytes under right checksums. */
static VfImage *
open_sealed (char *data, gsize length, gboolean seal)
{
  VfImageHeader *header = (gpointer)data;
  g_autoptr (GError) error = NULL;
  if (seal)
    vf_digest_of (data + sizeof *header, length - sizeof *header, &header->body);
  vf_digest_of (data, G_STRUCT_OFFSET (VfImageHeader, checksum), &header->checksum);
  g_autofree char *path = NULL;
  VF_AUTOFD fd = g_file_open_tmp ("venvfs-image-verify-XXXXXX", &path, &error);
  g_assert_true (vf_write_all (fd, data, length, path, &error));
  VfImage *image = vf_image_open (AT_FDCWD, path, &error);
  g_assert_no_error (error);
  unlink (path);
  return image;
}

static void
assert_problem (char *data, gsize length, const char *problem)
{
  g_autoptr (VfImage) image = open_sealed (data, length, TRUE);
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_image_verify (image, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  if (!strstr (error->message, problem))
    g_error ("'%s' does not say '%s'", error->message, problem);
}

static VfImageRecord *
records_of (char *data)
{
  return (gpointer)(data + ((VfImageHeader *)data)->sections[VF_SECTION_NODES].offset);
}

static guint32
find_index (char *data, gsize length, const char *path)
{
  g_autoptr (VfImage) image = open_sealed (data, length, TRUE);
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, path, &node), ==, 0);
  return node.index;
}

static void
test_checksum (void)
{
  gsize length;
  g_autofree char *data = make_image (&length);
  g_autoptr (VfImage) good = open_sealed (data, length, FALSE);
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_image_verify (good, &error));
  ((VfImageHeader *)data)->body.bytes[0] ^= 1;
  g_autoptr (VfImage) bad = open_sealed (data, length, FALSE);
  g_assert_false (vf_image_verify (bad, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_nonnull (strstr (error->message, "checksum of its header"));
}

static void
test_order (void)
{
  gsize length;
  g_autofree char *data = make_image (&length);
  VfImageRecord *one = records_of (data) + 3, copy = one[0];
  one[0] = one[1];
  one[1] = copy;
  guint32 *indexes =
      (gpointer)(data + ((VfImageHeader *)data)->sections[VF_SECTION_INDEXES].offset);
  for (guint32 i = 0; i < 5; i++)
    indexes[i] = indexes[i] == 3 ? 4 : indexes[i] == 4 ? 3 : indexes[i];
  assert_problem (data, length, "not in order");
}

static void
test_each_hash (void)
{
  gsize length;
  g_autofree char *data = make_image (&length);
  VfImageRecord *records = records_of (data);
  guint32 one = find_index (data, length, "a/one"), a = find_index (data, length, "a");

  records[one].mtime ^= 1;
  assert_problem (data, length, "a wrong time");
  records[one].mtime ^= 1;
  records[a].mtime ^= 1;
  assert_problem (data, length, "a wrong time");
  records[a].mtime ^= 1;
  records[one].name_hash ^= 1;
  assert_problem (data, length, "a wrong name hash");
  records[one].name_hash ^= 1;
  records[0].name_hash = 1;
  assert_problem (data, length, "the root has a name hash");
  records[0].name_hash = 0;
  records[a].size ^= G_GUINT64_CONSTANT (1) << 32;
  assert_problem (data, length, "a wrong number of subdirectories");
  records[a].size ^= G_GUINT64_CONSTANT (1) << 32;

  char *inlined = data + ((VfImageHeader *)data)->sections[VF_SECTION_DATA].offset +
                  records[one].content * VF_IMAGE_ALIGN + sizeof (VfImageInline);
  inlined[0] ^= 1;
  assert_problem (data, length, "does not have its digest");
  inlined[0] ^= 1;
  vf_digest_of (data, 1, (VfDigest *)(inlined - sizeof (VfImageInline)));
  assert_problem (data, length, "a wrong id");
}

static void
test_structure (void)
{
  gsize length;
  g_autofree char *data = make_image (&length);
  VfImageRecord *records = records_of (data);
  guint32 one = find_index (data, length, "a/one"), a = find_index (data, length, "a");

  records[a].size -= 1;
  assert_problem (data, length, "a wrong time");
  records[a].size += 1;
  records[one].parent = 0;
  assert_problem (data, length, "a child of it is damaged");
  records[one].parent = a;
  records[a].content--;
  assert_problem (data, length, "not where they belong");
  records[a].content++;
  guint64 *ids = (gpointer)(data + ((VfImageHeader *)data)->sections[VF_SECTION_IDS].offset);
  ids[2]++;
  assert_problem (data, length, "index of ids is wrong at 2");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image-verify/checksum", test_checksum);
  g_test_add_func ("/image-verify/order", test_order);
  g_test_add_func ("/image-verify/each-hash", test_each_hash);
  g_test_add_func ("/image-verify/structure", test_structure);
  return g_test_run ();
}

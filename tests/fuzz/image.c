/* Images: whatever the bytes, every call answers or refuses; and what the verification passes,
 * every node of is found again by its id, its name and its place. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layers/image-format.h"
#include "layers/io.h"

static void
require (gboolean condition)
{
  if (!condition)
    abort ();
}

/* Under right checksums, so that what they guard is reached. */
static VfImage *
open_sealed (const uint8_t *data, size_t size)
{
  g_autofree char *path = NULL;
  g_autofree uint8_t *copy = g_memdup2 (data, size);
  VF_AUTOFD fd = g_file_open_tmp ("venvfs-fuzz-XXXXXX", &path, NULL);
  VfImageHeader *header = (gpointer)copy;
  if (size >= sizeof *header) {
    header->file_bytes = size;
    vf_digest_of (copy + sizeof *header, size - sizeof *header, &header->body);
    vf_digest_of (copy, G_STRUCT_OFFSET (VfImageHeader, checksum), &header->checksum);
  }
  require (fd >= 0 && vf_write_all (fd, copy, size, path, NULL));
  VfImage *image = vf_image_open (AT_FDCWD, path, NULL);
  unlink (path);
  return image;
}

static void
visit (VfImage *image, guint32 index, gboolean whole)
{
  VfImageNode node, other;
  guint32 child;
  unsigned sum = 0;
  int result = vf_image_get (image, index, &node);
  vf_image_seek (image, index, index, &child);
  vf_image_lookup (image, index, "lib", 3, &other);
  require (result == 0 || !whole);
  if (result < 0)
    return;
  for (guint64 i = 0; node.data && i < node.size; i++)
    sum += (unsigned char)node.data[i];
  require (strlen (node.name) == node.name_length && sum <= node.size * 255);
  result = vf_image_find (image, node.id, &other);
  require (!whole || (result == 0 && other.index == index));
  if (index == 0)
    return;
  result = vf_image_lookup (image, node.parent, node.name, node.name_length, &other);
  require (!whole || (result == 0 && other.index == index));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  if (size > 1u << 20)
    return 0;
  g_autoptr (VfImage) image = open_sealed (data, size);
  if (!image)
    return 0;
  gboolean whole = vf_image_verify (image, NULL);
  for (guint32 i = 0; i < vf_image_n_nodes (image); i++)
    visit (image, i, whole);
  require (vf_image_status (image) == 0);
  return 0;
}

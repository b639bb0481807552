/* Reading an image: decoding records in place, by index, id, name and position.
 *
 * Nothing in the mapping is believed. Every offset and index is checked against the sections'
 * bounds, which vf_image_open() copied out of the header (the mapping may change under us, the copy
 * does not). Every answer ends with vf_image_status(): if a page could not be read, what was
 * decoded were zeros, and the answer is -EIO. No function here allocates, locks or follows more
 * than one link between records, but for vf_image_lookup_path(), whose steps the path bounds. */
#include "layers/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "layers/image-map.h"
#include "layers/io.h"

struct VfImage {
  gint references; /* atomic */
  VfImageMap *map;
  VfImageHeader header; /* a copy, checked */
  const VfImageRecord *nodes;
  const guint64 *ids;
  const guint32 *indexes;
  const VfDigest *digests;
  const char *strings;
  const char *data;
  char *what;
};

/* The length that section must have at least, as the counts say; 0 where any will do. */
static guint64
section_minimum (const VfImageHeader *header, guint section)
{
  switch (section) {
  case VF_SECTION_NODES:
    return (guint64)header->n_nodes * sizeof (VfImageRecord);
  case VF_SECTION_IDS:
    return (guint64)header->n_nodes * sizeof (guint64);
  case VF_SECTION_INDEXES:
    return (guint64)header->n_nodes * sizeof (guint32);
  case VF_SECTION_DIGESTS:
    return (guint64)header->n_digests * sizeof (VfDigest);
  default:
    return 0;
  }
}

static gboolean
check_header (const VfImageHeader *header, guint64 file_bytes, const char *what, GError **error)
{
  VfDigest checksum;

  if (memcmp (header->magic, VF_IMAGE_MAGIC, sizeof header->magic) != 0)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: not an image", what);
  if (header->version > VF_IMAGE_VERSION)
    return vf_error_set (
        error, VF_ERROR_NEWER,
        "%s: image version %u is newer than this venvfs knows (%u): upgrade venvfs", what,
        header->version, VF_IMAGE_VERSION);
  vf_digest_of (header, G_STRUCT_OFFSET (VfImageHeader, checksum), &checksum);
  if (!vf_digest_equal (&checksum, &header->checksum))
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: the header is damaged", what);
  if (header->version != VF_IMAGE_VERSION || header->header_bytes != sizeof *header)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: no such image version", what);
  if (header->file_bytes != file_bytes)
    return vf_error_set (error, VF_ERROR_DAMAGED,
                         "%s: %" G_GUINT64_FORMAT " bytes instead of %" G_GUINT64_FORMAT, what,
                         file_bytes, header->file_bytes);
  if (header->n_nodes == 0 || header->n_nodes > VF_IMAGE_MAX_NODES)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: %u nodes", what, header->n_nodes);
  for (guint i = 0; i < VF_N_SECTIONS; i++) {
    const VfImageSection *section = &header->sections[i];
    if (section->offset % VF_IMAGE_ALIGN != 0 || section->offset < sizeof *header ||
        section->offset > file_bytes || section->length > file_bytes - section->offset ||
        section->length < section_minimum (header, i))
      return vf_error_set (error, VF_ERROR_DAMAGED, "%s: section %u is out of bounds", what, i);
  }
  return TRUE;
}

static const void *
section_data (const VfImage *image, guint section)
{
  return (const char *)vf_image_map_data (image->map) + image->header.sections[section].offset;
}

static VfImage *
open_map (VfImageMap *map, guint64 file_bytes, const char *what, GError **error)
{
  VfImageHeader header;
  memcpy (&header, vf_image_map_data (map), sizeof header);
  if (vf_image_map_bad (map)) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: cannot be read", what);
    return NULL;
  }
  if (!check_header (&header, file_bytes, what, error))
    return NULL;
  VfImage *image = g_new0 (VfImage, 1);
  image->references = 1;
  image->map = map;
  image->header = header;
  image->nodes = section_data (image, VF_SECTION_NODES);
  image->ids = section_data (image, VF_SECTION_IDS);
  image->indexes = section_data (image, VF_SECTION_INDEXES);
  image->digests = section_data (image, VF_SECTION_DIGESTS);
  image->strings = section_data (image, VF_SECTION_STRINGS);
  image->data = section_data (image, VF_SECTION_DATA);
  image->what = g_strdup (what);
  return image;
}

VfImage *
vf_image_open (int dir_fd, const char *path, GError **error)
{
  struct stat st;
  VF_AUTOFD fd = openat (dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 || fstat (fd, &st) < 0) {
    vf_error_errno (error, errno, "%s: cannot open the image", path);
    return NULL;
  }
  if (!S_ISREG (st.st_mode) || st.st_size < (goffset)sizeof (VfImageHeader)) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: not an image", path);
    return NULL;
  }
  VfImageMap *map = vf_image_map_new (fd, (gsize)st.st_size);
  if (!map) {
    vf_error_errno (error, errno, "%s: cannot map the image", path);
    return NULL;
  }
  VfImage *image = open_map (map, (guint64)st.st_size, path, error);
  if (!image)
    vf_image_map_free (map);
  return image;
}

VfImage *
vf_image_ref (VfImage *image)
{
  g_atomic_int_inc (&image->references);
  return image;
}

void
vf_image_unref (VfImage *image)
{
  if (!g_atomic_int_dec_and_test (&image->references))
    return;
  vf_image_map_free (image->map);
  g_free (image->what);
  g_free (image);
}

/* Of a file that was cut in the middle of a page, the rest of that page reads as zeros and gives no
 * signal. The last byte gives one, wherever the file was cut before its last page. */
int
vf_image_status (const VfImage *image)
{
  const volatile guint8 *data = vf_image_map_data (image->map);
  (void)data[image->header.file_bytes - 1];
  return vf_image_map_bad (image->map) ? -EIO : 0;
}

const VfDigest *
vf_image_id (const VfImage *image)
{
  return &image->header.id;
}

guint32
vf_image_n_nodes (const VfImage *image)
{
  return image->header.n_nodes;
}

const VfImageHeader *
vf_image_header (const VfImage *image)
{
  return &image->header;
}

const void *
vf_image_section (const VfImage *image, guint section)
{
  return section_data (image, section);
}

const char *
vf_image_what (const VfImage *image)
{
  return image->what;
}

/* TRUE when the name lies in the heap, ends where it should and is one that a directory may show.
 */
static gboolean
decode_name (const VfImage *image, const VfImageRecord *record, VfImageNode *node)
{
  guint64 end = (guint64)record->name + record->name_length;
  if (end >= image->header.sections[VF_SECTION_STRINGS].length)
    return FALSE;
  const char *name = image->strings + record->name;
  gsize length = record->name_length;
  node->name = name;
  node->name_length = record->name_length;
  if (name[length] != '\0' || memchr (name, '\0', length) || memchr (name, '/', length))
    return FALSE;
  if (node->index == 0)
    return length == 0;
  if (length == 0 || (length <= 2 && memcmp (name, "..", length) == 0))
    return FALSE;
  return TRUE;
}

static gboolean
decode_directory (const VfImage *image, const VfImageRecord *record, VfImageNode *node)
{
  node->first_child = record->content;
  node->n_children = (guint32)record->size;
  node->n_directories = (guint32)(record->size >> 32);
  if (node->n_children == 0)
    node->first_child = image->header.n_nodes;
  return node->first_child > node->index && node->first_child <= image->header.n_nodes &&
         node->n_children <= image->header.n_nodes - node->first_child &&
         node->n_directories <= node->n_children && !(record->type & VF_RECORD_OBJECT);
}

static gboolean
decode_content (const VfImage *image, const VfImageRecord *record, VfImageNode *node)
{
  node->size = record->size;
  if (record->size > G_MAXINT64)
    return FALSE;
  if (record->type & VF_RECORD_OBJECT) {
    if (node->type != VF_NODE_FILE || record->content >= image->header.n_digests)
      return FALSE;
    node->has_digest = TRUE;
    memcpy (&node->digest, &image->digests[record->content], sizeof node->digest);
    return TRUE;
  }
  guint64 offset = (guint64)record->content * VF_IMAGE_ALIGN;
  guint64 length = image->header.sections[VF_SECTION_DATA].length;
  if (offset > length || length - offset < sizeof (VfImageInline) ||
      length - offset - sizeof (VfImageInline) < record->size)
    return FALSE;
  memcpy (&node->digest, image->data + offset, sizeof node->digest);
  node->data = image->data + offset + sizeof (VfImageInline);
  if (node->type == VF_NODE_SYMLINK)
    return node->size > 0 && node->size <= VF_IMAGE_MAX_SYMLINK &&
           !memchr (node->data, '\0', node->size);
  return TRUE;
}

static gboolean
decode (const VfImage *image, guint32 index, VfImageNode *node)
{
  const VfImageRecord record = image->nodes[index];
  memset (node, 0, sizeof *node);
  node->index = index;
  node->parent = record.parent;
  node->id = record.id;
  node->type = record.type & VF_RECORD_TYPE_MASK;
  node->mode = record.mode;
  node->mtime = VF_IMAGE_EPOCH + record.mtime;
  if (index == 0 ? node->parent != 0 || node->type != VF_NODE_DIRECTORY : node->parent >= index)
    return FALSE;
  if (node->id >> VF_IMAGE_ID_BITS != 0 || node->id == 0 ||
      (node->id == VF_IMAGE_ROOT_ID) != (index == 0))
    return FALSE;
  if ((node->mode & ~07777u) != 0 || record.mtime >> VF_IMAGE_MTIME_BITS != 0)
    return FALSE;
  if ((record.type & ~(VF_RECORD_TYPE_MASK | VF_RECORD_OBJECT)) != 0 || record.zero != 0)
    return FALSE;
  if (!decode_name (image, &record, node))
    return FALSE;
  switch (node->type) {
  case VF_NODE_DIRECTORY:
    return decode_directory (image, &record, node);
  case VF_NODE_FILE:
  case VF_NODE_SYMLINK:
  case VF_NODE_VIEW:
    return decode_content (image, &record, node);
  default:
    return FALSE;
  }
}

int
vf_image_get (VfImage *image, guint32 index, VfImageNode *out_node)
{
  if (index >= image->header.n_nodes)
    return -EIO;
  gboolean ok = decode (image, index, out_node);
  return ok ? vf_image_status (image) : -EIO;
}

int
vf_image_find (VfImage *image, guint64 id, VfImageNode *out_node)
{
  guint32 low = 0, high = image->header.n_nodes;
  while (low < high) {
    guint32 middle = low + (high - low) / 2;
    if (image->ids[middle] < id)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == image->header.n_nodes || image->ids[low] != id) {
    int status = vf_image_status (image);
    return status < 0 ? status : -ENOENT;
  }
  int result = vf_image_get (image, image->indexes[low], out_node);
  if (result < 0)
    return result;
  return out_node->id == id ? 0 : -EIO;
}

/* The children of @directory, as far as its own record is whole. */
static int
get_family (VfImage *image, guint32 directory, guint32 *out_first, guint32 *out_end)
{
  VfImageNode node;
  int result = vf_image_get (image, directory, &node);
  if (result < 0)
    return result;
  if (node.type != VF_NODE_DIRECTORY)
    return -ENOTDIR;
  *out_first = node.first_child;
  *out_end = node.first_child + node.n_children;
  return 0;
}

/* The first index in [low, end) whose name hash is greater than @after. */
static guint32
seek_hash (const VfImage *image, guint32 low, guint32 end, guint64 after)
{
  while (low < end) {
    guint32 middle = low + (end - low) / 2;
    if (image->nodes[middle].name_hash <= after)
      low = middle + 1;
    else
      end = middle;
  }
  return low;
}

int
vf_image_lookup (VfImage *image, guint32 directory, const char *name, gsize length,
                 VfImageNode *out_node)
{
  guint32 first, end;
  int result = get_family (image, directory, &first, &end);
  if (result < 0)
    return result;
  guint64 hash = vf_name_hash (name, length);
  /* hash - 1 cannot wrap: no hash is less than 16 */
  for (guint32 i = seek_hash (image, first, end, hash - 1);
       i < end && image->nodes[i].name_hash == hash; i++) {
    result = vf_image_get (image, i, out_node);
    if (result < 0)
      return result;
    if (out_node->name_length == length && memcmp (out_node->name, name, length) == 0)
      return out_node->parent == directory ? vf_image_status (image) : -EIO;
  }
  result = vf_image_status (image);
  return result < 0 ? result : -ENOENT;
}

int
vf_image_seek (VfImage *image, guint32 directory, guint64 after, guint32 *out_index)
{
  guint32 first, end;
  int result = get_family (image, directory, &first, &end);
  if (result < 0)
    return result;
  *out_index = after == 0 ? first : seek_hash (image, first, end, after);
  return vf_image_status (image);
}

int
vf_image_lookup_path (VfImage *image, const char *path, VfImageNode *out_node)
{
  int result = vf_image_get (image, 0, out_node);
  while (result == 0 && *path) {
    gsize length = strcspn (path, "/");
    result = vf_image_lookup (image, out_node->index, path, length, out_node);
    path += length + (path[length] == '/');
  }
  return result;
}

char *
vf_image_path_of (VfImage *image, const VfImageNode *node)
{
  g_autoptr (GString) path = g_string_new (NULL);
  VfImageNode at = *node;
  while (at.id != VF_IMAGE_ROOT_ID) {
    if (path->len > 0)
      g_string_prepend_c (path, '/');
    g_string_prepend (path, at.name);
    if (vf_image_get (image, at.parent, &at) < 0)
      return NULL;
  }
  return g_string_free (g_steal_pointer (&path), FALSE);
}

/* Writing an image: the bytes of a layout, in one pass from the first to the last (image-format.h).
 *
 * Nothing but the layout and a small buffer is held in memory: touching new pages is what costs
 * most here. The header, which has the body's checksum, is written last. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "layers/image-layout.h"
#include "layers/io.h"

#define BUFFER_BYTES (64u << 10)
#define START_BYTES  (1u << 20) /* written, before the disk is told to begin */

/* --- The body, hashed as it is written --- */

typedef struct {
  int fd;
  const char *what;
  VfHasher *hasher; /* owned */
  guint8 *buffer;   /* owned; BUFFER_BYTES */
  gsize used;
  gsize waiting;  /* bytes written that the disk was not told of */
  guint64 offset; /* in the file, of what comes next */
  GError *error;  /* the first one; nothing is written after it */
} VfOutput;

static void
output_clear (VfOutput *out)
{
  vf_hasher_free (out->hasher);
  g_free (out->buffer);
  g_clear_error (&out->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfOutput, output_clear)

static void
output_write (VfOutput *out, const void *data, gsize length)
{
  if (out->error)
    return;
  vf_hasher_update (out->hasher, data, length);
  if (!vf_write_all (out->fd, data, length, out->what, &out->error))
    return;
  out->waiting += length;
  if (out->waiting < START_BYTES)
    return;
  sync_file_range (out->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* begins what the fsync waits for */
  out->waiting = 0;
}

static void
output_flush (VfOutput *out)
{
  output_write (out, out->buffer, out->used);
  out->used = 0;
}

static void
output_append (VfOutput *out, const void *data, gsize length)
{
  if (length == 0)
    return; /* an empty content has no address */
  out->offset += length;
  if (out->used + length > BUFFER_BYTES)
    output_flush (out);
  if (length > BUFFER_BYTES) {
    output_write (out, data, length);
    return;
  }
  memcpy (out->buffer + out->used, data, length);
  out->used += length;
}

/* Zeros up to @offset, a few. */
static void
output_pad (VfOutput *out, guint64 offset)
{
  static const guint8 zeros[VF_IMAGE_ALIGN];
  output_append (out, zeros, offset - out->offset);
}

/* --- What the sections hold --- */

/* Names in the order of the nodes, each once. @out_offsets by index. */
static GByteArray *
collect_names (const VfLayout *layout, guint32 *out_offsets)
{
  guint32 n_slots = 1u << (g_bit_storage (layout->n) + 1);
  g_autofree guint32 *slots = g_new0 (guint32, n_slots); /* index + 1 of the first of that name */
  GByteArray *strings = g_byte_array_new ();
  for (guint32 i = 0; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    guint32 slot = (guint32)node->name_hash & (n_slots - 1);
    while (slots[slot] != 0 && strcmp (layout->nodes[slots[slot] - 1]->name, node->name) != 0)
      slot = (slot + 1) & (n_slots - 1);
    if (slots[slot] == 0) {
      slots[slot] = i + 1;
      out_offsets[i] = strings->len;
      g_byte_array_append (strings, (const guint8 *)node->name, node->name_length + 1u);
    } else {
      out_offsets[i] = out_offsets[slots[slot] - 1];
    }
  }
  return strings;
}

static guint64
align (guint64 offset)
{
  return (offset + VF_IMAGE_ALIGN - 1) / VF_IMAGE_ALIGN * VF_IMAGE_ALIGN;
}

static gboolean
is_inline (const VfTreeNode *node)
{
  return node->type != VF_NODE_DIRECTORY && !node->object;
}

static void
place_sections (const VfLayout *layout, guint64 strings_bytes, VfImageHeader *header)
{
  guint64 data_bytes = 0;
  header->n_nodes = layout->n;
  for (guint32 i = 0; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    header->n_digests += node->object;
    if (is_inline (node))
      data_bytes += align (sizeof (VfImageInline) + node->size);
  }
  header->sections[VF_SECTION_NODES].length = layout->n * sizeof (VfImageRecord);
  header->sections[VF_SECTION_IDS].length = layout->n * sizeof (guint64);
  header->sections[VF_SECTION_INDEXES].length = layout->n * sizeof (guint32);
  header->sections[VF_SECTION_DIGESTS].length = header->n_digests * sizeof (VfDigest);
  header->sections[VF_SECTION_STRINGS].length = strings_bytes;
  header->sections[VF_SECTION_DATA].length = data_bytes;
  guint64 offset = align (sizeof *header);
  for (guint i = 0; i < VF_N_SECTIONS; i++) {
    header->sections[i].offset = offset;
    offset = align (offset + header->sections[i].length);
  }
  header->file_bytes = offset;
}

/* Of a directory: from the ids of its children. */
static guint32
mtime_of (const VfLayout *layout, guint32 index)
{
  const VfTreeNode *node = layout->nodes[index];
  if (node->type != VF_NODE_DIRECTORY)
    return vf_image_mtime_of (&node->digest);
  VfDigest listing;
  vf_hasher_update (layout->tree->hasher, layout->ids + layout->first_children[index],
                    layout->n_children[index] * sizeof (guint64));
  vf_hasher_finish (layout->tree->hasher, &listing);
  return vf_image_mtime_of (&listing);
}

static void
put_nodes (VfOutput *out, const VfLayout *layout, const guint32 *names)
{
  guint32 n_digests = 0;
  guint64 used = 0; /* bytes of the data section */
  for (guint32 i = 0; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    VfImageRecord record = {
        .name_hash = node->name_hash,
        .id = layout->ids[i],
        .size = node->size,
        .parent = layout->parents[i],
        .name = names[i],
        .mtime = mtime_of (layout, i),
        .mode = node->mode,
        .name_length = node->name_length,
        .type = node->type,
    };
    if (node->type == VF_NODE_DIRECTORY) {
      record.content = layout->first_children[i];
      record.size = layout->n_children[i] | (guint64)layout->n_directories[i] << 32;
    } else if (node->object) {
      record.type |= VF_RECORD_OBJECT;
      record.content = n_digests++;
    } else {
      record.content = (guint32)(used / VF_IMAGE_ALIGN);
      used += align (sizeof (VfImageInline) + node->size);
    }
    output_append (out, &record, sizeof record);
  }
}

static void
put_data (VfOutput *out, const VfLayout *layout)
{
  for (guint32 i = 0; i < layout->n; i++) {
    const VfTreeNode *node = layout->nodes[i];
    if (!is_inline (node))
      continue;
    const VfImageInline head = {node->digest};
    output_append (out, &head, sizeof head);
    output_append (out, node->data, node->size);
    output_pad (out, align (out->offset));
  }
}

static void
put_section (VfOutput *out, const VfLayout *layout, guint section, const guint32 *names,
             const GByteArray *strings)
{
  switch (section) {
  case VF_SECTION_NODES:
    put_nodes (out, layout, names);
    break;
  case VF_SECTION_IDS:
    for (guint32 i = 0; i < layout->n; i++)
      output_append (out, &layout->sorted[i].id, sizeof (guint64));
    break;
  case VF_SECTION_INDEXES:
    for (guint32 i = 0; i < layout->n; i++)
      output_append (out, &layout->sorted[i].index, sizeof (guint32));
    break;
  case VF_SECTION_DIGESTS:
    for (guint32 i = 0; i < layout->n; i++)
      if (layout->nodes[i]->object)
        output_append (out, &layout->nodes[i]->digest, sizeof (VfDigest));
    break;
  case VF_SECTION_STRINGS:
    output_append (out, strings->data, strings->len);
    break;
  default:
    put_data (out, layout);
  }
}

/* @header: all but the checksums. */
static gboolean
write_file (int fd, const VfLayout *layout, VfImageHeader *header, const guint32 *names,
            const GByteArray *strings, const char *what, GError **error)
{
  g_auto (VfOutput) out = {
      .fd = fd,
      .what = what,
      .hasher = vf_hasher_new (),
      .buffer = g_malloc (BUFFER_BYTES),
      .offset = sizeof *header,
  };
  if (lseek (fd, sizeof *header, SEEK_SET) < 0)
    return vf_error_errno (error, errno, "%s: cannot seek", what);
  for (guint i = 0; i < VF_N_SECTIONS; i++) {
    output_pad (&out, header->sections[i].offset);
    put_section (&out, layout, i, names, strings);
  }
  output_pad (&out, header->file_bytes);
  output_flush (&out);
  if (out.error) {
    g_propagate_error (error, g_steal_pointer (&out.error));
    return FALSE;
  }
  vf_hasher_finish (out.hasher, &header->body);
  vf_digest_of (header, G_STRUCT_OFFSET (VfImageHeader, checksum), &header->checksum);
  if (lseek (fd, 0, SEEK_SET) < 0)
    return vf_error_errno (error, errno, "%s: cannot seek", what);
  if (!vf_write_all (fd, header, sizeof *header, what, error))
    return FALSE;
  return fsync (fd) == 0 || vf_error_errno (error, errno, "%s: cannot write the image", what);
}

gboolean
vf_tree_write_image (VfTree *tree, const VfDigest *id, int dir_fd, const char *name, GError **error)
{
  g_auto (VfLayout) layout = {0};
  VfImageHeader header = {.version = VF_IMAGE_VERSION, .header_bytes = sizeof header, .id = *id};
  if (!vf_layout_init (&layout, tree, name, error))
    return FALSE;
  g_autofree guint32 *names = g_new (guint32, layout.n);
  g_autoptr (GByteArray) strings = collect_names (&layout, names);
  memcpy (header.magic, VF_IMAGE_MAGIC, sizeof header.magic);
  place_sections (&layout, strings->len, &header);
  if (layout.n > VF_IMAGE_MAX_NODES ||
      header.sections[VF_SECTION_DATA].length / VF_IMAGE_ALIGN > G_MAXUINT32)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: too large for one image", name);
  VF_AUTOFD fd = openat (dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (fd < 0 || fchmod (fd, 0444) < 0) /* whatever the umask */
    return vf_error_errno (error, errno, "%s: cannot create the image", name);
  return write_file (fd, &layout, &header, names, strings, name, error);
}

/* image-dump FILE [MOUNT_POINT PROMPT]: what an image holds, one line a node, sorted by path, to be
 * compared:
 *
 *   type mode size digest path        f 644 12 ba7816bf… lib/python3.13/site-packages/a.py
 *
 * type is d, f, l or v (a view); size and digest of a directory are "-", those of a view are of the
 * template, or with MOUNT_POINT and PROMPT of what is rendered. Odd bytes of paths are escaped. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "layers/image.h"
#include "layers/view.h"

typedef struct {
  VfImage *image;
  const VfViewContext *context; /* NULL: templates */
  GPtrArray *lines;
} Dump;

static gboolean
add_line (Dump *dump, const VfImageNode *node, const char *path)
{
  guint64 size = node->size;
  VfDigest digest = node->digest;
  char hex[VF_DIGEST_HEX + 1], line[160];
  g_autofree char *escaped = g_strescape (path, NULL);
  if (node->type == VF_NODE_DIRECTORY) {
    g_snprintf (line, sizeof line, "d %o - - ", node->mode);
    g_ptr_array_add (dump->lines, g_strconcat (escaped, "\t", line, NULL));
    return TRUE;
  }
  if (node->type == VF_NODE_VIEW && dump->context) {
    g_autoptr (GBytes) bytes = vf_view_render (node->data, node->size, dump->context);
    if (!bytes)
      return FALSE;
    size = g_bytes_get_size (bytes);
    vf_digest_of (g_bytes_get_data (bytes, NULL), size, &digest);
  }
  vf_digest_to_hex (&digest, hex);
  g_snprintf (line, sizeof line, "%c %o %" G_GUINT64_FORMAT " %s ", "?dflv"[node->type],
              node -> mode, size, hex);
  g_ptr_array_add (dump->lines, g_strconcat (escaped, "\t", line, NULL));
  return TRUE;
}

static gboolean
walk (Dump *dump, guint32 index, const char *path)
{
  VfImageNode node;
  if (vf_image_get (dump->image, index, &node) < 0 || !add_line (dump, &node, path))
    return FALSE;
  for (guint32 i = 0; i < node.n_children; i++) {
    VfImageNode child;
    if (vf_image_get (dump->image, node.first_child + i, &child) < 0)
      return FALSE;
    g_autofree char *child_path = g_strconcat (path, *path ? "/" : "", child.name, NULL);
    if (!walk (dump, node.first_child + i, child_path))
      return FALSE;
  }
  return TRUE;
}

static gint
compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  if (argc != 2 && argc != 4) {
    fprintf (stderr, "usage: image-dump FILE [MOUNT_POINT PROMPT]\n");
    return 2;
  }
  const VfViewContext context = {.mount_point = argv[2], .prompt = argc == 4 ? argv[3] : NULL};
  g_autoptr (VfImage) image = vf_image_open (AT_FDCWD, argv[1], &error);
  if (!image || !vf_image_verify (image, &error)) {
    fprintf (stderr, "%s\n", error->message);
    return 1;
  }
  Dump dump = {.image = image, .context = argc == 4 ? &context : NULL, .lines = lines};
  if (!walk (&dump, 0, "")) {
    fprintf (stderr, "%s: damaged\n", argv[1]);
    return 1;
  }
  g_ptr_array_sort (lines, compare_lines);
  for (guint i = 0; i < lines->len; i++) {
    char *tab = strchr (g_ptr_array_index (lines, i), '\t');
    *tab = '\0';
    printf ("%s%s\n", tab + 1, (const char *)g_ptr_array_index (lines, i));
  }
  return 0;
}

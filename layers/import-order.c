#include "layers/import-order.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "layers/imports.h"
#include "layers/io.h"
#include "layers/object.h"

#define CACHE_NAME   "__pycache__"
#define INIT_PREFIX  "__init__."
#define ROOT_NAME    "site-packages"
#define MODULE_BYTES (1 << 20) /* larger ones are data, which imports nothing */
#define MODULES_MAX  100000    /* that are followed: nothing is endless */
#define LEVELS_MAX   16        /* of packages in packages, likewise */
#define ASKED_MAX    100000    /* names in one module, likewise */

struct VfImportOrder {
  VfStore *store;  /* borrowed */
  VfImage *image;  /* borrowed */
  GArray *modules; /* guint32: to be followed, the next one last */
  GHashTable *met; /* modules that were followed, and directories that were told */
};

VfImportOrder *
vf_import_order_new (VfStore *store, VfImage *image)
{
  VfImportOrder *order = g_new0 (VfImportOrder, 1);
  order->store = store;
  order->image = image;
  order->modules = g_array_new (FALSE, FALSE, sizeof (guint32));
  order->met = g_hash_table_new (NULL, NULL);
  return order;
}

void
vf_import_order_free (VfImportOrder *order)
{
  if (!order)
    return;
  g_array_unref (order->modules);
  g_hash_table_unref (order->met);
  g_free (order);
}

/* ---- What one module imports */

typedef struct {
  VfImportOrder *order;
  const char *suffix; /* ".cpython-313.pyc" */
  guint32 package;    /* the directory of the module's source */
  GArray *packages;   /* guint32: what the name told last may be, if packages */
  GArray *found;      /* guint32: modules, in the order in which they are imported */
  guint n_asked;      /* of the image */
} Scan;

static gboolean
find_directory (VfImage *image, guint32 parent, const char *name, gsize length, guint32 *out_index)
{
  VfImageNode node;
  if (vf_image_lookup (image, parent, name, length, &node) < 0 || node.type != VF_NODE_DIRECTORY)
    return FALSE;
  *out_index = node.index;
  return TRUE;
}

/* The compiled module @name of the package @package, if there is one. */
static void
add_module (const Scan *scan, guint32 package, const char *name, gsize length)
{
  VfImage *image = scan->order->image;
  char file[NAME_MAX + 1];
  guint32 cache;
  VfImageNode node;
  gsize suffix_length = strlen (scan->suffix);
  if (length + suffix_length > NAME_MAX ||
      !find_directory (image, package, CACHE_NAME, strlen (CACHE_NAME), &cache))
    return;
  memcpy (file, name, length);
  memcpy (file + length, scan->suffix, suffix_length);
  if (vf_image_lookup (image, cache, file, length + suffix_length, &node) == 0 &&
      node.type == VF_NODE_FILE)
    g_array_append_val (scan->found, node.index);
}

/* A module or a package; of that, its own module. TRUE if it is a package, which is left in
 * @package. */
static gboolean
add_child (Scan *scan, guint32 *package, const char *name, gsize length)
{
  if (scan->n_asked++ > ASKED_MAX)
    return FALSE;
  if (!find_directory (scan->order->image, *package, name, length, package)) {
    add_module (scan, *package, name, length);
    return FALSE;
  }
  add_module (scan, *package, "__init__", strlen ("__init__"));
  return TRUE;
}

/* What the dotted @name is, seen from @package, and all that is imported on the way there. */
static void
add_dotted (Scan *scan, guint32 package, const char *name, gsize length)
{
  const char *end = name + length;
  while (name < end) {
    const char *dot = memchr (name, '.', (gsize)(end - name));
    const char *stop = dot ? dot : end;
    if (stop == name || !add_child (scan, &package, name, (gsize)(stop - name)))
      return;
    name = dot ? dot + 1 : end;
  }
  g_array_append_val (scan->packages, package);
}

static void
scan_import (const char *name, gsize length, gboolean is_from, gpointer user_data)
{
  Scan *scan = user_data;
  if (is_from) {
    for (guint i = 0; i < scan->packages->len; i++) {
      guint32 package = g_array_index (scan->packages, guint32, i);
      add_child (scan, &package, name, length);
    }
    return;
  }
  /* From its own package up to site-packages, since how many dots stood there is not told. */
  g_array_set_size (scan->packages, 0);
  VfImageNode node;
  guint32 at = scan->package;
  for (guint level = 0; level < LEVELS_MAX && vf_image_get (scan->order->image, at, &node) == 0;
       level++) {
    add_dotted (scan, at, name, length);
    if (strcmp (node.name, ROOT_NAME) == 0 || node.id == VF_IMAGE_ROOT_ID)
      break;
    at = node.parent;
  }
}

/* The content of a module, to be freed; NULL if it cannot be read. */
static guint8 *
read_module (VfImportOrder *order, const VfImageNode *module)
{
  VfExtent extent;
  if (!module->has_digest)
    return module->data ? g_memdup2 (module->data, module->size) : NULL;
  if (vf_object_open (order->store, &module->digest, &extent) < 0)
    return NULL;
  VF_AUTOFD fd = extent.fd;
  g_autofree guint8 *content = g_malloc (module->size);
  if (pread (fd, content, module->size, extent.offset) != (ssize_t)module->size)
    return NULL;
  return g_steal_pointer (&content);
}

static void
follow (VfImportOrder *order, const VfImageNode *module)
{
  const char *suffix = strchr (module->name, '.');
  VfImageNode cache;
  if (!suffix || module->size > MODULE_BYTES ||
      vf_image_get (order->image, module->parent, &cache) < 0)
    return;
  g_autofree guint8 *content = read_module (order, module);
  g_autoptr (GArray) packages = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (guint32));
  Scan scan = {order, suffix, cache.parent, packages, found, 0};
  if (!content || !vf_imports_scan (content, module->size, scan_import, &scan))
    return;
  for (guint i = found->len; i > 0 && order->modules->len < MODULES_MAX; i--) {
    guint32 next = g_array_index (found, guint32, i - 1);
    if (!g_hash_table_contains (order->met, GUINT_TO_POINTER (next)))
      g_array_append_val (order->modules, next);
  }
}

/* ---- The way through them */

void
vf_import_order_start (VfImportOrder *order, guint32 directory)
{
  VfImageNode node, child;
  if (vf_image_get (order->image, directory, &node) < 0)
    return;
  for (guint32 i = 0; i < node.n_children; i++)
    if (vf_image_get (order->image, node.first_child + i, &child) == 0 &&
        g_str_has_prefix (child.name, INIT_PREFIX))
      g_array_append_val (order->modules, child.index);
}

gboolean
vf_import_order_next (VfImportOrder *order, guint32 *out_directory)
{
  *out_directory = 0;
  if (order->modules->len == 0 || g_hash_table_size (order->met) >= MODULES_MAX)
    return FALSE;
  guint32 next = g_array_index (order->modules, guint32, order->modules->len - 1);
  VfImageNode module;
  int result = vf_image_get (order->image, next, &module);
  /* Before it is read: the caller brings what is in the directory into the page cache. */
  if (result == 0 && g_hash_table_add (order->met, GUINT_TO_POINTER (module.parent))) {
    *out_directory = module.parent;
    return TRUE;
  }
  g_array_set_size (order->modules, order->modules->len - 1);
  if (result == 0 && g_hash_table_add (order->met, GUINT_TO_POINTER (next)))
    follow (order, &module);
  return TRUE;
}

#include "layers/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "layers/bytecode.h"
#include "layers/error.h"
#include "layers/image.h"
#include "layers/package.h"

struct VfReach {
  VfStore *store;       /* owned reference */
  GHashTable *objects;  /* sets of VfDigest, owned */
  GHashTable *packages; /* only those whose objects are in */
  GHashTable *images;
  GHashTable *listings; /* set of paths relative to the store, owned */
};

static GHashTable *
new_set (void)
{
  return g_hash_table_new_full (vf_digest_hash, vf_digest_equal, g_free, NULL);
}

VfReach *
vf_reach_new (VfStore *store)
{
  VfReach *reach = g_new0 (VfReach, 1);
  reach->store = vf_store_ref (store);
  reach->objects = new_set ();
  reach->packages = new_set ();
  reach->images = new_set ();
  reach->listings = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return reach;
}

void
vf_reach_free (VfReach *reach)
{
  vf_store_unref (reach->store);
  g_hash_table_unref (reach->objects);
  g_hash_table_unref (reach->packages);
  g_hash_table_unref (reach->images);
  g_hash_table_unref (reach->listings);
  g_free (reach);
}

static void
add (GHashTable *set, const VfDigest *digest)
{
  if (!g_hash_table_contains (set, digest))
    g_hash_table_add (set, g_memdup2 (digest, sizeof *digest));
}

void
vf_reach_add_object (VfReach *reach, const VfDigest *digest)
{
  add (reach->objects, digest);
}

gboolean
vf_reach_add_package (VfReach *reach, const VfDigest *digest, GError **error)
{
  if (vf_reach_has_package (reach, digest))
    return TRUE;
  g_autoptr (VfPackage) package = vf_package_load (reach->store, digest, error);
  if (!package)
    return FALSE;
  for (guint i = 0; i < package->files->len; i++)
    add (reach->objects, &g_array_index (package->files, VfPackageFile, i).digest);
  add (reach->packages, digest);
  return TRUE;
}

static gboolean
add_nodes (VfReach *reach, VfImage *image, const char *relative, GError **error)
{
  VfImageNode node;
  for (guint32 i = 0; i < vf_image_n_nodes (image); i++) {
    int result = vf_image_get (image, i, &node);
    if (result < 0)
      return vf_error_errno (error, -result, "%s/%s: cannot read", vf_store_path (reach->store),
                             relative);
    if (node.type == VF_NODE_FILE && node.has_digest && !node.data)
      add (reach->objects, &node.digest);
  }
  return TRUE;
}

gboolean
vf_reach_add_image (VfReach *reach, const VfDigest *digest, GError **error)
{
  if (vf_reach_has_image (reach, digest))
    return TRUE;
  g_autofree char *relative = vf_digest_path ("images/", digest);
  g_autoptr (VfImage) image = vf_image_open (vf_store_fd (reach->store), relative, error);
  if (!image || !vf_image_verify (image, error))
    return FALSE;
  if (!vf_digest_equal (vf_image_id (image), digest))
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s/%s: is another image",
                         vf_store_path (reach->store), relative);
  if (!add_nodes (reach, image, relative, error))
    return FALSE;
  add (reach->images, digest);
  return TRUE;
}

gboolean
vf_reach_add_listing (VfReach *reach, const char *relative, GError **error)
{
  if (vf_reach_has_listing (reach, relative))
    return TRUE;
  g_autofree char *what = vf_store_path_of (reach->store, relative);
  g_autoptr (GBytes) bytes = vf_store_get (reach->store, relative, error);
  g_autoptr (VfBytecode) listing = bytes ? vf_bytecode_parse (bytes, NULL, what, error) : NULL;
  if (!listing)
    return FALSE;
  for (guint i = 0; i < listing->entries->len; i++)
    add (reach->objects, &g_array_index (listing->entries, VfBytecodeEntry, i).digest);
  g_hash_table_add (reach->listings, g_strdup (relative));
  return TRUE;
}

typedef struct {
  VfReach *reach;
  const VfGeneration *generation;
} Tag;

/* @name: a directory of bytecode/, "<cache tag>.<magic>". */
static gboolean
add_listings (const char *name, gpointer user_data, GError **error)
{
  Tag *tag = user_data;
  gsize length = strlen (tag->generation->cache_tag);
  if (strncmp (name, tag->generation->cache_tag, length) != 0 || name[length] != '.')
    return TRUE;
  for (guint i = 0; i < tag->generation->installed->len; i++) {
    const VfInstalled *installed = tag->generation->installed->pdata[i];
    char hex[VF_DIGEST_HEX + 1];
    vf_digest_to_hex (&installed->digest, hex);
    g_autofree char *relative = g_strdup_printf ("bytecode/%s/%s", name, hex);
    if (faccessat (vf_store_fd (tag->reach->store), relative, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
        !vf_reach_add_listing (tag->reach, relative, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
vf_reach_add_generation (VfReach *reach, const VfGeneration *generation, GError **error)
{
  Tag tag = {reach, generation};
  if (!vf_reach_add_image (reach, &generation->image, error))
    return FALSE;
  for (guint i = 0; i < generation->installed->len; i++) {
    const VfInstalled *installed = generation->installed->pdata[i];
    if (!vf_reach_add_package (reach, &installed->digest, error))
      return FALSE;
  }
  return !generation->compile ||
         vf_folder_foreach (reach->store, "bytecode", add_listings, &tag, error);
}

gboolean
vf_reach_has_object (VfReach *reach, const VfDigest *digest)
{
  return g_hash_table_contains (reach->objects, digest);
}

gboolean
vf_reach_has_package (VfReach *reach, const VfDigest *digest)
{
  return g_hash_table_contains (reach->packages, digest);
}

gboolean
vf_reach_has_image (VfReach *reach, const VfDigest *digest)
{
  return g_hash_table_contains (reach->images, digest);
}

gboolean
vf_reach_has_listing (VfReach *reach, const char *relative)
{
  return g_hash_table_contains (reach->listings, relative);
}

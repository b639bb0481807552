/* The check of what is named by its content: objects, then packages, wheels, listings and images,
 * so that what a repair sets aside is missed by what refers to it, and that is set aside too where
 * it could not be made anew otherwise (an index whose objects are incomplete would be believed). */
#include "layers/check-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/bytecode.h"
#include "layers/error.h"
#include "layers/image.h"
#include "layers/package.h"

#define BUFFER_BYTES (256 * 1024)

/* Lower-case hexadecimal of a whole digest. */
static gboolean
is_name (const char *hex, VfDigest *out_digest)
{
  char canonical[VF_DIGEST_HEX + 1];
  if (!vf_digest_from_hex (hex, strlen (hex), out_digest))
    return FALSE;
  vf_digest_to_hex (out_digest, canonical);
  return strcmp (hex, canonical) == 0;
}

/* --- Objects --- */

static gboolean
hash_file (VfCheck *check, const char *relative, VfDigest *out_digest)
{
  VF_AUTOFD fd = openat (vf_store_fd (check->store), relative, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  g_autofree char *buffer = g_malloc (BUFFER_BYTES);
  ssize_t n = fd < 0 ? -1 : 0;
  while (fd >= 0 && (n = read (fd, buffer, BUFFER_BYTES)) != 0)
    if (n > 0)
      vf_hasher_update (check->hasher, buffer, (gsize)n);
    else if (errno != EINTR)
      break;
  int errnum = errno;
  vf_hasher_finish (check->hasher, out_digest);
  if (n < 0)
    vf_check_damaged (check, relative, "cannot be read: %s", g_strerror (errnum));
  return n == 0;
}

static gboolean
check_object (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *relative = g_build_filename (check->folder, name, NULL);
  g_autofree char *hex = g_strconcat (check->folder + strlen ("objects/"), name, NULL);
  VfDigest digest, found;
  gint64 size;
  if (!vf_check_step (check, error))
    return FALSE;
  if (!is_name (hex, &digest)) {
    vf_check_problem (check, relative, "is no object");
    return TRUE;
  }
  if (!vf_check_file (check, relative, &size))
    return TRUE;
  if (check->deep && !hash_file (check, relative, &found))
    return TRUE;
  if (check->deep && !vf_digest_equal (&found, &digest)) {
    char hex_found[VF_DIGEST_HEX + 1];
    vf_digest_to_hex (&found, hex_found);
    vf_check_damaged (check, relative, "is damaged: its content hashes to %s", hex_found);
    return TRUE;
  }
  g_hash_table_insert (check->sizes, g_memdup2 (&digest, sizeof digest),
                       g_memdup2 (&size, sizeof size));
  return TRUE;
}

static gboolean
check_objects (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *folder = g_build_filename ("objects", name, NULL);
  struct stat st;
  if (strlen (name) != 2 || strspn (name, "0123456789abcdef") != 2 ||
      fstatat (vf_store_fd (check->store), folder, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      !S_ISDIR (st.st_mode)) {
    vf_check_problem (check, folder, "is no directory of objects");
    return TRUE;
  }
  check->folder = folder;
  return vf_folder_foreach (check->store, folder, check_object, check, error);
}

/* --- What refers to objects --- */

/* Begins the check of an index: its name and what sort of file it is. */
static gboolean
begin_index (VfCheck *check, const char *name, char **out_relative, VfDigest *out_digest)
{
  gint64 size;
  *out_relative = g_build_filename (check->folder, name, NULL);
  if (is_name (name, out_digest))
    return vf_check_file (check, *out_relative, &size);
  vf_check_problem (check, *out_relative, "is not named by a digest");
  return FALSE;
}

static gboolean
check_package (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *relative = NULL;
  g_autoptr (GError) failure = NULL;
  VfDigest digest;
  if (!begin_index (check, name, &relative, &digest))
    return TRUE;
  g_autoptr (VfPackage) package = vf_package_load (check->store, &digest, &failure);
  if (!package) {
    vf_check_damaged (check, relative, "is damaged: %s", failure->message);
    return TRUE;
  }
  guint missing = 0;
  const char *first = NULL;
  for (guint i = 0; i < package->files->len; i++) {
    const VfPackageFile *file = &g_array_index (package->files, VfPackageFile, i);
    if (!vf_check_object (check, &file->digest, (gint64)file->size) && missing++ == 0)
      first = file->path;
  }
  if (missing > 0)
    vf_check_damaged (check, relative,
                      "is incomplete: the content of %u of %u files of %s %s is missing or damaged "
                      "(%s)",
                      missing, package->files->len, package->name, package->version, first);
  return TRUE;
}

static gboolean
check_wheel (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *relative = NULL;
  VfDigest digest;
  if (!begin_index (check, name, &relative, &digest))
    return TRUE;
  g_autoptr (GBytes) bytes = vf_store_get (check->store, relative, NULL);
  g_autofree char *line = NULL;
  if (bytes)
    line = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  if (!line || strlen (line) != VF_DIGEST_HEX + 1 || line[VF_DIGEST_HEX] != '\n' ||
      !vf_digest_from_hex (line, VF_DIGEST_HEX, &digest)) {
    vf_check_damaged (check, relative, "does not name a package");
    return TRUE;
  }
  line[VF_DIGEST_HEX] = '\0';
  g_autofree char *package = g_strconcat ("packages/", line, NULL);
  if (faccessat (vf_store_fd (check->store), package, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    vf_check_damaged (check, relative, "names %s, which is not there", package);
  return TRUE;
}

static gboolean
check_listing (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *relative = NULL;
  g_autoptr (GError) failure = NULL;
  VfDigest digest;
  if (!begin_index (check, name, &relative, &digest))
    return TRUE;
  g_autoptr (GBytes) bytes = vf_store_get (check->store, relative, &failure);
  /* Its package may be gone; while it is there, its modules are what is listed. */
  g_autoptr (VfPackage) package = bytes ? vf_package_load (check->store, &digest, NULL) : NULL;
  g_autoptr (VfBytecode) listing =
      bytes ? vf_bytecode_parse (bytes, package, relative, &failure) : NULL;
  if (!listing) {
    vf_check_damaged (check, relative, "is damaged: %s", failure->message);
    return TRUE;
  }
  guint missing = 0;
  for (guint i = 0; i < listing->entries->len; i++) {
    const VfBytecodeEntry *entry = &g_array_index (listing->entries, VfBytecodeEntry, i);
    missing += !vf_check_object (check, &entry->digest, entry->size);
  }
  if (missing > 0)
    vf_check_damaged (check, relative, "is incomplete: %u of %u modules are missing or damaged",
                      missing, listing->entries->len);
  return TRUE;
}

static gboolean
check_listings (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *folder = g_build_filename ("bytecode", name, NULL);
  check->folder = folder;
  return vf_folder_foreach (check->store, folder, check_listing, check, error);
}

/* --- Images --- */

static guint
count_missing (VfCheck *check, VfImage *image, char **out_first)
{
  guint missing = 0;
  VfImageNode node;
  for (guint32 i = 0; i < vf_image_n_nodes (image); i++) {
    if (vf_image_get (image, i, &node) < 0 || node.type != VF_NODE_FILE || !node.has_digest ||
        node.data || vf_check_object (check, &node.digest, (gint64)node.size))
      continue;
    if (missing++ == 0)
      *out_first = g_strdup (node.name);
  }
  return missing;
}

static gboolean
check_image (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *relative = NULL, *first = NULL;
  g_autoptr (GError) failure = NULL;
  VfDigest digest;
  if (!begin_index (check, name, &relative, &digest))
    return TRUE;
  g_autoptr (VfImage) image = vf_image_open (vf_store_fd (check->store), relative, &failure);
  if (!image || !vf_image_verify (image, &failure)) {
    vf_check_damaged (check, relative, "is damaged: %s", failure->message);
    return TRUE;
  }
  if (!vf_digest_equal (vf_image_id (image), &digest)) {
    vf_check_damaged (check, relative, "is damaged: it is another image");
    return TRUE;
  }
  /* It is not set aside for that: when its packages are made anew, it is whole again. */
  guint missing = count_missing (check, image, &first);
  if (missing > 0)
    vf_check_problem (check, relative,
                      "is incomplete: the content of %u of its files is missing or damaged (%s)",
                      missing, first);
  return TRUE;
}

gboolean
vf_check_content (VfCheck *check, GError **error)
{
  static const struct {
    const char *folder;
    VfFolderFunc func;
  } folders[] = {{"objects", check_objects},
                 {"packages", check_package},
                 {"wheels", check_wheel},
                 {"bytecode", check_listings},
                 {"images", check_image}};
  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++) {
    check->folder = folders[i].folder;
    if (!vf_folder_foreach (check->store, check->folder, folders[i].func, check, error))
      return FALSE;
  }
  return TRUE;
}

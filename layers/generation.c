/* Generations as text: generations/<n>.ini (docs/store-format.md, "Environments").
 *
 * Written once and never changed. Read strictly: a key that is missing or is not what it should be
 * is damage, so that a sweep never takes half a list of packages for the whole. */
#include "layers/environment.h"

#include <string.h>

#include "layers/error.h"
#include "layers/keyfile.h"

#define GROUP      "generation"
#define PACKAGES   "packages"
#define DIRECT_URL "direct-url"

VfInstalled *
vf_installed_new (const VfDigest *digest, gboolean requested, const char *direct_url)
{
  VfInstalled *installed = g_new0 (VfInstalled, 1);
  installed->digest = *digest;
  installed->requested = requested;
  installed->direct_url = g_strdup (direct_url);
  return installed;
}

void
vf_installed_free (VfInstalled *installed)
{
  g_free (installed->direct_url);
  g_free (installed);
}

void
vf_generation_free (VfGeneration *generation)
{
  if (!generation)
    return;
  g_free (generation->python);
  g_free (generation->python_version);
  g_free (generation->cache_tag);
  g_clear_pointer (&generation->installed, g_ptr_array_unref);
  g_free (generation);
}

static void
add_installed (GKeyFile *file, const VfInstalled *installed)
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&installed->digest, hex);
  g_key_file_set_string (file, PACKAGES, hex, installed->requested ? "requested" : "dependency");
  if (installed->direct_url)
    vf_keyfile_set_bytes (file, DIRECT_URL, hex, installed->direct_url);
}

char *
vf_generation_serialize (const VfGeneration *generation, gsize *out_length)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&generation->image, hex);
  g_key_file_set_uint64 (file, GROUP, "number", generation->number);
  vf_keyfile_set_bytes (file, GROUP, "python", generation->python);
  vf_keyfile_set_bytes (file, GROUP, "python-version", generation->python_version);
  vf_keyfile_set_bytes (file, GROUP, "cache-tag", generation->cache_tag);
  g_key_file_set_boolean (file, GROUP, "system-site-packages", generation->system_site_packages);
  g_key_file_set_boolean (file, GROUP, "compile", generation->compile);
  g_key_file_set_string (file, GROUP, "image", hex);
  g_key_file_set_int64 (file, GROUP, "created", generation->created);
  for (guint i = 0; i < generation->installed->len; i++)
    add_installed (file, generation->installed->pdata[i]);
  return g_key_file_to_data (file, out_length, NULL);
}

/* The digest @text, or FALSE. */
static gboolean
parse_digest (const char *text, VfDigest *out_digest)
{
  return text && vf_digest_from_hex (text, strlen (text), out_digest);
}

static gboolean
parse_installed (GKeyFile *file, GPtrArray *installed)
{
  g_auto (GStrv) keys = g_key_file_get_keys (file, PACKAGES, NULL, NULL);
  for (char **key = keys; key && *key; key++) {
    g_autofree char *kind = g_key_file_get_string (file, PACKAGES, *key, NULL);
    g_autofree char *direct_url = vf_keyfile_get_bytes (file, DIRECT_URL, *key);
    VfDigest digest;
    gboolean requested = g_strcmp0 (kind, "requested") == 0;
    if (!parse_digest (*key, &digest) || (!requested && g_strcmp0 (kind, "dependency") != 0) ||
        (!direct_url && g_key_file_has_key (file, DIRECT_URL, *key, NULL)))
      return FALSE;
    g_ptr_array_add (installed, vf_installed_new (&digest, requested, direct_url));
  }
  return TRUE;
}

static const char *
parse_fields (GKeyFile *file, VfGeneration *generation)
{
  gint64 number;
  if (!vf_keyfile_get_number (file, GROUP, "number", &number) || number < 1 || number > G_MAXINT)
    return "number";
  generation->number = (guint)number;
  g_autofree char *image = g_key_file_get_string (file, GROUP, "image", NULL);
  if (!parse_digest (image, &generation->image))
    return "image";
  if (!vf_keyfile_get_flag (file, GROUP, "system-site-packages", &generation->system_site_packages))
    return "system-site-packages";
  if (!vf_keyfile_get_flag (file, GROUP, "compile", &generation->compile))
    return "compile";
  if (!vf_keyfile_get_number (file, GROUP, "created", &generation->created))
    return "created";
  if (!(generation->python = vf_keyfile_get_bytes (file, GROUP, "python")))
    return "python";
  if (!(generation->python_version = vf_keyfile_get_bytes (file, GROUP, "python-version")))
    return "python-version";
  if (!(generation->cache_tag = vf_keyfile_get_bytes (file, GROUP, "cache-tag")))
    return "cache-tag";
  return parse_installed (file, generation->installed) ? NULL : "packages";
}

VfGeneration *
vf_generation_parse (GBytes *bytes, const char *what, GError **error)
{
  g_autoptr (GKeyFile) file = vf_keyfile_parse (bytes, what, error);
  if (!file)
    return NULL;
  g_autoptr (VfGeneration) generation = g_new0 (VfGeneration, 1);
  generation->installed = g_ptr_array_new_with_free_func ((GDestroyNotify)vf_installed_free);
  const char *wrong = parse_fields (file, generation);
  if (wrong) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: %s is missing or not valid; run venvfs fsck", what,
                  wrong);
    return NULL;
  }
  return g_steal_pointer (&generation);
}

#include "tools/resolution.h"

#include <string.h>

#include "layers/error.h"

#define FIRST_LINE     "venvfs resolution 1"
#define PACKAGE_FIELDS 6

VfResolved *
vf_resolved_new (const char *name, const char *version, const VfDigest *wheel,
                 const VfDigest *package, gboolean requested, const char *direct_url)
{
  VfResolved *resolved = g_new0 (VfResolved, 1);
  resolved->name = g_strdup (name);
  resolved->version = g_strdup (version);
  resolved->wheel = *wheel;
  resolved->package = *package;
  resolved->requested = requested;
  resolved->direct_url = g_strdup (direct_url);
  return resolved;
}

void
vf_resolved_free (VfResolved *resolved)
{
  g_free (resolved->name);
  g_free (resolved->version);
  g_free (resolved->direct_url);
  g_free (resolved);
}

VfResolution *
vf_resolution_new (gint64 time, gboolean pinned)
{
  VfResolution *resolution = g_new0 (VfResolution, 1);
  resolution->time = time;
  resolution->pinned = pinned;
  resolution->packages = g_ptr_array_new_with_free_func ((GDestroyNotify)vf_resolved_free);
  return resolution;
}

void
vf_resolution_free (VfResolution *resolution)
{
  g_ptr_array_unref (resolution->packages);
  g_free (resolution);
}

char *
vf_resolution_format (const VfResolution *resolution)
{
  GString *text = g_string_new (NULL);
  g_string_append_printf (text, FIRST_LINE "\ntime %" G_GINT64_FORMAT "\npinned %d\n",
                          resolution->time, resolution->pinned ? 1 : 0);
  for (guint i = 0; i < resolution->packages->len; i++) {
    const VfResolved *resolved = resolution->packages->pdata[i];
    char wheel[VF_DIGEST_HEX + 1], package[VF_DIGEST_HEX + 1];
    vf_digest_to_hex (&resolved->wheel, wheel);
    vf_digest_to_hex (&resolved->package, package);
    g_string_append_printf (text, "%s %s %d %s %s %s\n", wheel, package,
                            resolved->requested ? 1 : 0, resolved->name, resolved->version,
                            resolved->direct_url ? resolved->direct_url : "-");
  }
  return g_string_free (text, FALSE);
}

static VfResolved *
parse_package (const char *line)
{
  g_auto (GStrv) fields = g_strsplit (line, " ", PACKAGE_FIELDS);
  VfDigest wheel, package;
  if (g_strv_length (fields) != PACKAGE_FIELDS ||
      !vf_digest_from_hex (fields[0], strlen (fields[0]), &wheel) ||
      !vf_digest_from_hex (fields[1], strlen (fields[1]), &package) ||
      (strcmp (fields[2], "0") != 0 && strcmp (fields[2], "1") != 0) || !*fields[3] ||
      !*fields[4] || !*fields[5])
    return NULL;
  return vf_resolved_new (fields[3], fields[4], &wheel, &package, *fields[2] == '1',
                          strcmp (fields[5], "-") == 0 ? NULL : fields[5]);
}

VfResolution *
vf_resolution_parse (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  gsize n = g_strv_length (lines);
  gint64 time;
  if (n < 4 || strcmp (lines[0], FIRST_LINE) != 0 || !g_str_has_prefix (lines[1], "time ") ||
      !g_ascii_string_to_signed (lines[1] + strlen ("time "), 10, 0, G_MAXINT64, &time, NULL) ||
      (strcmp (lines[2], "pinned 0") != 0 && strcmp (lines[2], "pinned 1") != 0) || *lines[n - 1])
    return NULL;
  g_autoptr (VfResolution) resolution = vf_resolution_new (time, g_str_has_suffix (lines[2], "1"));
  for (gsize i = 3; i + 1 < n; i++) {
    VfResolved *resolved = parse_package (lines[i]);
    if (!resolved)
      return NULL;
    g_ptr_array_add (resolution->packages, resolved);
  }
  return g_steal_pointer (&resolution);
}

VfResolution *
vf_resolution_load (VfStore *store, const char *name)
{
  g_autofree char *relative = g_strconcat ("resolutions/", name, NULL);
  g_autoptr (GBytes) bytes = vf_store_get (store, relative, NULL);
  if (!bytes)
    return NULL;
  g_autofree char *text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_autoptr (VfResolution) resolution = vf_resolution_parse (text);
  for (guint i = 0; resolution && i < resolution->packages->len; i++) {
    const VfResolved *resolved = resolution->packages->pdata[i];
    g_autofree char *package = vf_digest_path ("packages/", &resolved->package);
    if (!vf_store_reuse (store, package))
      return NULL;
  }
  return g_steal_pointer (&resolution);
}

gboolean
vf_resolution_save (VfStore *store, const char *name, const VfResolution *resolution,
                    GError **error)
{
  g_autofree char *relative = g_strconcat ("resolutions/", name, NULL);
  g_autofree char *what = vf_store_path_of (store, relative);
  g_autofree char *text = vf_resolution_format (resolution);
  return vf_replace_file (vf_store_fd (store), relative, 0600, text, strlen (text), what, error);
}

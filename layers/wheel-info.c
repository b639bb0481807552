/* What a wheel says about itself: its file's name, WHEEL, METADATA, entry_points.txt ("Binary
 * distribution format" and "Core metadata specifications"). */
#include "layers/wheel-private.h"

#include <string.h>

#include "layers/entry-points.h"
#include "layers/error.h"
#include "layers/metadata.h"
#include "layers/version.h"

#define INFO_MAX_BYTES (16u << 20)
#define NAME_MAX_BYTES 255

/* --- The file's name --- */

static gboolean
is_name_part (const char *part, const char *also)
{
  if (!*part || strlen (part) > NAME_MAX_BYTES)
    return FALSE;
  for (; *part; part++)
    if (!g_ascii_isalnum (*part) && !strchr (also, *part))
      return FALSE;
  return TRUE;
}

gboolean
vf_wheel_parse_name (VfWheel *wheel, const char *file_name, GError **error)
{
  gsize length = strlen (file_name);
  g_autofree char *stem = g_strndup (file_name, length >= 4 ? length - 4 : 0);
  g_auto (GStrv) parts = g_strsplit (stem, "-", -1);
  guint n = g_strv_length (parts);
  gboolean good = g_str_has_suffix (file_name, ".whl") && (n == 5 || n == 6) &&
                  is_name_part (parts[0], "._") && is_name_part (parts[1], "._+!") &&
                  (n == 5 || g_ascii_isdigit (parts[2][0]));
  for (guint i = 2; good && i < n; i++)
    good = is_name_part (parts[i], "._");
  if (!good)
    return vf_rules_break (&wheel->rules, VF_RULE_FILE_NAME, error,
                           "not named NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl");
  wheel->name = g_strdup (parts[0]);
  wheel->version = g_strdup (parts[1]);
  return TRUE;
}

static gboolean
names_equal (const char *a, const char *b)
{
  g_autofree char *first = vf_package_normalize_name (a);
  g_autofree char *second = vf_package_normalize_name (b);
  return strcmp (first, second) == 0;
}

/* --- The .dist-info directory --- */

/* "<name>-<version>.dist-info", escaped: the first '-' is the only one, by the specification. */
static gboolean
check_dist_info_name (VfWheel *wheel, GError **error)
{
  g_autofree char *stem =
      g_strndup (wheel->dist_info, strlen (wheel->dist_info) - strlen (".dist-info"));
  char *dash = strchr (stem, '-');
  if (dash) {
    *dash = '\0';
    if (names_equal (stem, wheel->name) && vf_version_equal (dash + 1, wheel->version))
      return TRUE;
  }
  return vf_rules_break (&wheel->rules, VF_RULE_DIST_INFO_NAME, error,
                         "%s does not belong to %s %s", wheel->dist_info, wheel->name,
                         wheel->version);
}

static char *
read_info_file (VfWheel *wheel, const char *file, VfRuleId rule, gsize *out_length, GError **error)
{
  VfWheelItem *item = vf_wheel_info_item (wheel, file);
  if (!item) {
    vf_rules_break (&wheel->rules, rule, error, "%s/%s is missing", wheel->dist_info, file);
    return NULL;
  }
  *out_length = item->entry->size;
  return vf_wheel_read_item (wheel, item, INFO_MAX_BYTES, error);
}

static gboolean
check_wheel_version (VfWheel *wheel, const char *version, GError **error)
{
  guint64 major = 0, minor = 0;
  char *end = NULL;
  if (version && g_ascii_isdigit (*version)) {
    major = g_ascii_strtoull (version, &end, 10);
    if (*end == '.' && g_ascii_isdigit (end[1]))
      minor = g_ascii_strtoull (end + 1, &end, 10);
  }
  if (!end || (*end != '\0' && *end != '.') || major != 1)
    return vf_rules_break (&wheel->rules, VF_RULE_WHEEL_VERSION, error,
                           "Wheel-Version is %s, only 1.x is known", version ? version : "missing");
  if (minor > 0 && wheel->warnings)
    g_ptr_array_add (
        wheel->warnings,
        g_strdup_printf ("%s: Wheel-Version %s is newer than 1.0; what is new in it is "
                         "not known here",
                         wheel->rules.what, version));
  return TRUE;
}

static gboolean
read_wheel_file (VfWheel *wheel, gboolean *out_root_is_purelib, GError **error)
{
  gsize length = 0;
  g_autofree char *text = read_info_file (wheel, "WHEEL", VF_RULE_WHEEL_VERSION, &length, error);
  if (!text)
    return FALSE;
  g_autofree char *version = vf_metadata_get (text, length, "Wheel-Version");
  g_autofree char *purelib = vf_metadata_get (text, length, "Root-Is-Purelib");
  *out_root_is_purelib = purelib && g_ascii_strcasecmp (purelib, "true") == 0;
  return check_wheel_version (wheel, version, error);
}

static gboolean
is_text (const char *value)
{
  return value && *value && strlen (value) <= NAME_MAX_BYTES && g_utf8_validate (value, -1, NULL) &&
         !strpbrk (value, "\r\n");
}

gboolean
vf_wheel_read_info (VfWheel *wheel, GError **error)
{
  gboolean root_is_purelib = FALSE;
  gsize length = 0;
  if (!check_dist_info_name (wheel, error) || !read_wheel_file (wheel, &root_is_purelib, error))
    return FALSE;
  g_autofree char *text = read_info_file (wheel, "METADATA", VF_RULE_METADATA, &length, error);
  if (!text)
    return FALSE;
  g_autofree char *name = vf_metadata_get (text, length, "Name");
  g_autofree char *version = vf_metadata_get (text, length, "Version");
  if (!is_text (name) || !is_text (version))
    return vf_rules_break (&wheel->rules, VF_RULE_METADATA, error,
                           "METADATA has no Name or no Version");
  if (!names_equal (name, wheel->name))
    return vf_rules_break (&wheel->rules, VF_RULE_METADATA_NAME, error,
                           "METADATA says Name %s, the file %s", name, wheel->name);
  if (!vf_version_equal (version, wheel->version) &&
      !vf_rules_break (&wheel->rules, VF_RULE_METADATA_VERSION, error,
                       "METADATA says Version %s, the file %s", version, wheel->version))
    return FALSE;
  wheel->package = vf_package_new (name, version, wheel->dist_info);
  wheel->package->root_is_purelib = root_is_purelib;
  return TRUE;
}

gboolean
vf_wheel_read_entry_points (VfWheel *wheel, GError **error)
{
  VfWheelItem *item = vf_wheel_info_item (wheel, "entry_points.txt");
  if (!item)
    return TRUE;
  g_autofree char *text = vf_wheel_read_item (wheel, item, INFO_MAX_BYTES, error);
  return text &&
         vf_entry_points_parse (text, item->entry->size, &wheel->rules, wheel->package, error);
}

#include "layers/entry-points.h"

#include <string.h>

#include "layers/error.h"

#define DOTTED_MAX_BYTES 4095

gboolean
vf_script_name_is_reserved (const char *name)
{
  static const char *const stems[] = {"python", "pypy", "graalpy"};
  g_autofree char *lower = g_ascii_strdown (name, -1);
  for (guint i = 0; i < G_N_ELEMENTS (stems); i++) {
    if (!g_str_has_prefix (lower, stems[i]))
      continue;
    const char *rest = lower + strlen (stems[i]);
    rest += strspn (rest, "0123456789.");
    /* "python.exe", "python3.13.py": the dot before the suffix was taken for one of the version. */
    if (rest[-1] == '.')
      rest--;
    rest += *rest == 't';
    rest += *rest == 'w';
    if (*rest == '\0' || strcmp (rest, ".py") == 0 || strcmp (rest, ".exe") == 0)
      return TRUE;
  }
  return FALSE;
}

/* The sections that matter. */
typedef enum {
  SECTION_CONSOLE,
  SECTION_GUI,
  SECTION_OTHER,
} Section;

static Section
section_of (char *line)
{
  line[strlen (line) - 1] = '\0';
  if (strcmp (line + 1, "console_scripts") == 0)
    return SECTION_CONSOLE;
  return strcmp (line + 1, "gui_scripts") == 0 ? SECTION_GUI : SECTION_OTHER;
}

static void
free_entry_point (gpointer data)
{
  VfEntryPoint *entry_point = data;
  g_free ((char *)entry_point->name);
  g_free ((char *)entry_point->module);
  g_free ((char *)entry_point->attribute);
  g_free (entry_point);
}

/* "pkg.cli : App.run [extra]". FALSE for anything else. */
static gboolean
split_value (const char *value, char **out_module, char **out_attribute)
{
  const char *colon = strchr (value, ':');
  if (!colon)
    return FALSE;
  g_autofree char *module = g_strchomp (g_strndup (value, (gsize)(colon - value)));
  g_autofree char *attribute = g_strdup (colon + 1);
  char *extras = strchr (attribute, '[');
  if (extras && !g_str_has_suffix (extras, "]"))
    return FALSE;
  if (extras)
    *extras = '\0';
  g_strstrip (attribute);
  if (strlen (module) > DOTTED_MAX_BYTES || strlen (attribute) > DOTTED_MAX_BYTES ||
      !vf_package_check_dotted (module, strlen (module)) ||
      !vf_package_check_dotted (attribute, strlen (attribute)))
    return FALSE;
  *out_module = g_steal_pointer (&module);
  *out_attribute = g_steal_pointer (&attribute);
  return TRUE;
}

static gboolean
check_name (const char *name, const VfRules *rules, GError **error)
{
  gboolean plain =
      !strchr (name, '/') && !strchr (name, '\\') && vf_package_check_path (name, strlen (name));
  for (const char *c = name; *c; c++)
    plain = plain && !g_ascii_iscntrl (*c);
  if (!plain)
    return vf_rules_break (rules, VF_RULE_ENTRY_POINT_NAME, error,
                           "entry_points.txt: \"%s\" is no name for a file in bin/", name);
  if (vf_script_name_is_reserved (name))
    return vf_rules_break (rules, VF_RULE_RESERVED_NAME, error,
                           "entry_points.txt: a script named %s would take an interpreter's place",
                           name);
  return TRUE;
}

/* @scripts: name → VfEntryPoint. */
static gboolean
take_line (GHashTable *scripts, Section section, char *line, const VfRules *rules, GError **error)
{
  char *equals = strchr (line, '=');
  g_autofree char *module = NULL, *attribute = NULL;
  if (equals)
    *equals = '\0';
  char *name = g_strchomp (line);
  if (!equals || !*name || !split_value (g_strchug (equals + 1), &module, &attribute))
    return vf_rules_break (rules, VF_RULE_ENTRY_POINT, error,
                           "entry_points.txt: %s: not NAME = MODULE:CALLABLE", name);
  if (!check_name (name, rules, error))
    return FALSE;
  VfEntryPoint *known = g_hash_table_lookup (scripts, name);
  if (known && known->gui && section == SECTION_CONSOLE)
    return TRUE;
  VfEntryPoint *entry_point = g_new0 (VfEntryPoint, 1);
  entry_point->gui = section == SECTION_GUI;
  entry_point->name = g_strdup (name);
  entry_point->module = g_steal_pointer (&module);
  entry_point->attribute = g_steal_pointer (&attribute);
  g_hash_table_replace (scripts, (char *)entry_point->name, entry_point);
  return TRUE;
}

static gboolean
take_lines (GHashTable *scripts, char *text, const VfRules *rules, GError **error)
{
  Section section = SECTION_OTHER;
  char *next = text;
  while (next) {
    char *line = next;
    next = strpbrk (line, "\r\n");
    if (next)
      *next++ = '\0';
    line = g_strstrip (line);
    if (!*line || *line == '#' || *line == ';')
      continue;
    if (*line == '[' && g_str_has_suffix (line, "]"))
      section = section_of (line);
    else if (section != SECTION_OTHER && !take_line (scripts, section, line, rules, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
vf_entry_points_parse (const char *data, gsize length, const VfRules *rules, VfPackage *package,
                       GError **error)
{
  if (!g_utf8_validate (data, (gssize)length, NULL))
    return vf_rules_break (rules, VF_RULE_ENTRY_POINT, error, "entry_points.txt is not UTF-8");
  g_autofree char *text = g_strndup (data, length);
  g_autoptr (GHashTable) scripts =
      g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_entry_point);
  if (!take_lines (scripts, text, rules, error))
    return FALSE;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, scripts);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VfEntryPoint *entry_point = value;
    vf_package_add_entry_point (package, entry_point->gui, entry_point->name, entry_point->module,
                                entry_point->attribute);
  }
  return TRUE;
}

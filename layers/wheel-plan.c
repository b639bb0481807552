/* From an entry's name to its place: the .dist-info directory, the .data directory's schemes, what
 * is left out, and that no two files want one place. */
#include "layers/wheel-private.h"

#include <string.h>

#include "layers/entry-points.h"
#include "layers/error.h"

static gboolean
add_name (VfWheel *wheel, VfWheelItem *item, GError **error)
{
  const VfZipEntry *entry = item->entry;
  gsize length = entry->name_length - (entry->type == VF_ZIP_DIRECTORY);
  if (!vf_package_check_path (entry->name, length))
    return vf_rules_break (
        &wheel->rules, VF_RULE_PATH_TRAVERSAL, error,
        "%s: a path that is absolute, too long or too deep, or has an empty, . or .. segment",
        entry->name);
  const VfWheelItem *first = g_hash_table_lookup (wheel->by_name, entry->name);
  if (!first) {
    g_hash_table_insert (wheel->by_name, (char *)entry->name, item);
    return TRUE;
  }
  if (first->entry->crc != entry->crc || first->entry->size != entry->size ||
      first->entry->type != entry->type || first->entry->executable != entry->executable)
    return vf_rules_break (&wheel->rules, VF_RULE_ZIP_DUPLICATE, error,
                           "%s: twice, with different content or mode", entry->name);
  item->twin = (guint)(first - wheel->items) + 1;
  return TRUE;
}

gboolean
vf_wheel_find_dist_info (VfWheel *wheel, GError **error)
{
  for (gsize i = 0; i < wheel->n_items; i++) {
    if (!add_name (wheel, &wheel->items[i], error))
      return FALSE;
    const char *name = wheel->items[i].entry->name;
    const char *slash = strchr (name, '/');
    if (!slash)
      continue;
    g_autofree char *top = g_strndup (name, (gsize)(slash - name));
    if (!g_str_has_suffix (top, ".dist-info"))
      continue;
    if (wheel->dist_info && strcmp (wheel->dist_info, top) != 0)
      return vf_rules_break (&wheel->rules, VF_RULE_DIST_INFO, error, "both %s and %s are there",
                             wheel->dist_info, top);
    if (!wheel->dist_info)
      wheel->dist_info = g_steal_pointer (&top);
  }
  if (!wheel->dist_info)
    return vf_rules_break (&wheel->rules, VF_RULE_DIST_INFO, error,
                           "there is no .dist-info directory");
  return TRUE;
}

/* --- Schemes --- */

static gboolean
scheme_from_name (const char *name, gsize length, VfScheme *out_scheme)
{
  for (VfScheme scheme = VF_SCHEME_PURELIB; scheme <= VF_SCHEME_DATA; scheme++)
    if (strlen (vf_scheme_name (scheme)) == length &&
        strncmp (vf_scheme_name (scheme), name, length) == 0) {
      *out_scheme = scheme;
      return TRUE;
    }
  return FALSE;
}

static gboolean
is_data_directory (const VfWheel *wheel, const char *name, gsize length)
{
  gsize stem = strlen (wheel->dist_info) - strlen (".dist-info");
  return length == stem + strlen (".data") && strncmp (name, wheel->dist_info, stem) == 0;
}

/* Sets scheme and path. pip takes any top directory named *.data for one of schemes, others only
 * the distribution's own: another one is a doubt. */
static gboolean
find_scheme (VfWheel *wheel, VfWheelItem *item, GError **error)
{
  const char *name = item->entry->name;
  const char *slash = strchr (name, '/');
  gsize top = slash ? (gsize)(slash - name) : 0;
  item->path = name;
  item->scheme = wheel->package->root_is_purelib ? VF_SCHEME_PURELIB : VF_SCHEME_PLATLIB;
  if (top < strlen (".data") || strncmp (slash - strlen (".data"), ".data", strlen (".data")) != 0)
    return TRUE;
  if (!is_data_directory (wheel, name, top))
    return vf_rules_break (&wheel->rules, VF_RULE_DATA_DIRECTORY, error,
                           "%s: a .data directory that is not this wheel's", name);
  const char *key = slash + 1;
  const char *end = strchr (key, '/');
  if (!*key || (end && !end[1] && scheme_from_name (key, (gsize)(end - key), &item->scheme)))
    return TRUE;
  if (!end || !scheme_from_name (key, (gsize)(end - key), &item->scheme))
    return vf_rules_break (&wheel->rules, VF_RULE_DATA_KEY, error,
                           "%s: neither purelib nor platlib, headers, scripts or data", name);
  item->path = end + 1;
  return TRUE;
}

/* --- What is left out --- */

static gboolean
has_segment (const char *path, const char *segment)
{
  gsize length = strlen (segment);
  for (const char *at = path; at; at = strchr (at, '/')) {
    at += *at == '/';
    if (strncmp (at, segment, length) == 0 && at[length] == '/')
      return TRUE;
  }
  return FALSE;
}

/* Files of .dist-info that belong to an environment; the merge writes them. */
static const char *const environments[] = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"};

static gboolean
is_library (const VfWheelItem *item)
{
  return item->scheme == VF_SCHEME_PURELIB || item->scheme == VF_SCHEME_PLATLIB;
}

static gboolean
is_environments (const VfWheel *wheel, const VfWheelItem *item)
{
  gsize length = strlen (wheel->dist_info);
  if (!is_library (item) || strncmp (item->path, wheel->dist_info, length) != 0 ||
      item->path[length] != '/')
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (environments); i++)
    if (strcmp (item->path + length + 1, environments[i]) == 0)
      return TRUE;
  return FALSE;
}

/* The set of the entry points' names; borrowed. */
static GHashTable *
entry_point_names (const VfWheel *wheel)
{
  const GArray *entry_points = wheel->package->entry_points;
  GHashTable *names = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < entry_points->len; i++)
    g_hash_table_add (names, (char *)g_array_index (entry_points, VfEntryPoint, i).name);
  return names;
}

/* pip leaves out a script that an entry point replaces, also under the names that old tools gave
 * the scripts that they generated. */
static gboolean
is_entry_point (GHashTable *entry_points, const char *name)
{
  static const char *const suffixes[] = {".exe", "-script.py", ".pya"};
  g_autofree char *stem = g_strdup (name);
  g_autofree char *lower = g_ascii_strdown (name, -1);
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_str_has_suffix (lower, suffixes[i])) {
      stem[strlen (stem) - strlen (suffixes[i])] = '\0';
      break;
    }
  return g_hash_table_contains (entry_points, stem);
}

/* --- Names that something else has --- */

static gboolean
check_reserved (VfWheel *wheel, const VfWheelItem *item, GError **error)
{
  static const char bin[] = "bin/";
  const char *in_bin = NULL;
  if (item->scheme == VF_SCHEME_SCRIPTS)
    in_bin = item->path;
  else if (item->scheme == VF_SCHEME_DATA && g_str_has_prefix (item->path, bin))
    in_bin = item->path + strlen (bin);
  gboolean reserved = item->scheme == VF_SCHEME_DATA && strcmp (item->path, "pyvenv.cfg") == 0;
  if (in_bin) {
    g_autofree char *first = g_strndup (in_bin, strcspn (in_bin, "/"));
    reserved = vf_script_name_is_reserved (first);
  }
  return !reserved || vf_rules_break (&wheel->rules, VF_RULE_RESERVED_NAME, error,
                                      "%s would take the place of an interpreter or of pyvenv.cfg",
                                      item->entry->name);
}

/* Another distribution's .dist-info is its own: also where a file has the name, or the .data
 * directory holds it. */
static gboolean
check_dist_info (VfWheel *wheel, const VfWheelItem *item, GError **error)
{
  if (!is_library (item))
    return TRUE;
  g_autofree char *top = g_strndup (item->path, strcspn (item->path, "/"));
  return !g_str_has_suffix (top, ".dist-info") || strcmp (top, wheel->dist_info) == 0 ||
         vf_rules_break (&wheel->rules, VF_RULE_DIST_INFO, error, "%s is beside %s",
                         item->entry->name, wheel->dist_info);
}

static gboolean
plan_item (VfWheel *wheel, VfWheelItem *item, GHashTable *entry_points, GError **error)
{
  if (!find_scheme (wheel, item, error))
    return FALSE;
  if (item->entry->type == VF_ZIP_DIRECTORY)
    return TRUE;
  if (!check_reserved (wheel, item, error) || !check_dist_info (wheel, item, error))
    return FALSE;
  item->installed = !has_segment (item->path, "__pycache__") && !is_environments (wheel, item);
  if (item->scheme != VF_SCHEME_SCRIPTS || !item->installed)
    return TRUE;
  if ((strchr (item->path, '/') || item->entry->type != VF_ZIP_FILE) &&
      !vf_rules_break (&wheel->rules, VF_RULE_SCRIPT_FILE, error,
                       "%s: a script that is not a regular file directly in scripts/",
                       item->entry->name))
    return FALSE;
  item->installed = !is_entry_point (entry_points, item->path);
  return TRUE;
}

/* --- One place, one file --- */

typedef struct {
  GHashTable *files;       /* place → item */
  GHashTable *directories; /* place → itself */
  GStringChunk *places;    /* owns the keys */
} Places;

static void
free_places (Places *places)
{
  g_hash_table_unref (places->files);
  g_hash_table_unref (places->directories);
  g_string_chunk_free (places->places);
}

/* purelib and platlib are one directory in most environments. */
static char *
place_of (Places *places, const VfWheelItem *item)
{
  static const char prefixes[] = {
      [VF_SCHEME_PURELIB] = 'l', [VF_SCHEME_PLATLIB] = 'l', [VF_SCHEME_HEADERS] = 'h',
      [VF_SCHEME_SCRIPTS] = 's', [VF_SCHEME_DATA] = 'd',
  };
  gsize length = strlen (item->path);
  g_autofree char *place = g_malloc (length + 3);
  place[0] = prefixes[item->scheme];
  place[1] = '/';
  memcpy (place + 2, item->path, length + 1);
  return g_string_chunk_insert_len (places->places, place, (gssize)length + 2);
}

/* All directories above @place; stops at one that is known. */
static void
add_parents (Places *places, const char *place)
{
  gsize length = strlen (place);
  for (;;) {
    while (length > 0 && place[length - 1] != '/')
      length--;
    if (length <= 2)
      return;
    length--;
    g_autofree char *parent = g_strndup (place, length);
    if (g_hash_table_contains (places->directories, parent))
      return;
    g_hash_table_add (places->directories,
                      g_string_chunk_insert_len (places->places, parent, (gssize)length));
  }
}

static gboolean
take_place (VfWheel *wheel, Places *places, VfWheelItem *item, GError **error)
{
  char *place = place_of (places, item);
  add_parents (places, place);
  const VfWheelItem *first = g_hash_table_lookup (places->files, place);
  if (!first) {
    g_hash_table_insert (places->files, place, item);
    return TRUE;
  }
  /* The same file again: once is enough, if it is. */
  item->installed = FALSE;
  if (item->twin != 0)
    return TRUE;
  item->twin = (guint)(first - wheel->items) + 1;
  if (first->entry->crc != item->entry->crc || first->entry->size != item->entry->size ||
      first->entry->executable != item->entry->executable)
    return vf_rules_break (&wheel->rules, VF_RULE_PATH_CONFLICT, error,
                           "%s and %s want the same place", first->entry->name, item->entry->name);
  return TRUE;
}

static gboolean
is_directory (Places *places, const char *place)
{
  return g_hash_table_contains (places->directories, place);
}

static gboolean
check_places (VfWheel *wheel, Places *places, GError **error)
{
  for (gsize i = 0; i < wheel->n_items; i++) {
    VfWheelItem *item = &wheel->items[i];
    if (item->installed && !take_place (wheel, places, item, error))
      return FALSE;
  }
  GHashTableIter iter;
  gpointer place;
  g_hash_table_iter_init (&iter, places->files);
  while (g_hash_table_iter_next (&iter, &place, NULL))
    if (is_directory (places, place))
      return vf_rules_break (&wheel->rules, VF_RULE_PATH_CONFLICT, error,
                             "%s: a file and a directory", (const char *)place + 2);
  for (guint i = 0; i < G_N_ELEMENTS (environments); i++) {
    g_autofree char *name = g_strconcat ("l/", wheel->dist_info, "/", environments[i], NULL);
    if (is_directory (places, name))
      return vf_rules_break (&wheel->rules, VF_RULE_PATH_CONFLICT, error,
                             "%s: a directory, where the environment has a file", name + 2);
  }
  return TRUE;
}

gboolean
vf_wheel_plan (VfWheel *wheel, GError **error)
{
  g_autoptr (GHashTable) entry_points = entry_point_names (wheel);
  for (gsize i = 0; i < wheel->n_items; i++)
    if (!plan_item (wheel, &wheel->items[i], entry_points, error))
      return FALSE;
  Places places = {
      .files = g_hash_table_new (g_str_hash, g_str_equal),
      .directories = g_hash_table_new (g_str_hash, g_str_equal),
      .places = g_string_chunk_new (16384),
  };
  gboolean ok = check_places (wheel, &places, error);
  free_places (&places);
  return ok;
}

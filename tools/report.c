#include "tools/report.h"

#include <string.h>

#include "layers/error.h"

void
vf_report_item_free (VfReportItem *item)
{
  g_free (item->name);
  g_free (item->version);
  g_free (item->url);
  g_strfreev (item->hashes);
  g_free (item->build);
  g_free (item->direct_url);
  g_free (item);
}

char *
vf_report_local_path (const VfReportItem *item)
{
  if (!g_str_has_prefix (item->url, "file:"))
    return NULL;
  g_autofree char *bare = g_strndup (item->url, strcspn (item->url, "#?"));
  return g_filename_from_uri (bare, NULL, NULL);
}

/* Members of the wrong type count as absent: the report is another program's. */
static const char *
get_string (JsonObject *object, const char *member)
{
  JsonNode *node = object ? json_object_get_member (object, member) : NULL;
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : NULL;
}

static JsonObject *
get_object (JsonObject *object, const char *member)
{
  JsonNode *node = object ? json_object_get_member (object, member) : NULL;
  return node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static gboolean
get_boolean (JsonObject *object, const char *member)
{
  JsonNode *node = object ? json_object_get_member (object, member) : NULL;
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_boolean (node);
}

static void
read_hashes (VfReportItem *item, JsonObject *archive)
{
  JsonObject *hashes = get_object (archive, "hashes");
  g_autoptr (GPtrArray) list = g_ptr_array_new ();
  g_autoptr (GList) members = hashes ? json_object_get_members (hashes) : NULL;
  for (GList *member = members; member; member = member->next) {
    const char *value = get_string (hashes, member->data);
    if (!value)
      continue;
    g_ptr_array_add (list, g_strdup_printf ("%s:%s", (const char *)member->data, value));
    if (strcmp (member->data, "sha256") == 0)
      item->has_sha256 = vf_digest_from_hex (value, strlen (value), &item->sha256);
  }
  g_ptr_array_add (list, NULL);
  item->hashes = (char **)g_ptr_array_free (g_steal_pointer (&list), FALSE);
}

static gboolean
url_is_wheel (const char *url)
{
  gsize length = strcspn (url, "#?");
  return length > 4 && g_ascii_strncasecmp (url + length - 4, ".whl", 4) == 0;
}

/* What pip is to build, from its own description of where it comes from (PEP 610). */
static char *
make_build_requirement (const VfReportItem *item, JsonObject *info)
{
  const char *subdirectory = get_string (info, "subdirectory");
  JsonObject *vcs = get_object (info, "vcs_info");
  if (item->is_project) {
    g_autofree char *path = vf_report_local_path (item);
    return subdirectory && path ? g_build_filename (path, subdirectory, NULL)
                                : g_steal_pointer (&path);
  }
  GString *text = g_string_new (item->name);
  const char *separator = "#";
  if (vcs)
    g_string_append_printf (text, " @ %s+%s@%s", get_string (vcs, "vcs"), item->url,
                            get_string (vcs, "commit_id"));
  else
    g_string_append_printf (text, " @ %s", item->url);
  if (!vcs && item->has_sha256) {
    char hex[VF_DIGEST_HEX + 1];
    vf_digest_to_hex (&item->sha256, hex);
    g_string_append_printf (text, "#sha256=%s", hex);
    separator = "&";
  }
  if (subdirectory)
    g_string_append_printf (text, "%ssubdirectory=%s", separator, subdirectory);
  return g_string_free (text, FALSE);
}

static VfReportItem *
parse_item (JsonObject *entry)
{
  JsonObject *info = get_object (entry, "download_info");
  JsonObject *metadata = get_object (entry, "metadata");
  JsonObject *vcs = get_object (info, "vcs_info");
  const char *url = get_string (info, "url");
  const char *name = get_string (metadata, "name");
  const char *version = get_string (metadata, "version");
  if (!url || !name || !version || strpbrk (name, " \t\r\n") || strpbrk (version, " \t\r\n") ||
      (vcs && (!get_string (vcs, "vcs") || !get_string (vcs, "commit_id"))))
    return NULL;
  VfReportItem *item = g_new0 (VfReportItem, 1);
  item->name = g_strdup (name);
  item->version = g_strdup (version);
  item->url = g_strdup (url);
  item->size = -1;
  JsonNode *size = json_object_get_member (entry, "size");
  if (size && JSON_NODE_HOLDS_VALUE (size))
    item->size = json_node_get_int (size);
  item->requested = get_boolean (entry, "requested");
  item->editable = get_boolean (get_object (info, "dir_info"), "editable");
  item->is_project = get_object (info, "dir_info") != NULL;
  item->is_wheel = !vcs && !item->is_project && url_is_wheel (url);
  read_hashes (item, get_object (info, "archive_info"));
  if (!item->is_wheel)
    item->build = make_build_requirement (item, info);
  if (get_boolean (entry, "is_direct")) {
    g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), info);
    item->direct_url = json_to_string (node, FALSE);
  }
  return item;
}

GPtrArray *
vf_report_parse (const char *text, gssize length, const char *what, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GPtrArray) items =
      g_ptr_array_new_with_free_func ((GDestroyNotify)vf_report_item_free);
  JsonNode *root = json_parser_load_from_data (parser, text, length, NULL)
                       ? json_parser_get_root (parser)
                       : NULL;
  JsonObject *report = root && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  JsonNode *install = report ? json_object_get_member (report, "install") : NULL;
  if (g_strcmp0 (get_string (report, "version"), "1") != 0 || !install ||
      !JSON_NODE_HOLDS_ARRAY (install)) {
    vf_error_set (error, VF_ERROR_INVALID, "%s: not an installation report of version 1", what);
    return NULL;
  }
  JsonArray *entries = json_node_get_array (install);
  for (guint i = 0; i < json_array_get_length (entries); i++) {
    JsonNode *node = json_array_get_element (entries, i);
    VfReportItem *item =
        JSON_NODE_HOLDS_OBJECT (node) ? parse_item (json_node_get_object (node)) : NULL;
    if (!item) {
      vf_error_set (error, VF_ERROR_INVALID, "%s: entry %u of the report is incomplete", what, i);
      return NULL;
    }
    g_ptr_array_add (items, item);
  }
  return g_steal_pointer (&items);
}

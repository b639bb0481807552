/* Scripts: views in bin/ whose first line runs the environment's python.
 *
 * Entry points as the entry points specification has them, with the body that pip writes. pip's own
 * are those of the target interpreter, whatever its wheel lists (pip does the same). */
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/merge-parts.h"
#include "layers/view.h"

/* A script longer than this is no script; it is read into memory. */
#define MAX_SCRIPT_BYTES (16u << 20)

/* The script imports the attribute's first name, and calls the attribute. */
static GString *
make_entry_point (const VfEntryPoint *entry)
{
  GString *text = g_string_new (NULL);
  int first = (int)strcspn (entry->attribute, ".");
  vf_view_append_reference (text, "shebang:python");
  g_string_append_printf (text,
                          "import sys\n"
                          "from %s import %.*s\n"
                          "if __name__ == '__main__':\n"
                          "    if sys.argv[0].endswith('.exe'):\n"
                          "        sys.argv[0] = sys.argv[0][:-4]\n"
                          "    sys.exit(%s())\n",
                          entry->module, first, entry->attribute, entry->attribute);
  return text;
}

static gboolean
add_entry_point (const VfMerge *merge, VfMergeItem *item, const VfEntryPoint *entry,
                 const char *name, GError **error)
{
  g_autoptr (GString) text = make_entry_point (entry);
  g_autofree char *path = g_strconcat (merge->interpreter->scripts, "/", name, NULL);
  return vf_merge_place_script (merge, item, path, text, error);
}

/* TRUE for pip, pip3, pip3.13 and the like. */
static gboolean
is_pip_name (const char *name)
{
  if (!g_str_has_prefix (name, "pip"))
    return FALSE;
  const char *version = name + strlen ("pip");
  return strspn (version, "0123456789.") == strlen (version) && *version != '.';
}

static gboolean
add_pip (const VfMerge *merge, VfMergeItem *item, const VfEntryPoint *entry, GError **error)
{
  const VfInterpreter *interpreter = merge->interpreter;
  g_autofree char *major = g_strdup_printf ("pip%d", interpreter->major);
  g_autofree char *minor = g_strdup_printf ("pip%d.%d", interpreter->major, interpreter->minor);
  return add_entry_point (merge, item, entry, "pip", error) &&
         add_entry_point (merge, item, entry, major, error) &&
         add_entry_point (merge, item, entry, minor, error);
}

gboolean
vf_scripts_add_entry_points (const VfMerge *merge, VfMergeItem *item, GError **error)
{
  const GArray *entries = item->package->entry_points;
  gboolean is_pip = strcmp (item->normalized_name, "pip") == 0;
  for (guint i = 0; i < entries->len; i++) {
    const VfEntryPoint *entry = &g_array_index (entries, VfEntryPoint, i);
    gboolean ok = TRUE;
    if (!is_pip || !is_pip_name (entry->name))
      ok = add_entry_point (merge, item, entry, entry->name, error);
    else if (strcmp (entry->name, "pip") == 0)
      ok = add_pip (merge, item, entry, error);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

gboolean
vf_scripts_add_shipped (const VfMerge *merge, VfMergeItem *item, const VfPackageFile *file,
                        const char *path, GError **error)
{
  VfExtent extent;
  if (file->size > MAX_SCRIPT_BYTES)
    return vf_error_set (error, VF_ERROR_INVALID, "%s: %s is too large for a script",
                         item->package->name, path);
  int result = vf_object_open (merge->store, &file->digest, &extent);
  if (result < 0)
    return vf_error_errno (error, -result, "%s: cannot read %s", item->package->name, path);
  VF_AUTOFD fd = extent.fd;
  if (extent.length != file->size)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: %s has not the size of its package index",
                         item->package->name, path);
  g_autofree char *data = g_malloc (file->size + 1);
  if (!vf_read_all (fd, data, file->size, extent.offset, path, error))
    return FALSE;
  data[file->size] = '\0';

  g_autoptr (GString) text = g_string_sized_new (file->size + 32);
  const char *line_end = memchr (data, '\n', file->size);
  const char *rest = line_end ? line_end + 1 : data + file->size;
  vf_view_append_reference (text, "shebang:python");
  vf_view_append_literal (text, rest, file->size - (gsize)(rest - data));
  return vf_merge_place_script (merge, item, path, text, error);
}

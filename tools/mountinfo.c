#include "tools/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "layers/error.h"

static void
entry_free (VfMountEntry *entry)
{
  g_free (entry->root);
  g_free (entry->path);
  g_free (entry->type);
  g_free (entry->source);
  g_free (entry);
}

/* The kernel writes blanks, newlines and backslashes as \ooo. */
static char *
unescape (const char *text)
{
  return g_strcompress (text);
}

static uid_t
parse_owner (const char *options)
{
  const char *found = strstr (options, "user_id=");
  return found != NULL ? (uid_t)strtoul (found + strlen ("user_id="), NULL, 10) : (uid_t)-1;
}

/* "36 35 98:0 /root /path options [optional…] - type source super-options" */
static VfMountEntry *
entry_parse (const char *line)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  guint n = g_strv_length (words), dash = 6;
  while (dash < n && !g_str_equal (words[dash], "-"))
    dash++;
  unsigned device_major, device_minor;
  if (dash + 3 >= n || sscanf (words[2], "%u:%u", &device_major, &device_minor) != 2)
    return NULL;
  VfMountEntry *entry = g_new0 (VfMountEntry, 1);
  entry->id = atoi (words[0]);
  entry->device = makedev (device_major, device_minor);
  entry->root = unescape (words[3]);
  entry->path = unescape (words[4]);
  entry->type = unescape (words[dash + 1]);
  entry->source = unescape (words[dash + 2]);
  entry->owner = parse_owner (words[dash + 3]);
  return entry;
}

GPtrArray *
vf_mountinfo_parse (const char *text)
{
  GPtrArray *table = g_ptr_array_new_with_free_func ((GDestroyNotify)entry_free);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    VfMountEntry *entry = entry_parse (*line);
    if (entry != NULL)
      g_ptr_array_add (table, entry);
  }
  return table;
}

GPtrArray *
vf_mountinfo_read (GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) cause = NULL;
  if (g_file_get_contents ("/proc/self/mountinfo", &text, NULL, &cause))
    return vf_mountinfo_parse (text);
  vf_error_set (error, VF_ERROR_FAILED, "%s; is /proc mounted?", cause->message);
  return NULL;
}

gboolean
vf_path_is_within (const char *path, const char *ancestor)
{
  gsize length = strlen (ancestor);
  if (g_str_equal (ancestor, "/"))
    return path[0] == '/';
  return strncmp (path, ancestor, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

const VfMountEntry *
vf_mountinfo_at (GPtrArray *table, const char *path)
{
  for (guint i = table->len; i-- > 0;) {
    const VfMountEntry *entry = g_ptr_array_index (table, i);
    if (g_str_equal (entry->path, path))
      return entry;
  }
  return NULL;
}

/* The longest mount point that @path is within decides; of several at one place the last. */
const VfMountEntry *
vf_mountinfo_containing (GPtrArray *table, const char *path)
{
  const VfMountEntry *found = NULL;
  for (guint i = 0; i < table->len; i++) {
    const VfMountEntry *entry = g_ptr_array_index (table, i);
    if (vf_path_is_within (path, entry->path) &&
        (found == NULL || strlen (entry->path) >= strlen (found->path)))
      found = entry;
  }
  return found != NULL && g_str_equal (found->type, VF_MOUNT_TYPE) ? found : NULL;
}

const VfMountEntry *
vf_mountinfo_of_device (GPtrArray *table, dev_t device, const char *preferred)
{
  const VfMountEntry *found = NULL;
  for (guint i = 0; i < table->len; i++) {
    const VfMountEntry *entry = g_ptr_array_index (table, i);
    if (entry->device != device || !g_str_equal (entry->root, "/"))
      continue;
    if (found == NULL || g_strcmp0 (entry->path, preferred) == 0)
      found = entry;
  }
  return found;
}

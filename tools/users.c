#include "tools/users.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Where a link of /proc leads, by device: a lazily unmounted mount has no path any more. Asks the
 * kernel only, never the daemon behind a mount. */
static gboolean
leads_to (const char *link, dev_t device)
{
  struct statx stx;
  return statx (AT_FDCWD, link, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &stx) == 0 &&
         makedev (stx.stx_dev_major, stx.stx_dev_minor) == device;
}

static gboolean
has_open_file (const char *process, dev_t device)
{
  g_autofree char *folder = g_build_filename (process, "fd", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *link = g_build_filename (folder, name, NULL);
    if (leads_to (link, device))
      return TRUE;
  }
  return FALSE;
}

/* A line of maps: "start-end perms offset major:minor inode path", the device in hexadecimal. */
static gboolean
has_mapping (const char *process, dev_t device)
{
  g_autofree char *path = g_build_filename (process, "maps", NULL);
  FILE *maps = fopen (path, "re");
  char line[PATH_MAX + 128];
  gboolean found = FALSE;
  while (maps != NULL && !found && fgets (line, sizeof line, maps) != NULL) {
    unsigned device_major, device_minor;
    found = sscanf (line, "%*s %*s %*s %x:%x", &device_major, &device_minor) == 2 &&
            makedev (device_major, device_minor) == device;
  }
  if (maps != NULL)
    fclose (maps);
  return found;
}

/* How @process uses the mount, or NULL. */
static const char *
use_of (const char *process, dev_t device)
{
  g_autofree char *cwd = g_build_filename (process, "cwd", NULL);
  g_autofree char *root = g_build_filename (process, "root", NULL);
  if (leads_to (cwd, device))
    return "current directory";
  if (leads_to (root, device))
    return "root directory";
  if (has_open_file (process, device))
    return "open file";
  return has_mapping (process, device) ? "mapped file" : NULL;
}

static char *
command_of (const char *process)
{
  g_autofree char *path = g_build_filename (process, "comm", NULL);
  char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return g_strdup ("?");
  return g_strchomp (text);
}

char *
vf_users_describe (dev_t device, guint max)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc", 0, NULL);
  g_autoptr (GPtrArray) users = g_ptr_array_new_with_free_func (g_free);
  guint n_more = 0;
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    if (!g_ascii_isdigit (name[0]))
      continue;
    g_autofree char *process = g_build_filename ("/proc", name, NULL);
    const char *use = use_of (process, device);
    if (use == NULL)
      continue;
    if (users->len >= max) {
      n_more++;
      continue;
    }
    g_autofree char *command = command_of (process);
    g_ptr_array_add (users, g_strdup_printf ("%s (process %s, %s)", command, name, use));
  }
  if (users->len == 0)
    return NULL;
  if (n_more > 0)
    g_ptr_array_add (users, g_strdup_printf ("and %u more", n_more));
  g_ptr_array_add (users, NULL);
  return g_strjoinv (", ", (char **)users->pdata);
}
